/** Numbers that a formula gives, for values too many to be stored; `scripts/goldens/formula.py` has the same formula. */
import { type Shape, sizeOf } from '../../src/tensor/types.js';

/** Numbers in [low, high), rounded to float32: FNV-1a of the name, then MurmurHash3's finaliser of each position. */
export function between(name: string, shape: Shape, low: number, high: number): Float32Array<ArrayBuffer> {
  let seed = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 0x01000193);
  const values = new Float32Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) {
    let x = (Math.imul(i, 0x9e3779b1) + seed) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    values[i] = low + (((x ^ (x >>> 16)) >>> 8) / 2 ** 24) * (high - low);
  }
  return values;
}
