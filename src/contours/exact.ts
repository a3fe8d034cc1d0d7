/**
 * Elementary functions from additions, multiplications, divisions and square roots alone, which every JavaScript engine
 * rounds alike, so that an oversegmentation is the same everywhere. `Math.exp` and its kin may differ in the last bits.
 */

/** e^x to about 12 digits, for |x| below 700. */
export function exp(x: number): number {
  const t = x / 1024;
  let value = 1 + t * (1 + (t / 2) * (1 + (t / 3) * (1 + (t / 4) * (1 + (t / 5) * (1 + (t / 6) * (1 + t / 7))))));
  for (let i = 0; i < 10; i++) value *= value;
  return value;
}

/** 1 / (1 + e^-x); beyond |x| = 40 the nearest it gets to 0 or 1. */
export function sigmoid(x: number): number {
  return 1 / (1 + exp(-Math.max(-40, Math.min(40, x))));
}

/** The `n`-th root of x from 0 to 1, by Newton's method. */
export function root(x: number, n: number): number {
  if (x <= 0) return 0;
  let y = 1;
  for (let step = 0; step < 60; step++) {
    let power = 1;
    for (let i = 1; i < n; i++) power *= y;
    const next = y + (x / power - y) / n;
    if (next >= y) break;
    y = next;
  }
  return y;
}

/** Orientations of contours: multiples of pi / 8. */
export const ORIENTATIONS = 8;

const HALF = Math.sqrt(0.5);
const COS = Math.sqrt((1 + HALF) / 2);
const SIN = Math.sqrt((1 - HALF) / 2);

/** Unit vectors of the angles k pi / 8 for k from 0 to 15, x to the right, y down. */
export const DIRECTIONS: readonly { readonly x: number; readonly y: number }[] = [0, 1, 2, 3].flatMap((quarter) =>
  [
    [1, 0],
    [COS, SIN],
    [HALF, HALF],
    [SIN, COS],
  ].map(([x, y]) => {
    const turned = [
      [x!, y!],
      [-y!, x!],
      [-x!, -y!],
      [y!, -x!],
    ][quarter]!;
    return { x: turned[0]!, y: turned[1]! };
  }),
);
