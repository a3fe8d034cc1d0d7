/** Precision and recall of contours against human segmentations, as the Berkeley benchmark takes them. */
import { type ContourGrid, gridOfRegions, pixelStrengths } from '../contours/grid.js';
import { BoundaryMatcher } from './boundaries_matching.js';
import { thin } from './boundaries_thinning.js';

/** Distance up to which pixels match, as a share of the image's diagonal. */
export const BOUNDARY_TOLERANCE = 0.0075;

/** The thresholds of the benchmark: `count` values evenly inside (0, 1). */
export function evenThresholds(count = 99): number[] {
  return Array.from({ length: count }, (_, i) => (i + 1) / (count + 1));
}

/** Counts of one image, or their sums over many, at one threshold. */
export interface BoundaryCounts {
  /** Boundary pixels of all human segmentations together, and those of them that were detected. */
  readonly truth: number;
  readonly recalled: number;
  /** Detected pixels, and those of them that match a boundary of at least one human. */
  readonly detected: number;
  readonly confirmed: number;
}

/**
 * Counts matches of a contour map with human segmentations at every threshold, by the protocol of the BSDS500 benchmark
 * (Arbelaez et al., TPAMI 2011, section 3.1; Martin, Fowlkes and Malik, TPAMI 2004): strengths of at least
 * the threshold are thinned and matched one to one with each human's boundaries. What is called matching is described at
 * `BoundaryMatcher`.
 *
 * @param humans maps of regions, `height * width` each
 */
export function boundaryCounts(
  contours: ContourGrid,
  humans: readonly ArrayLike<number>[],
  thresholds: readonly number[],
  tolerance = BOUNDARY_TOLERANCE,
): BoundaryCounts[] {
  if (humans.length === 0) throw new RangeError('boundaryCounts: there is no human map to compare with');
  const { width, height } = contours;
  const strengths = pixelStrengths(contours);
  const truths = humans.map((regions) => {
    if (regions.length !== width * height)
      throw new RangeError(`boundaryCounts: a human map of ${regions.length} pixels, contours of ${width}x${height}`);
    return thin(Uint8Array.from(pixelStrengths(gridOfRegions(width, height, regions))), width, height);
  });
  const least = Math.min(...thresholds);
  const candidates = Int32Array.from(strengths.keys()).filter((pixel) => strengths[pixel]! >= least);
  const radius = tolerance * Math.sqrt(width * width + height * height);
  const matchers = truths.map((truth) => new BoundaryMatcher(truth, candidates, width, height, radius));
  const truth = matchers.reduce((sum, matcher) => sum + matcher.truthPixels, 0);

  let marked = -1;
  let previous: BoundaryCounts | null = null;
  return thresholds.map((threshold) => {
    const mask = Uint8Array.from(strengths, (strength) => (strength >= threshold ? 1 : 0));
    const size = candidates.reduce((sum, pixel) => sum + mask[pixel]!, 0);
    if (previous && size === marked) return previous;
    marked = size;
    const thinned = thin(mask, width, height);
    const detected = Uint8Array.from(candidates, (pixel) => thinned[pixel]!);
    const matched = new Uint8Array(candidates.length);
    const recalled = matchers.reduce((sum, matcher) => sum + matcher.match(detected, matched), 0);
    previous = { truth, recalled, detected: sumOf(detected), confirmed: sumOf(matched) };
    return previous;
  });
}

const sumOf = (marks: Uint8Array) => marks.reduce((sum, mark) => sum + mark, 0);

export interface BoundaryPoint {
  readonly threshold: number;
  readonly precision: number;
  readonly recall: number;
  /** Harmonic mean of precision and recall. */
  readonly f: number;
}

export interface BoundaryScore {
  /** The best threshold for all images (optimal dataset scale), interpolated between thresholds. */
  readonly ods: BoundaryPoint;
  /** Each image at its own best threshold (optimal image scale); counts are summed before they are divided. */
  readonly ois: Omit<BoundaryPoint, 'threshold'>;
  /** Area under the curve of precision over recall. */
  readonly averagePrecision: number;
  readonly curve: readonly BoundaryPoint[];
}

/** Adds up the counts of images. */
export class BoundaryBenchmark {
  readonly thresholds: readonly number[];
  readonly #total: BoundaryCounts[];
  #best: BoundaryCounts = NOTHING;
  #images = 0;

  constructor(thresholds: readonly number[]) {
    this.thresholds = thresholds;
    this.#total = thresholds.map(() => NOTHING);
  }

  get images(): number {
    return this.#images;
  }

  /** @param counts one a threshold */
  add(counts: readonly BoundaryCounts[]): void {
    if (counts.length !== this.thresholds.length)
      throw new RangeError(`BoundaryBenchmark: counts at ${counts.length} of ${this.thresholds.length} thresholds`);
    let best = counts[0]!;
    for (const [i, count] of counts.entries()) {
      this.#total[i] = sum(this.#total[i]!, count);
      if (pointOf(0, count).f > pointOf(0, best).f) best = count;
    }
    this.#best = sum(this.#best, best);
    this.#images++;
  }

  score(): BoundaryScore {
    const curve = this.#total.map((counts, i) => pointOf(this.thresholds[i]!, counts));
    const { threshold: _, ...ois } = pointOf(0, this.#best);
    return { ods: bestPoint(curve), ois, averagePrecision: areaUnder(curve), curve };
  }
}

/**
 * How far humans agree: each segmentation scored against the others of its image, summed over all. What a detector can
 * hope for.
 */
export function humanAgreement(
  images: Iterable<{ width: number; height: number; humans: readonly ArrayLike<number>[] }>,
): BoundaryPoint {
  let total = NOTHING;
  for (const { width, height, humans } of images) {
    if (humans.length < 2) continue;
    for (const [i, human] of humans.entries()) {
      const others = humans.filter((_, j) => j !== i);
      total = sum(total, boundaryCounts(gridOfRegions(width, height, human), others, [0.5])[0]!);
    }
  }
  return pointOf(0.5, total);
}

const NOTHING: BoundaryCounts = { truth: 0, recalled: 0, detected: 0, confirmed: 0 };

function sum(a: BoundaryCounts, b: BoundaryCounts): BoundaryCounts {
  return {
    truth: a.truth + b.truth,
    recalled: a.recalled + b.recalled,
    detected: a.detected + b.detected,
    confirmed: a.confirmed + b.confirmed,
  };
}

/** A share of nothing is 0, as in the benchmark. */
function pointOf(threshold: number, { truth, recalled, detected, confirmed }: BoundaryCounts): BoundaryPoint {
  return withF(threshold, detected > 0 ? confirmed / detected : 0, truth > 0 ? recalled / truth : 0);
}

function withF(threshold: number, precision: number, recall: number): BoundaryPoint {
  const f = precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
  return { threshold, precision, recall, f };
}

const STEPS = 99;

function bestPoint(curve: readonly BoundaryPoint[]): BoundaryPoint {
  let best = curve[0]!;
  for (const [i, to] of curve.entries())
    for (let step = 1; i > 0 && step <= STEPS; step++) {
      const from = curve[i - 1]!;
      const mix = (a: number, b: number) => a + ((b - a) * step) / STEPS;
      const point = withF(
        mix(from.threshold, to.threshold),
        mix(from.precision, to.precision),
        mix(from.recall, to.recall),
      );
      if (point.f > best.f) best = point;
    }
  return best;
}

/** Precision is interpolated at recalls of 0, 0.01, ... 1, and is 0 outside of the recalls that were seen. */
function areaUnder(curve: readonly BoundaryPoint[]): number {
  const points = [...curve].sort((a, b) => a.recall - b.recall || b.threshold - a.threshold);
  let area = 0;
  for (let i = 0; i <= 100; i++) {
    const recall = i / 100;
    const after = points.findIndex((point) => point.recall >= recall);
    if (after < 0) break;
    const to = points[after]!;
    const from = points[after - 1];
    if (to.recall === recall) area += to.precision / 100;
    else if (from)
      area +=
        (from.precision + ((to.precision - from.precision) * (recall - from.recall)) / (to.recall - from.recall)) / 100;
  }
  return area;
}
