/** Reverse-mode differentiation of a trace: walks the tape backwards and appends the gradient's nodes to it. */
import {
  currentGraph,
  describe,
  type Graph,
  type Node,
  scalar,
  type Tensor,
  type TensorLike,
} from '../tensor/graph.js';
import { cast } from '../tensor/ops/cast.js';
import { add } from '../tensor/ops/elementwise.js';
import { broadcastTo, zerosLike } from '../tensor/ops/shape.js';
import { isFloat, sameShape, showShape, sizeOf } from '../tensor/types.js';

/**
 * Gradients of a scalar `loss` with respect to each of `wrt`, in the same shapes. Zero where the loss does not
 * depend on a value. Gradients are accumulated in a fixed order, so a step is repeatable bit for bit.
 *
 * What is differentiated need not be a scalar where `gradient` is given, in its shape: the product of that vector and the
 * Jacobian, which is the gradient of sum(loss * gradient) without the sum.
 *
 * Gradients on the way are stored as the values whose gradients they are, f16 or f32; those of `wrt` are f32 whatever
 * they are of, since their digits and their range matter to what is made of them.
 *
 * Errors: the loss is not a scalar, or not of the shape of its gradient; an op on the way has no gradient (integer ops
 * end a path silently, as the derivative of a label is zero everywhere).
 */
export function grad(loss: Tensor, wrt: readonly TensorLike[], gradient?: TensorLike): Tensor[] {
  const graph = currentGraph();
  return graph.within(graph.backward, () => {
    if (gradient) return appendGradients(graph, loss, wrt, graph.use(gradient));
    if (sizeOf(loss.shape) !== 1) throw new Error(`grad: the loss must be a scalar, got ${showShape(loss.shape)}`);
    return appendGradients(graph, loss, wrt, broadcastTo(scalar(1), loss.shape));
  });
}

function appendGradients(graph: Graph, loss: Tensor, wrt: readonly TensorLike[], gradient: Tensor): Tensor[] {
  if (!sameShape(gradient.shape, loss.shape) || !isFloat(gradient.dtype))
    throw new Error(
      `grad: the gradient of ${loss.dtype}${showShape(loss.shape)} must be floats of its shape, got ${gradient.dtype}${showShape(gradient.shape)}`,
    );
  const targets = wrt.map((value) => graph.use(value));
  const roots = new Set(targets);
  const needed = dependents(graph.nodes, roots, loss.node.id);

  const grads = new Map<Tensor, Tensor>([[loss, cast(gradient, loss.dtype)]]);
  for (let id = loss.node.id; id >= 0; id--) {
    const node = graph.nodes[id]!;
    if (!node.op || !needed.has(node)) continue;
    const outputGrads = node.outputs.map((output) => grads.get(output) ?? null);
    if (outputGrads.every((gradient) => gradient === null)) continue;
    if (!node.op.grad) throw new Error(`grad: ${describe(node.outputs[0]!)} has no gradient`);
    const inputGrads = graph.inScope(`grad ${node.scope}`, () =>
      node.op!.grad!({ inputs: node.inputs, outputs: node.outputs, grads: outputGrads, params: node.params }),
    );
    for (const [i, gradient] of inputGrads.entries()) {
      const tensor = node.inputs[i]!;
      if (!gradient || !isFloat(tensor.dtype) || !(needed.has(tensor.node) || roots.has(tensor))) continue;
      if (!sameShape(gradient.shape, tensor.shape))
        throw new Error(
          `grad: ${node.op.name} gave ${showShape(gradient.shape)} for its input ${i} of shape ${showShape(tensor.shape)}`,
        );
      const sum = grads.get(tensor);
      const total = graph.inScope(`grad ${tensor.node.scope}`, () =>
        cast(sum ? add(sum, gradient) : gradient, roots.has(tensor) ? 'f32' : tensor.dtype),
      );
      grads.set(tensor, total);
    }
  }
  return targets.map((target) => grads.get(target) ?? cast(zerosLike(target), 'f32'));
}

/** Nodes up to `last` that depend on one of the roots. */
function dependents(nodes: readonly Node[], roots: ReadonlySet<Tensor>, last: number): Set<Node> {
  const found = new Set<Node>();
  for (let id = 0; id <= last; id++) {
    const node = nodes[id]!;
    if (node.inputs.some((input) => isFloat(input.dtype) && (roots.has(input) || found.has(input.node))))
      found.add(node);
  }
  return found;
}
