/** Where the pixels of a map lie in another, along both axes: an argument of ops, so that one plan serves all sizes. */
import { OpError } from '../../tensor/op.js';
import { type NdArray, showShape, type TensorType } from '../../tensor/types.js';

/**
 * A grid is i32 [2,4], for y and x: scale, offset, denominator and extent. Pixel o of the result looks at
 * (scale * o + offset) / denominator, clamped to the pixels 0 to extent - 1. All in integers, below 2^31, as in `resize`.
 */
export function checkGrid(op: string, grid: TensorType): void {
  if (grid.dtype !== 'i32' || showShape(grid.shape) !== '[2,4]')
    throw new OpError(op, `the grid must be i32 [2,4], got ${grid.dtype}${showShape(grid.shape)}`);
}

/** The pixel that pixel `o` looks at along an axis, and how far beyond it, from 0 to less than 1. */
export function gridPosition(grid: NdArray, axis: 0 | 1, o: number): { pixel: number; part: number; extent: number } {
  const [scale, offset, denominator, extent] = [0, 1, 2, 3].map((i) => grid.data[axis * 4 + i]!) as [
    number,
    number,
    number,
    number,
  ];
  const at = Math.min(Math.max(scale * o + offset, 0), (extent - 1) * denominator);
  const pixel = Math.floor(at / denominator);
  return { pixel, part: (at - pixel * denominator) / denominator, extent };
}
