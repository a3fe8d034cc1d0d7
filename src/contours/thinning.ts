/** Ridges of oriented contour maps. */
import { DIRECTIONS, ORIENTATIONS } from './exact.js';

/** The strongest orientation of every pixel. */
export interface Strongest {
  readonly strength: Float32Array;
  readonly orientation: Uint8Array;
}

export function strongestOrientation(planes: readonly Float32Array[]): Strongest {
  const strength = Float32Array.from(planes[0]!);
  const orientation = new Uint8Array(strength.length);
  for (let k = 1; k < ORIENTATIONS; k++) {
    const plane = planes[k]!;
    for (let pixel = 0; pixel < strength.length; pixel++)
      if (plane[pixel]! > strength[pixel]!) {
        strength[pixel] = plane[pixel]!;
        orientation[pixel] = k;
      }
  }
  return { strength, orientation };
}

/**
 * Whether a pixel lies on a ridge: neither of its neighbours across its orientation, one pixel away and interpolated, is stronger
 * (Canny, 1986).
 */
export function ridges({ strength, orientation }: Strongest, width: number, height: number): Uint8Array {
  const ridge = new Uint8Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const pixel = y * width + x;
      const direction = DIRECTIONS[orientation[pixel]!]!;
      const across = (side: number) => {
        const py = Math.min(height - 1, Math.max(0, y + side * direction.x));
        const px = Math.min(width - 1, Math.max(0, x - side * direction.y));
        const [y0, x0] = [Math.floor(py), Math.floor(px)];
        const [fy, fx] = [py - y0, px - x0];
        const at = y0 * width + x0;
        const right = x0 + 1 < width ? 1 : 0;
        const down = y0 + 1 < height ? width : 0;
        return (
          (1 - fy) * ((1 - fx) * strength[at]! + fx * strength[at + right]!) +
          fy * ((1 - fx) * strength[at + down]! + fx * strength[at + down + right]!)
        );
      };
      const here = strength[pixel]!;
      ridge[pixel] = here >= across(1) && here >= across(-1) ? 1 : 0;
    }
  return ridge;
}
