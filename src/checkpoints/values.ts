/** Stored elements as numbers. */
import type { DType } from './tensor_file.js';

/** The number that a stored element stands for; 64-bit integers beyond 2^53 are rounded. */
export function decoderOf(dtype: DType): (element: number | bigint) => number {
  if (dtype === 'F16') return (bits) => float16(Number(bits));
  if (dtype === 'BF16') return (bits) => bfloat16(Number(bits));
  return Number;
}

/** The value of IEEE 754 half-precision bits. */
export function float16(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The value of bits that are the upper half of a float32. */
export function bfloat16(bits: number): number {
  word[0] = bits << 16;
  return float[0]!;
}
