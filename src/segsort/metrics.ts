/** How good a segmentation is: the confusion matrix and what is read off it. */

export interface SegmentationScore {
  /** Intersection over union of each class, in [0, 1]; null for a class neither in the truth nor predicted. */
  readonly iou: readonly (number | null)[];
  /** Mean over the classes that have an IoU; null if none has. */
  readonly meanIou: number | null;
  /** Share of the counted pixels with the right label; null if none was counted. */
  readonly pixelAccuracy: number | null;
  /** Pixels counted. */
  readonly pixels: number;
}

/**
 * Counts of (true label, predicted label) over pixels, as the VOC evaluation takes them: pixels whose true label is
 * ignored don't count, whatever was predicted there. A pixel with a true label that no label was predicted for counts as
 * wrong.
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
    for (let i = 0; i < truth.length; i++) {
      const label = truth[i]!;
      if (label === this.ignore) continue;
      if (!(label >= 0 && label < this.classes))
        throw new Error(`ConfusionMatrix: pixel ${i} has the label ${label}, with ${this.classes} classes`);
      const answer = predicted[i]!;
      if (answer >= this.classes)
        throw new Error(`ConfusionMatrix: pixel ${i} was given the label ${answer}, with ${this.classes} classes`);
      this.counts[label * (this.classes + 1) + (answer < 0 ? this.classes : answer)]! += 1;
    }
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

  score(): SegmentationScore {
    const truth = this.truthCounts();
    const iou = truth.map((pixels, label) => {
      let predicted = 0;
      for (let other = 0; other < this.classes; other++) predicted += this.count(other, label);
      const intersection = this.count(label, label);
      const union = pixels + predicted - intersection;
      return union > 0 ? intersection / union : null;
    });
    const present = iou.filter((value) => value !== null);
    const pixels = truth.reduce((a, b) => a + b, 0);
    const correct = truth.reduce((total, _, label) => total + this.count(label, label), 0);
    return {
      iou,
      meanIou: present.length > 0 ? present.reduce((a, b) => a + b, 0) / present.length : null,
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
