/** How many pixels got which label: the confusion matrix and the scores that are read off it. */

export interface SegmentationScore {
  /** Intersection over union of each class, in [0, 1]; null for a class neither in the truth nor predicted. */
  readonly iou: readonly (number | null)[];
  /** Mean over the classes that have an IoU; null if none has. */
  readonly meanIou: number | null;
  /** Share of each class's pixels that were given their label (recall); null for a class not in the truth. */
  readonly accuracy: readonly (number | null)[];
  /** Mean over the classes in the truth; null if there is none. */
  readonly meanAccuracy: number | null;
  /** Mean of the IoUs weighted by the pixels of each class in the truth; null if no pixel was counted. */
  readonly frequencyWeightedIou: number | null;
  /** Share of the counted pixels with the right label; null if none was counted. */
  readonly pixelAccuracy: number | null;
  /** Pixels counted. */
  readonly pixels: number;
}

/** Mean of what is not null; null if nothing is. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const present = values.filter((value) => value !== null);
  return present.length > 0 ? present.reduce((a, b) => a + b, 0) / present.length : null;
}

/**
 * Counts of (true label, predicted label) over pixels, as the VOC evaluation takes them (Everingham et al., The PASCAL
 * VOC Challenge, IJCV 2010): pixels whose true label is ignored don't count, whatever was predicted there. A pixel with
 * a true label that no label was predicted for counts as wrong.
 */
export class ConfusionMatrix {
  readonly classes: number;
  readonly ignore: number;
  /** Row: true label. Column: predicted label, the last one for pixels without a prediction. */
  readonly counts: Float64Array<ArrayBuffer>;

  constructor(classes: number, ignore = 255) {
    if (!(Number.isInteger(classes) && classes > 0)) throw new Error(`ConfusionMatrix: ${classes} classes`);
    this.classes = classes;
    this.ignore = ignore;
    this.counts = new Float64Array(classes * (classes + 1));
  }

  /**
   * Counts the pixels of an image or of many. A negative prediction is none.
   *
   * Errors: lengths differ, a true label is neither a class nor ignored, a predicted label is no class.
   */
  add(truth: ArrayLike<number>, predicted: ArrayLike<number>): void {
    if (truth.length !== predicted.length)
      throw new Error(`ConfusionMatrix: ${truth.length} true labels and ${predicted.length} predictions`);
    for (let i = 0; i < truth.length; i++) this.addPixel(truth[i]!, predicted[i]!, i);
  }

  /** Counts one pixel, as `add` does; `index` says which in errors. */
  addPixel(label: number, answer: number, index: number): void {
    if (label === this.ignore) return;
    if (!(label >= 0 && label < this.classes))
      throw new Error(`ConfusionMatrix: pixel ${index} has the label ${label}, with ${this.classes} classes`);
    if (!(answer < this.classes))
      throw new Error(`ConfusionMatrix: pixel ${index} was given the label ${answer}, with ${this.classes} classes`);
    this.counts[label * (this.classes + 1) + (answer < 0 ? this.classes : answer)]! += 1;
  }

  /** Adds the counts of another matrix: of other images, as another process may have counted them. */
  merge(other: ConfusionMatrix): void {
    if (other.classes !== this.classes || other.ignore !== this.ignore)
      throw new Error(
        `ConfusionMatrix: cannot merge ${other.classes} classes, ignore ${other.ignore}, into ${this.classes} classes, ignore ${this.ignore}`,
      );
    for (const [i, count] of other.counts.entries()) this.counts[i]! += count;
  }

  count(truth: number, predicted: number): number {
    return this.counts[truth * (this.classes + 1) + predicted]!;
  }

  /** Pixels of each true label. */
  truthCounts(): number[] {
    return Array.from({ length: this.classes }, (_, label) =>
      this.counts.subarray(label * (this.classes + 1), (label + 1) * (this.classes + 1)).reduce((a, b) => a + b, 0),
    );
  }

  /** The scores of Long et al., Fully Convolutional Networks, CVPR 2015, section 5. */
  score(): SegmentationScore {
    const truth = this.truthCounts();
    const iou = truth.map((pixels, label) => {
      let predicted = 0;
      for (let other = 0; other < this.classes; other++) predicted += this.count(other, label);
      const intersection = this.count(label, label);
      const union = pixels + predicted - intersection;
      return union > 0 ? intersection / union : null;
    });
    const accuracy = truth.map((pixels, label) => (pixels > 0 ? this.count(label, label) / pixels : null));
    const pixels = truth.reduce((a, b) => a + b, 0);
    const correct = truth.reduce((total, _, label) => total + this.count(label, label), 0);
    const weighted = truth.reduce((total, count, label) => total + count * (iou[label] ?? 0), 0);
    return {
      iou,
      meanIou: meanOf(iou),
      accuracy,
      meanAccuracy: meanOf(accuracy),
      frequencyWeightedIou: pixels > 0 ? weighted / pixels : null,
      pixelAccuracy: pixels > 0 ? correct / pixels : null,
      pixels,
    };
  }

  /** The score of answering one label everywhere, on the pixels counted so far. */
  constantScore(label: number): SegmentationScore {
    const constant = new ConfusionMatrix(this.classes, this.ignore);
    for (const [row, pixels] of this.truthCounts().entries())
      constant.counts[row * (this.classes + 1) + label] = pixels;
    return constant.score();
  }

  /** The score of answering the commonest true label everywhere: what any method has to beat. */
  commonestClassScore(): SegmentationScore & { readonly label: number } {
    const truth = this.truthCounts();
    const label = truth.indexOf(Math.max(...truth));
    return { label, ...this.constantScore(label) };
  }
}
