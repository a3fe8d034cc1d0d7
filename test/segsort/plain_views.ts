/** Segmentation by windows, scales and mirrored views in plain float64 loops: what the tests of the segmenter compare with. */
import { dot, plainGrid, plainKMeans, unit } from './plain.js';

/** Vectors of a map, row-major. */
export interface PlainMap {
  readonly height: number;
  readonly width: number;
  readonly data: readonly (readonly number[])[];
}

const between = (a: readonly number[], b: readonly number[], t: number) => a.map((v, i) => v * (1 - t) + b[i]! * t);

/** The map at a place between its pixels; beyond its edges it goes on as it ends. */
export function interpolate({ height, width, data }: PlainMap, y: number, x: number): number[] {
  const clamp = (value: number, extent: number) => Math.min(Math.max(value, 0), extent - 1);
  const [row, column] = [clamp(y, height), clamp(x, width)];
  const [top, left] = [Math.floor(row), Math.floor(column)];
  const at = (r: number, c: number) => data[Math.min(r, height - 1) * width + Math.min(c, width - 1)]!;
  return between(
    between(at(top, left), at(top, left + 1), column - left),
    between(at(top + 1, left), at(top + 1, left + 1), column - left),
    row - top,
  );
}

/** A map of `height` by `width` vectors. */
export function mapOf(height: number, width: number, at: (y: number, x: number) => readonly number[]): PlainMap {
  const data = Array.from({ length: height * width }, (_, i) => at(Math.floor(i / width), i % width));
  return { height, width, data };
}

/** The image at another scale, mirrored after that. */
export function viewOf(image: PlainMap, scale: number, mirror: boolean): PlainMap {
  const [height, width] = [Math.round(image.height * scale), Math.round(image.width * scale)];
  return mapOf(height, width, (y, x) => {
    const column = mirror ? width - 1 - x : x;
    return interpolate(image, (y * image.height) / height, (column * image.width) / width);
  });
}

/** The test's network on a window: means over 4 by 4 pixels, every 2, with zeros around the window; and a constant. */
export function plainFeatures(window: PlainMap): PlainMap {
  return mapOf(window.height / 2, window.width / 2, (y, x) => {
    const sums = [0, 0, 0];
    for (let r = 2 * y - 1; r < 2 * y + 3; r++)
      for (let c = 2 * x - 1; c < 2 * x + 3; c++)
        if (r >= 0 && c >= 0 && r < window.height && c < window.width)
          for (let i = 0; i < 3; i++) sums[i]! += window.data[r * window.width + c]![i]!;
    return [...sums.map((sum) => sum / 16), 40];
  });
}

/** First pixels of windows along an axis: the fewest that lie at most `stride` apart, from the first to the last. */
export function plainOrigins(extent: number, window: number, stride: number): number[] {
  if (extent <= window) return [0];
  let count = 2;
  while ((extent - window) / (count - 1) > stride) count++;
  return Array.from({ length: count }, (_, i) => Math.floor((i * (extent - window)) / (count - 1)));
}

/** Average of what the windows say of the places of a view, each made `as` and weighted by its place in the window. */
export function blend(
  view: PlainMap,
  { side, stride }: { side: number; stride: number },
  as: (features: number[]) => number[],
  places: readonly (readonly [y: number, x: number])[],
): number[][] {
  const windows = plainOrigins(view.height, side, stride).flatMap((top) =>
    plainOrigins(view.width, side, stride).map((left) => {
      const pixels = mapOf(side, side, (y, x) =>
        top + y < view.height && left + x < view.width ? view.data[(top + y) * view.width + left + x]! : [0, 0, 0],
      );
      return { top, left, features: plainFeatures(pixels) };
    }),
  );
  const tent = (at: number) => Math.min(at + 1, side - at);
  return places.map(([y, x]) => {
    let total = 0;
    let sum = [0, 0, 0, 0];
    for (const { top, left, features } of windows) {
      const [row, column] = [y - top, x - left];
      if (Math.floor(row) < 0 || Math.floor(column) < 0 || row >= side || column >= side) continue;
      const weight = tent(row) * tent(column);
      total += weight;
      sum = as(interpolate(features, row / 2, column / 2)).map((value, i) => sum[i]! + value * weight);
    }
    return sum.map((value) => value / total);
  });
}

/** Where the pixels of an image's map, of one for `stride` pixels, lie in a view. */
export function placesInView(
  image: { height: number; width: number },
  view: { height: number; width: number },
  mirror: boolean,
  stride: number,
): [number, number][] {
  const places: [number, number][] = [];
  for (let y = 0; y < image.height; y += stride)
    for (let x = 0; x < image.width; x += stride) {
      const column = (x * view.width) / image.width;
      const place = mirror ? view.width - 1 - column : column;
      places.push([
        Math.min((y * view.height) / image.height, view.height - 1),
        Math.min(Math.max(place, 0), view.width - 1),
      ]);
    }
  return places;
}

export function plainSoftmax(values: readonly number[]): number[] {
  const powers = values.map((value) => Math.exp(value - Math.max(...values)));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

export interface PlainTable {
  readonly features: readonly number[][];
  readonly labels: readonly number[];
  readonly classes: number;
  readonly k: number;
}

/** Clusters a map of embeddings, and counts the votes on each cluster. */
export function plainVotes(map: PlainMap, cells: number, iterations: number, table: PlainTable) {
  const units = map.data.map((vector) => unit([...vector]));
  const features = units.map((vector, p) => {
    const [y, x] = [Math.floor(p / map.width), p % map.width];
    return unit([...vector, y / map.height, x / map.width]);
  });
  const initial = plainGrid(map.height, map.width, [cells, cells]);
  const { ids } = plainKMeans(features, initial, cells * cells, iterations);
  const votes = Array.from({ length: cells * cells }, (_, cluster) => {
    const counts = new Array<number>(table.classes).fill(0);
    const members = units.filter((_, p) => ids[p] === cluster);
    if (members.length === 0) return counts;
    const query = unit(members.reduce((a, b) => a.map((value, i) => value + b[i]!)));
    const similarities = table.features.map((row) => dot(query, row));
    const rows = [...similarities.keys()].sort((a, b) => similarities[b]! - similarities[a]! || a - b);
    for (const row of rows.slice(0, table.k)) counts[table.labels[row]!]!++;
    return counts;
  });
  return { ids, votes };
}
