/**
 * Epilogues: what one op makes of another's result, computed by the other's kernel while the result lies in registers. A
 * trace knows nothing of them; they are a matter of which kernels there are.
 */
import type { Graph, Node } from './graph.js';
import type { Kernel, KernelContext, Passes } from './op.js';
import type { KernelOverrides } from './select.js';

/**
 * The live nodes that may be computed on the way, by the nodes whose result they read: the first such reader of each. In
 * memory, in the order of a schedule and in what is computed again the two belong together, since whether a kernel has the
 * epilogue is known only when it is chosen.
 */
export function epiloguesOf(graph: Graph, live: ReadonlySet<Node>): Map<Node, Node> {
  const epilogues = new Map<Node, Node>();
  for (const node of graph.nodes) {
    const [input, ...others] = node.inputs;
    if (!live.has(node) || !node.op || !input || input.index !== 0 || others.length > 0) continue;
    const { name } = node.op;
    const producer = input.node;
    if (!epilogues.has(producer) && producer.op?.kernels?.some((kernel) => kernel.epilogues?.[name]))
      epilogues.set(producer, node);
  }
  return epilogues;
}

/** The commands of a node and its epilogue, if the kernel can: not where a kernel of the epilogue's own was asked for. */
export function joined(
  kernel: Kernel,
  context: KernelContext<unknown>,
  epilogue: Node | undefined,
  overrides: KernelOverrides,
): Passes | null {
  const name = epilogue?.op?.name;
  if (name === undefined || overrides[name] !== undefined) return null;
  return kernel.epilogues?.[name]?.passes(context) ?? null;
}
