/** Tracing a step function into a graph, ready to be planned. */
import { Graph, Tensor, traceInto } from './graph.js';
import type { AdapterFacts } from './op.js';
import { broadcastToOp } from './ops/shape.js';
import { Resident } from './resident.js';
import { rootOf } from './storage.js';
import type { TensorType } from './types.js';

/** What a step function may return: one tensor, or a record of them. */
export type Returned = Tensor | Readonly<Record<string, Tensor>>;

export interface Trace {
  readonly graph: Graph;
  readonly structure: Returned;
  readonly results: readonly Tensor[];
}

/** Makes another trace of one, with the same results, before it is planned for an adapter. */
export type Rewrite = (trace: Trace, facts: AdapterFacts) => Trace;

/** Traces a step function. Needs no GPU. */
export function traceStep(step: (...args: Tensor[]) => Returned, args: readonly (TensorType | Resident)[]): Trace {
  const graph = new Graph();
  return traceInto(graph, () => {
    const tensors = args.map((arg, index) =>
      arg instanceof Resident ? graph.resident(arg) : graph.argument(index, arg),
    );
    const returned = step(...tensors);
    const own = (tensor: Tensor): Tensor => {
      const used = graph.use(tensor);
      // What is a source itself would change under an assignment at the end of the step: it gets a copy.
      return rootOf(used).node.source ? graph.apply(broadcastToOp, [used], { shape: used.shape })[0]! : used;
    };
    const structure: Returned =
      returned instanceof Tensor
        ? own(returned)
        : Object.fromEntries(Object.entries(returned).map(([key, tensor]) => [key, own(tensor)]));
    for (const [index, { resident, value }] of graph.assignments.entries())
      graph.assignments[index] = { resident, value: own(value) };
    const results = structure instanceof Tensor ? [structure] : Object.values(structure);
    return { graph, structure, results };
  });
}
