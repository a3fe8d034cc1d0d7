/** Elementwise fusion: which nodes become one kernel. The kernel's text is written by `fused_kernel.ts`. */
import type { Graph, Node, Tensor } from './graph.js';
import type { AdapterFacts } from './op.js';
import { sameShape, sizeOf } from './types.js';

export interface FusedGroup {
  /** In trace order; the last is the one whose output is written. */
  readonly nodes: readonly Node[];
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  /** Operations, if each node computed what it is the value of. */
  readonly flops: number;
}

export interface Fusion {
  /** By the ids of their last nodes. */
  readonly groups: ReadonlyMap<number, FusedGroup>;
  /** The other nodes of the groups, which are no steps of their own. */
  readonly absorbed: ReadonlySet<Node>;
}

/** Keeps the generated functions short enough to compile quickly everywhere. */
const MAX_NODES = 24;

/**
 * As many as browsers allow with 10 bindings. Where an adapter has more, under Node, they are not used: what is f16 is rounded
 * between kernels and not within, so that results would depend on where the same adapter is used from.
 */
const MOST_INPUTS = 9;

/**
 * Groups the live elementwise nodes. A producer joins its consumer's group when that group is all that reads it,
 * it has the group's shape, and the group's inputs still fit the adapter's bindings. On a GPU its shape may also be broadcast
 * to the group's: a few operations more an element take no time beside the memory, where a kernel for a vector of channels
 * takes some microseconds.
 */
export function fuse(
  graph: Graph,
  live: ReadonlySet<Node>,
  kept: ReadonlySet<Tensor>,
  { cpu, limits }: AdapterFacts,
): Fusion {
  const consumers = countConsumers(live);
  const absorbed = new Set<Node>();
  const groups = new Map<number, FusedGroup>();
  const maxInputs = Math.min(limits.maxStorageBuffersPerShaderStage - 1, MOST_INPUTS);

  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const root = graph.nodes[id]!;
    if (!live.has(root) || !root.op?.scalar || absorbed.has(root)) continue;
    const output = root.outputs[0]!;
    const members = new Set<Node>([root]);
    let inputs = new Set(root.inputs);
    for (let grown = true; grown && members.size < MAX_NODES; ) {
      grown = false;
      for (const tensor of inputs) {
        const producer = tensor.node;
        if (!producer.op?.scalar || kept.has(tensor) || (cpu && !sameShape(tensor.shape, output.shape))) continue;
        const uses = [...members].reduce((sum, node) => sum + node.inputs.filter((i) => i === tensor).length, 0);
        if (uses !== consumers.get(tensor)) continue;
        const merged = new Set(inputs);
        merged.delete(tensor);
        for (const i of producer.inputs) merged.add(i);
        if (merged.size > maxInputs) continue;
        members.add(producer);
        absorbed.add(producer);
        inputs = merged;
        grown = true;
        break;
      }
    }
    const nodes = [...members].sort((a, b) => a.id - b.id);
    const flops = nodes.reduce((sum, node) => sum + sizeOf(node.outputs[0]!.shape), 0);
    groups.set(id, { nodes, inputs: [...inputs], output, flops });
  }
  return { groups, absorbed };
}

function countConsumers(live: ReadonlySet<Node>): Map<Tensor, number> {
  const counts = new Map<Tensor, number>();
  for (const node of live) for (const i of node.inputs) counts.set(i, (counts.get(i) ?? 0) + 1);
  return counts;
}
