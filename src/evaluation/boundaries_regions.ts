/** How well regions agree with human segmentations: covering, probabilistic Rand index, variation of information. */
import { type ContourGrid, regionsOfGrid } from '../contours/grid.js';

/** Of one image at one threshold. */
export interface RegionAgreement {
  /**
   * Covering of the human segmentations by the regions: for every human region the largest intersection over union with any
   * region, weighted by size (Arbelaez et al., TPAMI 2011, equation 1).
   */
  readonly covering: number;
  /** Share of pairs of pixels on which regions and human agree whether they belong together, over all humans (PRI). */
  readonly rand: number;
  /** Variation of information in bits, mean over the humans (Meila, 2005); less is better. */
  readonly variation: number;
}

export interface RegionAgreements {
  /** One a threshold. */
  readonly levels: readonly RegionAgreement[];
  /** Covering where every human region is met by the best region of any threshold. */
  readonly bestCovering: number;
  /** Pixels times humans: the weight of the image's covering. */
  readonly weight: number;
}

/**
 * Compares the regions of a hierarchy at every threshold with human segmentations.
 *
 * @param humans maps of regions from 0, `height * width` each
 * @param thresholds rising
 */
export function regionAgreements(
  contours: ContourGrid,
  humans: readonly ArrayLike<number>[],
  thresholds: readonly number[],
): RegionAgreements {
  if (humans.length === 0) throw new RangeError('regionAgreements: there is no human map to compare with');
  const { width, height } = contours;
  const pixels = width * height;
  for (const human of humans)
    if (human.length !== pixels)
      throw new RangeError(`regionAgreements: a human map of ${human.length} pixels, contours of ${width}x${height}`);
  const leaves = regionsOfGrid(contours, thresholds[0]!);
  const tables = humans.map((human) => contingency(leaves.labels, leaves.count, human));
  const best = tables.map(({ columns }) => new Float64Array(columns));
  const links = linksOf(contours, leaves.labels);
  const parent = Int32Array.from({ length: leaves.count }, (_, i) => i);
  let next = 0;

  const levels = thresholds.map((threshold) => {
    for (; next < links.length && links[next]!.strength <= threshold; next++) {
      const { a, b } = links[next]!;
      parent[find(parent, a)] = find(parent, b);
    }
    const roots = Int32Array.from(parent, (_, leaf) => find(parent, leaf));
    let [covered, rand, variation] = [0, 0, 0];
    for (const [i, table] of tables.entries()) {
      const measured = measure(mergeRows(table, roots), best[i]!);
      covered += measured.covered;
      rand += measured.rand;
      variation += measured.variation;
    }
    const n = humans.length;
    return { covering: covered / (n * pixels), rand: rand / n, variation: variation / n };
  });
  let bestCovered = 0;
  for (const [i, { columnSums }] of tables.entries())
    bestCovered += columnSums.reduce((sum, size, column) => sum + size * best[i]![column]!, 0);
  const weight = pixels * humans.length;
  return { levels, bestCovering: bestCovered / weight, weight };
}

/** Pixels in each (region, human region), row-major. */
interface Contingency {
  readonly rows: number;
  readonly columns: number;
  readonly counts: Float64Array;
  readonly columnSums: Float64Array;
}

function contingency(labels: Int32Array, rows: number, human: ArrayLike<number>): Contingency {
  let columns = 0;
  for (let i = 0; i < human.length; i++) columns = Math.max(columns, human[i]! + 1);
  const counts = new Float64Array(rows * columns);
  const columnSums = new Float64Array(columns);
  for (let i = 0; i < human.length; i++) {
    counts[labels[i]! * columns + human[i]!]! += 1;
    columnSums[human[i]!]! += 1;
  }
  return { rows, columns, counts, columnSums };
}

function mergeRows(table: Contingency, rowOf: Int32Array): Contingency {
  const { rows, columns } = table;
  const counts = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      counts[rowOf[row]! * columns + column]! += table.counts[row * columns + column]!;
  return { ...table, counts };
}

/** @param best the largest intersection over union of every human region so far, which is brought up to date */
function measure(
  { rows, columns, counts, columnSums }: Contingency,
  best: Float64Array,
): { covered: number; rand: number; variation: number } {
  const total = columnSums.reduce((a, b) => a + b, 0);
  const here = new Float64Array(columns);
  let [squares, rowSquares, entropy, rowEntropy] = [0, 0, 0, 0];
  const term = (count: number) => (count > 0 ? -(count / total) * Math.log2(count / total) : 0);
  for (let row = 0; row < rows; row++) {
    const line = counts.subarray(row * columns, (row + 1) * columns);
    let rowSum = 0;
    for (let column = 0; column < columns; column++) rowSum += line[column]!;
    if (rowSum === 0) continue;
    rowSquares += rowSum * rowSum;
    rowEntropy += term(rowSum);
    for (let column = 0; column < columns; column++) {
      const count = line[column]!;
      if (count === 0) continue;
      squares += count * count;
      entropy += term(count);
      here[column] = Math.max(here[column]!, count / (rowSum + columnSums[column]! - count));
    }
  }
  let [covered, columnSquares, columnEntropy] = [0, 0, 0];
  for (const [column, size] of columnSums.entries()) {
    covered += size * here[column]!;
    best[column] = Math.max(best[column]!, here[column]!);
    columnSquares += size * size;
    columnEntropy += term(size);
  }
  const pairs = (total * (total - 1)) / 2;
  return {
    covered,
    rand: pairs > 0 ? 1 - ((rowSquares + columnSquares) / 2 - squares) / pairs : 1,
    // H(A) + H(B) - 2 I(A; B), with I = H(A) + H(B) - H(A, B).
    variation: 2 * entropy - rowEntropy - columnEntropy,
  };
}

/** Pairs of touching leaves with the weakest contour between them, by rising strength. */
function linksOf({ width, height, data }: ContourGrid, labels: Int32Array) {
  const stride = 2 * width + 1;
  const weakest = new Map<number, { a: number; b: number; strength: number }>();
  const link = (p: number, q: number, strength: number) => {
    const [a, b] = [Math.min(labels[p]!, labels[q]!), Math.max(labels[p]!, labels[q]!)];
    if (a === b) return;
    const key = a * labels.length + b;
    const known = weakest.get(key);
    if (!known) weakest.set(key, { a, b, strength });
    else if (strength < known.strength) known.strength = strength;
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const pixel = y * width + x;
      const at = (2 * y + 1) * stride + 2 * x + 1;
      if (x + 1 < width) link(pixel, pixel + 1, data[at + 1]!);
      if (y + 1 < height) link(pixel, pixel + width, data[at + stride]!);
    }
  return [...weakest.values()].sort((a, b) => a.strength - b.strength);
}

function find(parent: Int32Array, node: number): number {
  let root = node;
  while (parent[root] !== root) root = parent[root]!;
  while (parent[node] !== root) [node, parent[node]] = [parent[node]!, root];
  return root;
}

export interface HierarchyScore {
  /** At the best threshold for all images, at each image's own, and with the best regions of any threshold. */
  readonly covering: { readonly ods: number; readonly ois: number; readonly best: number; readonly threshold: number };
  readonly rand: { readonly ods: number; readonly ois: number };
  readonly variation: { readonly ods: number; readonly ois: number };
}

/** Adds up the agreements of images. Coverings are weighted by pixels times humans, the others count each image once. */
export class RegionBenchmark {
  readonly thresholds: readonly number[];
  readonly #images: RegionAgreements[] = [];

  constructor(thresholds: readonly number[]) {
    this.thresholds = thresholds;
  }

  add(agreements: RegionAgreements): void {
    if (agreements.levels.length !== this.thresholds.length)
      throw new RangeError(
        `RegionBenchmark: agreements at ${agreements.levels.length} of ${this.thresholds.length} thresholds`,
      );
    this.#images.push(agreements);
  }

  score(): HierarchyScore {
    const images = this.#images;
    const weighted = (value: (image: RegionAgreements) => number, weight: (image: RegionAgreements) => number) =>
      images.reduce((sum, image) => sum + value(image) * weight(image), 0) /
      Math.max(
        1,
        images.reduce((sum, image) => sum + weight(image), 0),
      );
    const byPixels = (value: (image: RegionAgreements) => number) => weighted(value, ({ weight }) => weight);
    const byImage = (value: (image: RegionAgreements) => number) => weighted(value, () => 1);
    const coverings = this.thresholds.map((_, i) => byPixels(({ levels }) => levels[i]!.covering));
    const ods = Math.max(...coverings);
    return {
      covering: {
        ods,
        ois: byPixels(({ levels }) => Math.max(...levels.map(({ covering }) => covering))),
        best: byPixels(({ bestCovering }) => bestCovering),
        threshold: this.thresholds[coverings.indexOf(ods)]!,
      },
      rand: {
        ods: Math.max(...this.thresholds.map((_, i) => byImage(({ levels }) => levels[i]!.rand))),
        ois: byImage(({ levels }) => Math.max(...levels.map(({ rand }) => rand))),
      },
      variation: {
        ods: Math.min(...this.thresholds.map((_, i) => byImage(({ levels }) => levels[i]!.variation))),
        ois: byImage(({ levels }) => Math.min(...levels.map(({ variation }) => variation))),
      },
    };
  }
}
