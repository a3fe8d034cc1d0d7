/** Random label maps for the tests of metrics, and maps drawn in text. */
import type { LabelMap } from '../../src/evaluation/label_map.js';
import { Random } from '../../src/tensor/random.js';

/** A map from rows of characters: digits are labels, `-` is -1 and `.` is 255. */
export function drawn(...rows: string[]): LabelMap {
  const number = (character: string) => (character === '-' ? -1 : character === '.' ? 255 : Number(character));
  return { width: rows[0]!.length, height: rows.length, data: rows.flatMap((row) => [...row].map(number)) };
}

/** Cells of the labels `lowest` to `highest` around random points, every `speckle`th pixel at random, and void (255). */
export function blobs(
  seed: number,
  { width, height }: { width: number; height: number },
  { lowest = 0, highest = 3, cells = 8, speckle = 0.05, voids = 0.1 } = {},
): LabelMap {
  const random = new Random({ seed, stream: 99 });
  const points = Array.from({ length: cells }, () => ({
    x: random.between(0, width),
    y: random.between(0, height),
    label: random.uniform() < voids ? 255 : random.integerIn(lowest, highest),
  }));
  const data = Array.from({ length: width * height }, (_, i) => {
    if (random.uniform() < speckle) return random.uniform() < voids ? 255 : random.integerIn(lowest, highest);
    const far = ({ x, y }: { x: number; y: number }) => (x - (i % width)) ** 2 + (y - Math.floor(i / width)) ** 2;
    return points.reduce((a, b) => (far(b) < far(a) ? b : a)).label;
  });
  return { width, height, data };
}

/** Indices of the (up to 4) neighbours of a pixel. */
export function neighbours({ width, height }: { width: number; height: number }, i: number): number[] {
  const [x, y] = [i % width, Math.floor(i / width)];
  const all = [
    [x - 1, y],
    [x + 1, y],
    [x, y - 1],
    [x, y + 1],
  ] as const;
  return all.filter(([u, v]) => u >= 0 && v >= 0 && u < width && v < height).map(([u, v]) => v * width + u);
}

export function distance({ width }: { width: number }, a: number, b: number): number {
  return Math.sqrt(((a % width) - (b % width)) ** 2 + (Math.floor(a / width) - Math.floor(b / width)) ** 2);
}

export const pixelsOf = ({ data }: LabelMap): number[] => Array.from(data, (_, i) => i);
