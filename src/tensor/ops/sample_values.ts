/** Reproducible values for the samples of ops. */
import { type DType, type NdArray, ndarray, type Shape, sizeOf } from '../types.js';

/** Numbers in [0, 1) from a 32-bit mixing of `seed` and the position: the same on every run and platform. */
function fraction(seed: number, index: number): number {
  let h = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

/** Values in [-1, 1). */
export function sampleValues(shape: Shape, seed = 0): NdArray {
  const data = Float64Array.from({ length: sizeOf(shape) }, (_, i) => 2 * fraction(seed, i) - 1);
  return ndarray(shape, data);
}

/** Integers in [low, high), of an integer dtype or as whole floats. */
export function sampleIntegers(shape: Shape, low: number, high: number, seed = 0, dtype: DType = 'i32'): NdArray {
  const data = Float64Array.from(
    { length: sizeOf(shape) },
    (_, i) => low + Math.floor((high - low) * fraction(seed, i)),
  );
  return ndarray(shape, data, dtype);
}

/**
 * A random order of evenly spaced values in [-1, 1): no two are nearer than 2 / size, so that maxima keep their
 * place under the small steps of a finite difference.
 */
export function distinctValues(shape: Shape, seed = 0): NdArray {
  const size = sizeOf(shape);
  const order = Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor(fraction(seed, i) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return ndarray(
    shape,
    order.map((rank) => (2 * rank) / size - 1),
  );
}
