/** Writes a schedule with repeated steps down as a trace. */
import { describe, Graph, type Node, Tensor } from '../tensor/graph.js';
import { REPEATED } from '../tensor/plan.js';
import { rootOf } from '../tensor/storage.js';
import type { Trace } from '../tensor/trace.js';
import type { Scheduled } from './recompute_schedule.js';

/**
 * The trace of a schedule. The backward pass reads the repeated values where there are such, everything else the first
 * ones. Every step stays a kernel of its own, so that each is the same kernel as without recomputation, to the bit.
 */
export function rewriteTrace(
  { graph, structure, results }: Trace,
  schedule: readonly Scheduled[],
  dropped: ReadonlySet<Tensor>,
): Trace {
  const target = new Graph();
  /** The new tensors that stand for the old ones, first and repeated. */
  const first = new Map<Tensor, Tensor>();
  const repeated = new Map<Tensor, Tensor>();

  const copy = (node: Node, inputs: readonly Tensor[], again: boolean): void => {
    const scope = again ? [REPEATED, node.scope].filter(Boolean).join(' ') : node.scope;
    const outputs: Tensor[] = [];
    const copied: Node = { ...node, id: target.nodes.length, inputs, outputs, scope };
    for (const output of node.outputs) {
      const tensor = new Tensor(copied, output.index, output);
      outputs.push(tensor);
      (again ? repeated : first).set(output, tensor);
    }
    target.nodes.push(copied);
  };
  /** The new tensor of an old one; an alias is made where it is first asked for. */
  const find = (tensor: Tensor, late: boolean): Tensor => {
    const again = late && dropped.has(rootOf(tensor));
    const versions = again ? repeated : first;
    const known = versions.get(tensor);
    if (known) return known;
    const { node } = tensor;
    if (!node.op?.alias) throw new Error(`recompute: ${describe(tensor)} is read before it is computed`);
    copy(node, [find(node.inputs[0]!, late)], again);
    return versions.get(tensor)!;
  };

  for (const node of graph.nodes) if (node.source) copy(node, [], false);
  for (const { step, again } of schedule) {
    const own = new Set(step.nodes);
    const late = again || step.backward;
    const within = again ? repeated : first;
    for (const node of step.nodes)
      copy(
        node,
        node.inputs.map((input) => (own.has(input.node) ? within.get(input)! : find(input, late))),
        again,
      );
    if (step.nodes[0]!.op!.scalar) target.pinned.add(within.get(step.outputs[0]!)!);
  }
  for (const { resident, value } of graph.assignments) target.assignments.push({ resident, value: find(value, false) });
  return {
    graph: target,
    structure:
      structure instanceof Tensor
        ? find(structure, false)
        : Object.fromEntries(Object.entries(structure).map(([key, tensor]) => [key, find(tensor, false)])),
    results: results.map((tensor) => find(tensor, false)),
  };
}
