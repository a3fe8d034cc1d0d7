/** Comparison of arrays by the largest error relative to the largest element. */
import { roundToHalf } from '../../src/tensor/half.js';
import type { NdArray, Shape } from '../../src/tensor/types.js';
import { sameShape, showShape } from '../../src/tensor/types.js';

interface ArrayOf {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** Largest |actual - expected| over the largest |expected| (over 1e-30); NaN counts as infinite. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0;
  let scale = 1e-30;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= error)) error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return error / scale;
}

/** Throws, naming `what`, the error and where it is largest, unless `actual` is within `tolerance` of `expected`. */
export function expectClose(actual: ArrayOf, expected: ArrayOf, tolerance: number, what: string): void {
  if (!sameShape(actual.shape, expected.shape))
    throw new Error(`${what}: shape ${showShape(actual.shape)}, expected ${showShape(expected.shape)}`);
  const error = relativeError(actual.data, expected.data);
  if (error <= tolerance) return;
  let worst = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const difference = Math.abs(actual.data[i]! - expected.data[i]!);
    if (Number.isNaN(difference) || difference > Math.abs(actual.data[worst]! - expected.data[worst]!)) worst = i;
    if (Number.isNaN(difference)) break;
  }
  throw new Error(
    `${what}: relative error ${error.toExponential(2)} over ${tolerance}; worst at ${worst} of ${showShape(expected.shape)}: ${actual.data[worst]} instead of ${expected.data[worst]}`,
  );
}

/** The array rounded to what its dtype holds on the GPU. */
export function rounded(array: NdArray): NdArray {
  if (array.dtype === 'f16') return { ...array, data: array.data.map(roundToHalf) };
  return array.dtype === 'f32' ? { ...array, data: array.data.map(Math.fround) } : array;
}

/** Largest relative error of storing a float as f16: half of the last of 11 bits. */
export const HALF_ROUNDING = 2 ** -11;
