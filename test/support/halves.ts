/** An op's samples with images and matrices, all but vectors, stored as halves. */
import type { Op, Sample } from '../../src/tensor/op.js';
import { canBeHalf, type NdArray } from '../../src/tensor/types.js';

const halved = (array: NdArray): NdArray =>
  array.dtype === 'f32' && array.shape.length > 1 && canBeHalf(array.shape) ? { ...array, dtype: 'f16' } : array;

/** The sample with halves, if the op takes them as they are. */
export function withHalves<P>(op: Op<P>, sample: Sample<P>): Sample<P>[] {
  const inputs = sample.inputs.map(halved);
  const taken =
    inputs.some(({ dtype }) => dtype === 'f16') &&
    op.halves?.(inputs, sample.params) &&
    op.infer(inputs, sample.params).every(({ dtype, shape }) => dtype !== 'f16' || canBeHalf(shape));
  return taken ? [{ ...sample, inputs }] : [];
}
