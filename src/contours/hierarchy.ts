/** A hierarchy of regions: the finest ones, and the order in which they are merged. */
import { type ContourGrid, emptyGrid, fillCorners } from './grid.js';

/** A map of regions: a number from 0 a pixel, row-major, in order of first appearance. */
export interface RegionMap {
  readonly width: number;
  readonly height: number;
  readonly data: Int32Array;
  readonly count: number;
}

/** Two regions become one. The finest regions have the numbers below `leaves`; merge i makes region `leaves + i`. */
export interface Merge {
  readonly first: number;
  readonly second: number;
  /** Strength of the contour between them, from 0 to 1; never less than that of an earlier merge. */
  readonly level: number;
}

/**
 * An ultrametric contour map. The regions at a level are unions of regions at every lower level, and two pixels are
 * apart by the level at which their regions merge.
 */
export class RegionHierarchy {
  readonly width: number;
  readonly height: number;
  /** The finest regions, a number from 0 a pixel. */
  readonly finest: Int32Array;
  readonly leaves: number;
  /** By rising level. */
  readonly merges: readonly Merge[];
  readonly #parent: Int32Array;

  constructor(width: number, height: number, finest: Int32Array, leaves: number, merges: readonly Merge[]) {
    if (merges.length >= Math.max(1, leaves))
      throw new RangeError(`RegionHierarchy: ${merges.length} merges of ${leaves} regions`);
    this.width = width;
    this.height = height;
    this.finest = finest;
    this.leaves = leaves;
    this.merges = merges;
    this.#parent = new Int32Array(leaves + merges.length).fill(-1);
    for (const [i, { first, second, level }] of merges.entries()) {
      if (i > 0 && level < merges[i - 1]!.level)
        throw new RangeError(
          `RegionHierarchy: merge ${i} at level ${level} comes after one at ${merges[i - 1]!.level}`,
        );
      this.#parent[first] = leaves + i;
      this.#parent[second] = leaves + i;
    }
  }

  /** The regions after all merges of at most `level`: those that stronger contours enclose. */
  regionsAt(level: number): RegionMap {
    let count = 0;
    while (count < this.merges.length && this.merges[count]!.level <= level) count++;
    return this.#regionsAfter(count);
  }

  /** `count` regions, or as many as there are at most. Merges of one level are told apart by their order. */
  regions(count: number): RegionMap {
    if (!(count >= 1)) throw new RangeError(`RegionHierarchy: ${count} regions; there is at least one`);
    return this.#regionsAfter(Math.max(0, Math.min(this.merges.length, this.leaves - Math.floor(count))));
  }

  #regionsAfter(merges: number): RegionMap {
    const end = this.leaves + merges;
    const top = Int32Array.from({ length: end }, (_, i) => i);
    for (let region = end - 1; region >= 0; region--) {
      const parent = this.#parent[region]!;
      if (parent >= 0 && parent < end) top[region] = top[parent]!;
    }
    const names = new Int32Array(end).fill(-1);
    let count = 0;
    const data = this.finest.map((leaf) => {
      const region = top[leaf]!;
      if (names[region]! < 0) names[region] = count++;
      return names[region]!;
    });
    return { width: this.width, height: this.height, data, count };
  }

  /** The level at which two of the finest regions are one; infinite if they never are. */
  levelBetween(a: number, b: number): number {
    let [x, y] = [a, b];
    while (x !== y) {
      if (x < y) x = this.#parent[x]!;
      else y = this.#parent[y]!;
      if (x < 0 || y < 0) return Number.POSITIVE_INFINITY;
    }
    return x < this.leaves ? 0 : this.merges[x - this.leaves]!.level;
  }

  /** The hierarchy as contour strengths on the double grid. */
  grid(): ContourGrid {
    const { width, height, finest } = this;
    const grid = emptyGrid(width, height);
    const stride = 2 * width + 1;
    const known = new Map<number, number>();
    const strength = (a: number, b: number) => {
      if (a === b) return 0;
      const key = a < b ? a * this.leaves + b : b * this.leaves + a;
      let level = known.get(key);
      if (level === undefined) {
        level = Math.min(1, this.levelBetween(a, b));
        known.set(key, level);
      }
      return level;
    };
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const pixel = y * width + x;
        const at = (2 * y + 1) * stride + 2 * x + 1;
        if (x + 1 < width) grid.data[at + 1] = strength(finest[pixel]!, finest[pixel + 1]!);
        if (y + 1 < height) grid.data[at + stride] = strength(finest[pixel]!, finest[pixel + width]!);
      }
    fillCorners(grid);
    return grid;
  }
}
