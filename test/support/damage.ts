/** Damages files, for tests that read them. */
import type { Random } from '../../src/tensor/random.js';

/** Numbers that overflow, become negative or claim too much, as fixed and as variable-length ones. */
const EXTREMES: readonly (readonly number[])[] = [
  [0],
  [1],
  [0x7f],
  [0x80],
  [0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff],
  [0, 0, 0, 0x80],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x10],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
];

/** Bits flipped, numbers replaced by extreme ones, a range copied over another: the length stays. */
export function damageInPlace(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const damaged = new Uint8Array(bytes);
  if (damaged.length === 0) return damaged;
  for (let times = random.integerIn(1, 3); times > 0; times--) {
    const at = random.integer(damaged.length);
    const kind = random.integer(3);
    if (kind === 0) damaged[at]! ^= 1 << random.integer(8);
    else if (kind === 1) damaged.set(random.pick(EXTREMES).slice(0, damaged.length - at), at);
    else damaged.copyWithin(at, random.integer(damaged.length), random.integer(damaged.length + 1));
  }
  return damaged;
}

/** As `damageInPlace`, or cut off, or with a range removed, repeated or put in. */
export function damage(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const kind = random.integer(8);
  const cut = random.integer(bytes.length + 1);
  const other = random.integerIn(cut, bytes.length);
  if (kind === 0) return bytes.slice(0, cut);
  if (kind === 1) return joined(bytes.subarray(0, cut), bytes.subarray(other));
  if (kind === 2) return joined(bytes.subarray(0, other), bytes.subarray(cut));
  if (kind === 3) return joined(bytes.subarray(0, cut), Uint8Array.from(random.pick(EXTREMES)), bytes.subarray(cut));
  return damageInPlace(bytes, random);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
