/** Brightness and colour, as far apart as they look. */
import type { RgbImage } from '../data/image.js';
import { root } from './exact.js';

/** One value from 0 to 1 a pixel, row-major. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** Linear light of the 8-bit values of sRGB (IEC 61966-2-1): x^2.4 is x^2 times the square of the fifth root. */
const LINEAR = Float64Array.from({ length: 256 }, (_, value) => {
  const c = value / 255;
  if (c <= 0.04045) return c / 12.92;
  const x = (c + 0.055) / 1.055;
  return (x * root(x, 5)) ** 2;
});

const WHITE = { x: 0.9505, z: 1.089 };
/** Values of a* and b* between which colours of photographs lie. */
const LEAST = -73;
const LARGEST = 95;

/** CIE L*a*b* (D65) of an sRGB image, each scaled to [0, 1]: L* from [0, 100], a* and b* from [-73, 95]. */
export function labPlanes({ width, height, data }: RgbImage): { l: Plane; a: Plane; b: Plane } {
  const planes = [0, 1, 2].map(() => new Float32Array(width * height)) as [Float32Array, Float32Array, Float32Array];
  const scale = (value: number) => Math.min(1, Math.max(0, (value - LEAST) / (LARGEST - LEAST)));
  for (let pixel = 0; pixel < width * height; pixel++) {
    const red = LINEAR[data[3 * pixel]!]!;
    const green = LINEAR[data[3 * pixel + 1]!]!;
    const blue = LINEAR[data[3 * pixel + 2]!]!;
    const x = curve((0.4124 * red + 0.3576 * green + 0.1805 * blue) / WHITE.x);
    const y = curve(0.2126 * red + 0.7152 * green + 0.0722 * blue);
    const z = curve((0.0193 * red + 0.1192 * green + 0.9505 * blue) / WHITE.z);
    planes[0][pixel] = Math.min(1, Math.max(0, (116 * y - 16) / 100));
    planes[1][pixel] = scale(500 * (x - y));
    planes[2][pixel] = scale(200 * (y - z));
  }
  const [l, a, b] = planes.map((plane) => ({ width, height, data: plane }));
  return { l: l!, a: a!, b: b! };
}

const curve = (t: number) => (t > 0.008856 ? root(Math.min(1, t), 3) : 7.787 * t + 16 / 116);
