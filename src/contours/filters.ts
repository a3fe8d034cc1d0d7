/** Linear filters on planes, with the image mirrored at its borders. */
import type { Plane } from './colour.js';
import { exp } from './exact.js';

/** Index of a place outside of [0, size) mirrored into it; the outermost pixel is its own neighbour. */
export function mirrored(index: number, size: number): number {
  const period = 2 * size;
  const folded = ((index % period) + period) % period;
  return folded < size ? folded : period - 1 - folded;
}

/** Samples of a Gaussian or its derivative, scaled by `sigma ** order` so that scales can be compared. */
export function gaussian(sigma: number, order: 0 | 1 | 2): Float64Array {
  const reach = Math.ceil(3 * sigma);
  const bell = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => exp(-((i - reach) ** 2) / (2 * sigma * sigma)));
  const total = bell.reduce((sum, value) => sum + value, 0);
  const taps = bell.map((value, i) => {
    const u = (i - reach) / sigma;
    return (value / total) * (order === 0 ? 1 : order === 1 ? -u : u * u - 1);
  });
  // A second derivative answers nothing to a constant.
  const mean = order === 2 ? taps.reduce((sum, tap) => sum + tap, 0) : 0;
  return taps.map((tap, i) => tap - (mean * bell[i]!) / total);
}

/** Correlates the rows with `taps`, whose middle lies on the pixel. */
export function filterRows({ width, height, data }: Plane, taps: Float64Array): Plane {
  const reach = (taps.length - 1) / 2;
  const out = new Float32Array(width * height);
  const row = new Float64Array(width + 2 * reach);
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < row.length; i++) row[i] = data[y * width + mirrored(i - reach, width)]!;
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k]! * row[x + k]!;
      out[y * width + x] = sum;
    }
  }
  return { width, height, data: out };
}

/** Correlates the columns with `taps`. */
export function filterColumns({ width, height, data }: Plane, taps: Float64Array): Plane {
  const reach = (taps.length - 1) / 2;
  const out = new Float32Array(width * height);
  const sums = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let k = 0; k < taps.length; k++) {
      const from = mirrored(y + k - reach, height) * width;
      const tap = taps[k]!;
      for (let x = 0; x < width; x++) sums[x]! += tap * data[from + x]!;
    }
    out.set(sums, y * width);
  }
  return { width, height, data: out };
}

/** Twice as wide and high (less what `width` and `height` cut off), bilinear, pixel centres at halves. */
export function doubled(plane: Plane, width: number, height: number): Float32Array {
  const out = new Float32Array(width * height);
  const { data } = plane;
  for (let y = 0; y < height; y++) {
    const near = Math.min(plane.height - 1, y >> 1) * plane.width;
    const far = Math.min(plane.height - 1, Math.max(0, (y >> 1) + (y & 1 ? 1 : -1))) * plane.width;
    for (let x = 0; x < width; x++) {
      const left = Math.min(plane.width - 1, x >> 1);
      const right = Math.min(plane.width - 1, Math.max(0, (x >> 1) + (x & 1 ? 1 : -1)));
      out[y * width + x] =
        0.5625 * data[near + left]! + 0.1875 * (data[near + right]! + data[far + left]!) + 0.0625 * data[far + right]!;
    }
  }
  return out;
}
