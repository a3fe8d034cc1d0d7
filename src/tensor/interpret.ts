/** Evaluates a trace in float64 through the ops' references: the engine's own oracle, on the CPU, without a GPU. */
import type { Graph, ResidentLike, Tensor } from './graph.js';
import { specified } from './op.js';
import { type NdArray, ndarray, showShape, valuesOf } from './types.js';

export interface Bindings {
  readonly arguments?: readonly NdArray[];
  readonly residents?: ReadonlyMap<ResidentLike, NdArray>;
}

/** Values of `wanted`. Every op on the way is computed by its `reference`. */
export function interpret(graph: Graph, wanted: readonly Tensor[], bindings: Bindings = {}): NdArray[] {
  const values = new Map<Tensor, NdArray>();
  const last = Math.max(-1, ...wanted.map((tensor) => tensor.node.id));
  for (let id = 0; id <= last; id++) {
    const node = graph.nodes[id]!;
    if (node.source) {
      const tensor = node.outputs[0]!;
      let value: NdArray | undefined;
      if (node.source.kind === 'argument') value = bindings.arguments?.[node.source.index];
      else if (node.source.kind === 'resident') value = bindings.residents?.get(node.source.resident);
      else value = ndarray(tensor.shape, valuesOf(node.source.value), tensor.dtype);
      if (!value) throw new Error(`interpret: no value for ${node.source.kind} ${showShape(tensor.shape)}`);
      values.set(tensor, value);
    } else {
      const inputs = node.inputs.map((tensor) => values.get(tensor)!);
      const outputs = specified(node.op!).reference(inputs, node.params);
      for (const [index, output] of outputs.entries()) values.set(node.outputs[index]!, output);
    }
  }
  return wanted.map((tensor) => values.get(tensor)!);
}
