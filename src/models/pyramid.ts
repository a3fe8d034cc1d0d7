/** The two ends of pyramid pooling (Zhao et al., 2017): from a feature map to grids of averages, and from grids to its size. */
import type { Tensor } from '../tensor/graph.js';
import { avgPool } from '../tensor/ops/pool.js';
import { type ResizeOptions, resizeBilinear } from '../tensor/ops/resize.js';

/**
 * For each of `bins`, the averages of x [N,h,w,C] over a grid of bins by bins equal cells, [N,bins,bins,C]. The averages of a
 * grid that divides a finer one are taken of that one's, so that with bins of 1, 2, 3 and 6 x is read, and its gradient
 * written, once.
 *
 * @throws Error unless every grid divides x
 */
export function gridPools(x: Tensor, bins: readonly number[]): Tensor[] {
  const [, height, width] = x.shape as [number, number, number, number];
  const grids = new Map<number, Tensor>();
  for (const bin of [...bins].sort((a, b) => b - a)) {
    if (height % bin !== 0 || width % bin !== 0)
      throw new Error(`a feature map of ${height}x${width} does not divide into ${bin}x${bin} cells`);
    const finer = [...grids.keys()].find((other) => other % bin === 0);
    const from = finer === undefined ? x : grids.get(finer)!;
    const size: [number, number] = [from.shape[1]! / bin, from.shape[2]! / bin];
    grids.set(bin, avgPool(from, { size, stride: size, padding: [0, 0, 0, 0] }));
  }
  return bins.map((bin) => grids.get(bin)!);
}

/**
 * Bilinear resize of a grid [N,h,w,C] to the much larger [N,height,width,C]: rows first, then columns, so that each value of
 * the gradient gathers `height` and then `width` values, not their product.
 */
export function spreadGrid(grid: Tensor, [height, width]: readonly [number, number], options: ResizeOptions): Tensor {
  return resizeBilinear(resizeBilinear(grid, [height, grid.shape[2]!], options), [height, width], options);
}

/** Smallest number that is a multiple of all. */
export function leastCommonMultiple(numbers: readonly number[]): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  return numbers.reduce((all, n) => (all * n) / divisor(all, n), 1);
}
