/** IEEE 754 half-precision numbers (binary16) as their 16 bits, for hosts without a Float16Array. */

const bits = new DataView(new ArrayBuffer(8));

/** The bits of the nearest half: ties to even, infinity from 65520 on, subnormal numbers down to 2^-24. */
export function toHalf(value: number): number {
  bits.setFloat64(0, value);
  const sign = (bits.getUint8(0) & 0x80) << 8;
  if (Number.isNaN(value)) return sign | 0x7e00;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  // Steps of this size hold 11 significant bits, or what is left of them below 2^-14. Dividing by it is exact.
  const exponent = Math.max(-14, magnitude > 0 ? ((bits.getUint16(0) >> 4) & 0x7ff) - 1023 : -14);
  const steps = roundToEven(magnitude / 2 ** (exponent - 10));
  // The leading bit of `steps` carries into the exponent, as does rounding up to the next power of two.
  return sign | (((exponent + 14) << 10) + steps);
}

function roundToEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}

/** The number that the bits of a half stand for. */
export function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** The nearest half, as a number. */
export const roundToHalf = (value: number): number => fromHalf(toHalf(value));
