/**
 * How well a segmentation follows the contours of each class.
 *
 * The measure is that of Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013: for each
 * class, precision and recall of its contour, where a contour pixel is matched if the other contour of that class comes
 * as near as a share of the image's diagonal (0.75 %). As in the DAVIS benchmark (Perazzi et al., CVPR 2016) the
 * match is a dilation by a disc, not an assignment of pixel to pixel, which changes little at such tolerances.
 *
 * VOC's truth has a band of void along its contours. Contours are therefore taken with each void pixel given to the nearest
 * label, which puts them in the middle of the band. Void never counts against a prediction: a predicted contour
 * pixel there is left out unless it is matched, and so is a true one that is farther from any label than the tolerance.
 */
import { meanOf } from './confusion.js';
import { checkSameSize, distancesTo, edges, type LabelMap } from './label_map.js';

export interface BoundaryFOptions {
  /** The label of pixels that don't count. Default: 255. */
  readonly ignore?: number;
  /** How far a contour may be off, as a share of the image's diagonal. Default: 0.0075. */
  readonly tolerance?: number;
}

export interface BoundaryFResult {
  /** For each class the mean of F over the images where it has a contour, true or predicted; null without any. */
  readonly classes: readonly (number | null)[];
  /** Mean over the classes that have a value. */
  readonly classMean: number | null;
  /** Mean over the images of the mean over their classes: the figure of Csurka et al. */
  readonly imageMean: number | null;
  /** Images that had a contour to score. */
  readonly images: number;
}

/** Contour pixels of one class, and how many of them the other map's contour comes near to. */
interface ContourMatch {
  truth: number;
  matchedTruth: number;
  predicted: number;
  matchedPredicted: number;
}

/** A map with 1 in `edge` where a pixel belongs to the contour of its label. */
interface Contours extends LabelMap {
  readonly edge: Uint8Array<ArrayBuffer>;
}

/** Harmonic mean of precision and recall; null if there is no contour on either side. */
function fMeasure({ truth, matchedTruth, predicted, matchedPredicted }: Readonly<ContourMatch>): number | null {
  if (truth === 0 && predicted === 0) return null;
  if (matchedTruth === 0 || matchedPredicted === 0) return 0;
  const precision = matchedPredicted / predicted;
  const recall = matchedTruth / truth;
  return (2 * precision * recall) / (precision + recall);
}

/** Streamed over images; see the head of this file for the definition. */
export class BoundaryF {
  readonly classes: number;
  readonly ignore: number;
  readonly tolerance: number;
  readonly #sums: Float64Array<ArrayBuffer>;
  readonly #counts: Float64Array<ArrayBuffer>;
  #imageSum = 0;
  #images = 0;

  constructor(classes: number, { ignore = 255, tolerance = 0.0075 }: BoundaryFOptions = {}) {
    if (!(Number.isInteger(classes) && classes > 0)) throw new Error(`BoundaryF: ${classes} classes`);
    if (!(tolerance >= 0)) throw new Error(`BoundaryF: a tolerance of ${tolerance}`);
    this.classes = classes;
    this.ignore = ignore;
    this.tolerance = tolerance;
    this.#sums = new Float64Array(classes);
    this.#counts = new Float64Array(classes);
  }

  /**
   * Scores an image. A negative prediction is none, and borders on every label.
   *
   * @returns F of each class in this image; null for a class without a contour
   * @throws Error if the maps differ in size or hold labels that are no class
   */
  add(truth: LabelMap, predicted: LabelMap): (number | null)[] {
    checkSameSize('BoundaryF', { truth, predicted });
    this.#checkLabels(truth, predicted);
    const reach = this.tolerance ** 2 * (truth.width ** 2 + truth.height ** 2);
    const labelled = Uint8Array.from(truth.data, (label) => Number(label !== this.ignore));
    const fill = distancesTo(labelled, truth);
    const data = Int32Array.from(fill.nearest, (site) => (site < 0 ? -1 : truth.data[site]!));
    const real: Contours = { ...truth, data, edge: edges({ ...truth, data }) };
    for (const [i, squared] of fill.squared.entries()) if (squared > reach) real.edge[i] = 0;
    const found: Contours = { ...predicted, edge: edges(predicted) };

    const disc = discOf(reach);
    const matches = Array.from({ length: this.classes }, (): ContourMatch => {
      return { truth: 0, matchedTruth: 0, predicted: 0, matchedPredicted: 0 };
    });
    for (let i = 0; i < labelled.length; i++) {
      const match = real.edge[i] ? matches[data[i]!] : undefined;
      if (match) {
        match.truth++;
        if (comesNear(found, i, data[i]!, disc)) match.matchedTruth++;
      }
      const label = predicted.data[i]!;
      const answer = found.edge[i] ? matches[label] : undefined;
      if (answer) {
        const matched = comesNear(real, i, label, disc);
        if (matched || labelled[i]) answer.predicted++;
        if (matched) answer.matchedPredicted++;
      }
    }
    const own = matches.map(fMeasure);
    for (const [label, value] of own.entries())
      if (value !== null) {
        this.#sums[label]! += value;
        this.#counts[label]!++;
      }
    const mean = meanOf(own);
    if (mean !== null) {
      this.#imageSum += mean;
      this.#images++;
    }
    return own;
  }

  #checkLabels(truth: LabelMap, predicted: LabelMap): void {
    for (let i = 0; i < truth.data.length; i++) {
      const label = truth.data[i]!;
      const answer = predicted.data[i]!;
      if (label !== this.ignore && !(label >= 0 && label < this.classes))
        throw new Error(`BoundaryF: pixel ${i} has the label ${label}, with ${this.classes} classes`);
      if (!(answer < this.classes))
        throw new Error(`BoundaryF: pixel ${i} was given the label ${answer}, with ${this.classes} classes`);
    }
  }

  /** Adds what another has seen, of other images. */
  merge(other: BoundaryF): void {
    if (other.classes !== this.classes || other.ignore !== this.ignore || other.tolerance !== this.tolerance)
      throw new Error('BoundaryF: the scores to merge have other classes, another ignore label or another tolerance');
    for (let label = 0; label < this.classes; label++) {
      this.#sums[label]! += other.#sums[label]!;
      this.#counts[label]! += other.#counts[label]!;
    }
    this.#imageSum += other.#imageSum;
    this.#images += other.#images;
  }

  score(): BoundaryFResult {
    const classes = Array.from(this.#sums, (sum, label) =>
      this.#counts[label]! > 0 ? sum / this.#counts[label]! : null,
    );
    return {
      classes,
      classMean: meanOf(classes),
      imageMean: this.#images > 0 ? this.#imageSum / this.#images : null,
      images: this.#images,
    };
  }
}

/** Steps to the pixels of a disc, nearest first. */
interface Disc {
  readonly x: Int32Array;
  readonly y: Int32Array;
}

function discOf(squaredRadius: number): Disc {
  const radius = Math.floor(Math.sqrt(squaredRadius));
  const steps: [number, number][] = [];
  for (let y = -radius; y <= radius; y++)
    for (let x = -radius; x <= radius; x++) if (x * x + y * y <= squaredRadius) steps.push([x, y]);
  steps.sort(([ax, ay], [bx, by]) => ax * ax + ay * ay - bx * bx - by * by);
  return { x: Int32Array.from(steps, ([x]) => x), y: Int32Array.from(steps, ([, y]) => y) };
}

/** Whether a contour pixel of the label lies in the disc around pixel `i`. */
function comesNear({ width, height, data, edge }: Contours, i: number, label: number, disc: Disc): boolean {
  const column = i % width;
  const row = (i - column) / width;
  for (let step = 0; step < disc.x.length; step++) {
    const x = column + disc.x[step]!;
    const y = row + disc.y[step]!;
    if (x < 0 || y < 0 || x >= width || y >= height) continue;
    const j = y * width + x;
    if (edge[j] && data[j] === label) return true;
  }
  return false;
}
