/** Smoothing along a contour that keeps its peak across. */
import { DIRECTIONS, ORIENTATIONS } from './exact.js';
import { mirrored } from './filters.js';

interface Tap {
  readonly dy: number;
  readonly dx: number;
  readonly weight: number;
}

/**
 * The linear filter that fits a parabola across orientation `k`, constant along it, to an ellipse of values by least squares
 * and takes its value in the middle (a Savitzky-Golay filter; Arbelaez et al., TPAMI 2011, section 3.1). The ellipse's half
 * axes are `along` and `across` in pixels.
 */
function parabolaTaps(k: number, along: number, across: number): Tap[] {
  const { x: cos, y: sin } = DIRECTIONS[k]!;
  const reach = Math.ceil(along);
  const places: { dy: number; dx: number; v: number }[] = [];
  for (let dy = -reach; dy <= reach; dy++)
    for (let dx = -reach; dx <= reach; dx++) {
      const u = cos * dx + sin * dy;
      const v = cos * dy - sin * dx;
      if ((u / along) ** 2 + (v / across) ** 2 <= 1) places.push({ dy, dx, v });
    }
  // The odd moments vanish, since the ellipse is symmetric: only the constant and the square matter for the middle.
  const moment = (power: number) => places.reduce((sum, { v }) => sum + v ** power, 0);
  const [m0, m2, m4] = [moment(0), moment(2), moment(4)];
  const determinant = m0 * m4 - m2 * m2;
  return places.map(({ dy, dx, v }) => ({ dy, dx, weight: (m4 - m2 * v * v) / determinant }));
}

/** Smooths each of the planes, one an orientation, along its orientation. */
export function smoothAlong(
  planes: readonly Float32Array[],
  width: number,
  height: number,
  along: number,
  across: number,
): Float32Array[] {
  const reach = Math.ceil(along);
  const stride = width + 2 * reach;
  const padded = new Float32Array(stride * (height + 2 * reach));
  const columns = Int32Array.from({ length: stride }, (_, x) => mirrored(x - reach, width));
  const sums = new Float64Array(width);
  return Array.from({ length: ORIENTATIONS }, (_, k) => {
    for (let y = 0; y < height + 2 * reach; y++) {
      const from = mirrored(y - reach, height) * width;
      for (let x = 0; x < stride; x++) padded[y * stride + x] = planes[k]![from + columns[x]!]!;
    }
    const taps = parabolaTaps(k, along, across);
    const smooth = new Float32Array(width * height);
    for (let y = 0; y < height; y++) {
      sums.fill(0);
      for (const { dy, dx, weight } of taps) {
        const from = (y + dy + reach) * stride + dx + reach;
        for (let x = 0; x < width; x++) sums[x]! += weight * padded[from + x]!;
      }
      smooth.set(sums, y * width);
    }
    return smooth;
  });
}
