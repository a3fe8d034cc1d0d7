/**
 * Scores near the contours of the truth, as a curve over the width of the band that counts: the trimaps of Kohli et al.,
 * Robust Higher Order Potentials for Enforcing Label Consistency, IJCV 2009, as Krähenbühl and Koltun (NIPS 2011) and
 * DeepLab (Chen et al., PAMI 2018) plot them.
 *
 * A contour pixel is one that has a neighbour (of 4) with another label, void included: the band of void that VOC draws
 * along contours counts by both its edges. The band of width w holds the labelled pixels whose Euclidean distance to
 * a contour pixel is below w, so that it is w pixels wide on each side.
 */
import { ConfusionMatrix, type SegmentationScore } from './confusion.js';
import { checkSameSize, distancesTo, edges, type LabelMap } from './label_map.js';

export interface TrimapOptions {
  /** The label of pixels that don't count. Default: 255. */
  readonly ignore?: number;
  /** The widest band, in pixels. Default: 40. */
  readonly widest?: number;
}

export interface TrimapPoint extends SegmentationScore {
  /** Width of the band on each side of a contour, in pixels. */
  readonly width: number;
}

/** Confusion matrices of bands of 1, 2, ... pixels, streamed over images. */
export class Trimap {
  readonly classes: number;
  readonly ignore: number;
  /** What each pixel of width adds: the band of width w is the rings 0 to w - 1. */
  readonly #rings: readonly ConfusionMatrix[];

  constructor(classes: number, { ignore = 255, widest = 40 }: TrimapOptions = {}) {
    if (!(Number.isInteger(widest) && widest > 0))
      throw new Error(`Trimap: the widest band must be a positive number of pixels, got ${widest}`);
    this.classes = classes;
    this.ignore = ignore;
    this.#rings = Array.from({ length: widest }, () => new ConfusionMatrix(classes, ignore));
  }

  /** Counts the pixels of an image; labels as for `ConfusionMatrix.add`. */
  add(truth: LabelMap, predicted: LabelMap): void {
    checkSameSize('Trimap', { truth, predicted });
    const { squared } = distancesTo(edges(truth), truth);
    for (const [i, distance] of squared.entries())
      this.#rings[Math.floor(Math.sqrt(distance))]?.addPixel(truth.data[i]!, predicted.data[i]!, i);
  }

  /** Adds what another has seen, of other images. */
  merge(other: Trimap): void {
    if (other.#rings.length !== this.#rings.length)
      throw new Error(`Trimap: cannot merge ${other.#rings.length} bands into ${this.#rings.length}`);
    for (const [width, ring] of this.#rings.entries()) ring.merge(other.#rings[width]!);
  }

  /** The scores of the bands of 1 to `widest` pixels. */
  curve(): TrimapPoint[] {
    const band = new ConfusionMatrix(this.classes, this.ignore);
    return this.#rings.map((ring, index) => {
      band.merge(ring);
      return { width: index + 1, ...band.score() };
    });
  }
}
