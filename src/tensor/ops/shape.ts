/** Ops about shapes alone: reshape, which costs nothing, and broadcasting to a shape. */
import { broadcastsTo, forEachBroadcast } from '../broadcast.js';
import { apply1, constant, currentGraph, type Tensor, type TensorLike } from '../graph.js';
import { type Op, OpError } from '../op.js';
import { BINDING_ALIGNMENT } from '../storage.js';
import { BYTES_PER_ELEMENT, isFloat, ndarray, type Shape, sameShape, showShape, sizeOf } from '../types.js';
import { cast } from './cast.js';
import { sumTo } from './reduce.js';

export const reshapeOp: Op<{ readonly shape: Shape }> = {
  name: 'reshape',
  alias: () => 0,
  halves: () => true,
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
  halves: () => true,
};

export function broadcastTo(x: TensorLike, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return currentGraph().use(x);
  return apply1(broadcastToOp, [x], { shape });
}

/** Zeros of the type of `x`. */
export function zerosLike(x: TensorLike): Tensor {
  const dtype = isFloat(x.dtype) ? 'f32' : x.dtype;
  return cast(broadcastTo(constant([], [0], dtype), x.shape), x.dtype);
}

interface View {
  /** Of the first element. */
  readonly offset: number;
  readonly shape: Shape;
}

export const viewOp: Op<View> = {
  name: 'view',
  alias: ({ offset }) => offset,
  halves: () => true,
  infer([x], { offset, shape }) {
    if (!(offset >= 0 && offset + sizeOf(shape) <= sizeOf(x!.shape)))
      throw new OpError('view', `${showShape(shape)} from element ${offset} does not lie in ${showShape(x!.shape)}`);
    if ((offset * BYTES_PER_ELEMENT[x!.dtype]) % BINDING_ALIGNMENT !== 0)
      throw new OpError('view', `element ${offset} of ${x!.dtype} is not at a multiple of ${BINDING_ALIGNMENT} bytes`);
    return [{ shape, dtype: x!.dtype }];
  },
  reference: ([x], { offset, shape }) => [
    { shape, dtype: x!.dtype, data: x!.data.slice(offset, offset + sizeOf(shape)) },
  ],
  samples: () => [
    {
      inputs: [
        ndarray(
          [200],
          Array.from({ length: 200 }, (_, i) => i),
        ),
      ],
      params: { offset: 64, shape: [3, 4] },
    },
  ],
  flops: () => 0,
};

/**
 * Neighbouring elements of `x` from `offset` on, under a shape of their own: a part of a flat buffer, which costs nothing. It
 * must start at a multiple of 256 bytes. Has no gradient: what is learnt through views takes the views' own.
 */
export function view(x: TensorLike, offset: number, shape: Shape): Tensor {
  return apply1(viewOp, [x], { offset, shape });
}

export const shapeOps: Op[] = [reshapeOp, broadcastToOp, viewOp];
