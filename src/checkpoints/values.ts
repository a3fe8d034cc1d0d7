/** Stored elements as numbers. */
import { fromHalf } from '../tensor/half.js';
import type { DType } from './tensor_file.js';

/** The number that a stored element stands for; 64-bit integers beyond 2^53 are rounded. */
export function decoderOf(dtype: DType): (element: number | bigint) => number {
  if (dtype === 'F16') return (bits) => fromHalf(Number(bits));
  if (dtype === 'BF16') return (bits) => bfloat16(Number(bits));
  return Number;
}

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The value of bits that are the upper half of a float32. */
export function bfloat16(bits: number): number {
  word[0] = bits << 16;
  return float[0]!;
}
