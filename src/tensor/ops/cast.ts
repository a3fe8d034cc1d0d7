/** Between f32 and f16, the dtype that floats are stored in. Elementwise, so it fuses: no copy of its own. */
import { apply1, currentGraph, type Tensor, type TensorLike } from '../graph.js';
import { type Op, OpError, type Sample } from '../op.js';
import { canBeHalf, type DType, isFloat, type Shape, showShape } from '../types.js';
import { sampleValues } from './sample_values.js';

interface Cast {
  readonly dtype: 'f32' | 'f16';
}

const sample = (shape: Shape, dtype: Cast['dtype']): Sample<Cast> => ({
  inputs: [sampleValues(shape)],
  params: { dtype },
  checkGrad: dtype === 'f32',
});

export const castOp: Op<Cast> = {
  name: 'cast',
  infer([x], { dtype }) {
    if (!isFloat(x!.dtype)) throw new OpError('cast', `expects a float, got ${x!.dtype}${showShape(x!.shape)}`);
    if (dtype === 'f16' && !canBeHalf(x!.shape))
      throw new OpError('cast', `${showShape(x!.shape)} can't be f16: its last extent is no multiple of 4`);
    return [{ shape: x!.shape, dtype }];
  },
  grad: ({ inputs, grads }) => [cast(grads[0]!, inputs[0]!.dtype)],
  reference: ([x], { dtype }) => [{ shape: x!.shape, dtype, data: x!.data }],
  samples: () => [sample([3, 5], 'f32'), sample([3, 8], 'f16')],
  scalar: () => 'a',
  halves: () => true,
};

/** The same values, stored as `dtype`; of floats, to another float dtype. */
export function cast(x: TensorLike, dtype: DType): Tensor {
  if (x.dtype === dtype) return currentGraph().use(x);
  if (!isFloat(dtype)) throw new OpError('cast', `to ${dtype}: use toInt or toFloat`);
  return apply1(castOp, [x], { dtype: dtype === 'f16' ? 'f16' : 'f32' });
}

/** As f16 where it is not yet and its shape allows it. */
export const halved = (x: TensorLike): Tensor => (canBeHalf(x.shape) ? cast(x, 'f16') : currentGraph().use(x));

export const castOps: Op[] = [castOp];
