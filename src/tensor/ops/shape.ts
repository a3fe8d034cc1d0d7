/** Ops about shapes alone: reshape, which costs nothing, and broadcasting to a shape. */
import { broadcastsTo, forEachBroadcast } from '../broadcast.js';
import { apply1, constant, currentGraph, type Tensor, type TensorLike } from '../graph.js';
import { type Op, OpError } from '../op.js';
import { ndarray, type Shape, sameShape, showShape, sizeOf } from '../types.js';
import { sumTo } from './reduce.js';

export const reshapeOp: Op<{ readonly shape: Shape }> = {
  name: 'reshape',
  alias: true,
  infer([x], { shape }) {
    if (sizeOf(shape) !== sizeOf(x!.shape))
      throw new OpError(
        'reshape',
        `${showShape(x!.shape)} has ${sizeOf(x!.shape)} elements, ${showShape(shape)} ${sizeOf(shape)}`,
      );
    return [{ shape, dtype: x!.dtype }];
  },
  grad: ({ inputs, grads }) => [reshape(grads[0]!, inputs[0]!.shape)],
  reference: ([x], { shape }) => [{ shape, dtype: x!.dtype, data: x!.data }],
  samples: () => [
    {
      inputs: [
        ndarray(
          [2, 3, 4],
          Array.from({ length: 24 }, (_, i) => i / 7),
        ),
      ],
      params: { shape: [6, 4] },
    },
  ],
  flops: () => 0,
};

/** The same elements in the same order under another shape; one extent may be -1. Costs nothing. */
export function reshape(x: TensorLike, shape: Shape): Tensor {
  const known = shape.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
  const resolved = shape.map((extent) => (extent === -1 ? sizeOf(x.shape) / known : extent));
  if (sameShape(x.shape, resolved)) return currentGraph().use(x);
  return apply1(reshapeOp, [x], { shape: resolved });
}

/** Elementwise identity into a larger shape; fused into whatever consumes it. */
export const broadcastToOp: Op<{ readonly shape: Shape }> = {
  name: 'broadcastTo',
  infer([x], { shape }) {
    if (!broadcastsTo(x!.shape, shape))
      throw new OpError('broadcastTo', `${showShape(x!.shape)} does not broadcast to ${showShape(shape)}`);
    return [{ shape, dtype: x!.dtype }];
  },
  grad: ({ inputs, grads }) => [sumTo(grads[0]!, inputs[0]!.shape)],
  reference([x], { shape }) {
    const data = new Float64Array(sizeOf(shape));
    forEachBroadcast(shape, [x!.shape], (position, [offset]) => {
      data[position] = x!.data[offset!]!;
    });
    return [{ shape, dtype: x!.dtype, data }];
  },
  samples: () => [
    { inputs: [ndarray([3, 1], [1, 2, 3])], params: { shape: [2, 3, 4] } },
    { inputs: [ndarray([], [5], 'i32')], params: { shape: [7] }, checkGrad: false },
  ],
  scalar: () => 'a',
};

export function broadcastTo(x: TensorLike, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return currentGraph().use(x);
  return apply1(broadcastToOp, [x], { shape });
}

/** Zeros of the type of `x`. */
export function zerosLike(x: TensorLike): Tensor {
  return broadcastTo(constant([], [0], x.dtype), x.shape);
}

export const shapeOps: Op[] = [reshapeOp, broadcastToOp];
