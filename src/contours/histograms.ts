/** Local histograms: what is counted in a pixel, and in squares of pixels. */
import type { Plane } from './colour.js';

/** Units in which a pixel is counted, so that it can be shared between bins in whole numbers. */
const UNITS = 4;

/** A histogram for each cell, as lists of the bins that are not empty. */
export interface CellHistograms {
  readonly width: number;
  readonly height: number;
  readonly bins: number;
  /** Cell i has the entries from `first[i]` to before `first[i + 1]`. */
  readonly first: Int32Array;
  /** `bin | amount << 8` */
  readonly entries: Int32Array;
}

/** Histograms of values from 0 to 1; a value is shared between the two bins whose centres it lies between. */
export function valueHistograms({ width, height, data }: Plane, bins: number): CellHistograms {
  const entries = new Int32Array(2 * data.length);
  const first = new Int32Array(data.length + 1);
  let size = 0;
  for (let pixel = 0; pixel < data.length; pixel++) {
    const place = Math.floor(data[pixel]! * (bins - 1) * UNITS + 0.5);
    const bin = Math.floor(place / UNITS);
    const upper = place - bin * UNITS;
    entries[size++] = bin | ((UNITS - upper) << 8);
    if (upper > 0) entries[size++] = (bin + 1) | (upper << 8);
    first[pixel + 1] = size;
  }
  return { width, height, bins, first, entries: entries.slice(0, size) };
}

/** Histograms of classes, such as textons. */
export function classHistograms(width: number, height: number, classes: Uint8Array, bins: number): CellHistograms {
  return {
    width,
    height,
    bins,
    first: Int32Array.from({ length: classes.length + 1 }, (_, i) => i),
    entries: Int32Array.from(classes, (bin) => bin | (UNITS << 8)),
  };
}

/** Cells of twice the size: the histograms of 2 x 2 cells, of fewer at the right and lower border, added. */
export function halved(cells: CellHistograms): CellHistograms {
  const { bins, first, entries } = cells;
  const width = (cells.width + 1) >> 1;
  const height = (cells.height + 1) >> 1;
  const starts = new Int32Array(width * height + 1);
  const merged = new Int32Array(entries.length);
  const sums = new Int32Array(bins);
  let size = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      let [least, largest] = [bins, -1];
      for (let dy = 0; dy < 2 && 2 * y + dy < cells.height; dy++)
        for (let dx = 0; dx < 2 && 2 * x + dx < cells.width; dx++) {
          const cell = (2 * y + dy) * cells.width + 2 * x + dx;
          for (let e = first[cell]!; e < first[cell + 1]!; e++) {
            const bin = entries[e]! & 0xff;
            sums[bin]! += entries[e]! >> 8;
            if (bin < least) least = bin;
            if (bin > largest) largest = bin;
          }
        }
      for (let bin = least; bin <= largest; bin++)
        if (sums[bin]! > 0) {
          merged[size++] = bin | (sums[bin]! << 8);
          sums[bin] = 0;
        }
      starts[y * width + x + 1] = size;
    }
  return { width, height, bins, first: starts, entries: merged.slice(0, size) };
}
