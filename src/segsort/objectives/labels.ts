/** What the objectives that learn from labels have in common. */
import { scalar, type Tensor } from '../../tensor/graph.js';
import { add, div, equal, maximum, mul, toFloat, where } from '../../tensor/ops/elementwise.js';
import { softmaxCrossEntropy, validLabels } from '../../tensor/ops/normalize.js';
import { max, sum } from '../../tensor/ops/reduce.js';
import { argmax } from '../../tensor/ops/select_k.js';
import { shrinkLabels } from '../label_maps.js';
import type { LabelOptions } from '../prototypes.js';
import type { ObjectiveInputs } from './objective.js';

/** The labels at the resolution of the output, i32 [N,h,w]. */
export function labelsOfOutput({ output, labels }: ObjectiveInputs): Tensor {
  return shrinkLabels(labels, [output.shape[1]!, output.shape[2]!]);
}

export function withoutLabelledPixels({ ignore }: LabelOptions): string {
  return `all pixels since the last report are ignored (label ${ignore}): check the label files, the class numbers and the crop size`;
}

/** @throws Error if `label` is one: the largest that is neither a class nor ignored; negative if there was none */
export function refuseStrayLabel(label: number): void {
  if (label >= 0)
    throw new Error(
      `an image since the last report has the label ${label}, which is neither a class nor the ignored label`,
    );
}

/** f32 scalar: the largest label that is neither a class nor ignored; -1 if there is none. */
export function largestStray(labels: Tensor, { classes, ignore }: LabelOptions): Tensor {
  const known = add(validLabels(labels, { classes, ignoreLabel: ignore }), equal(labels, scalar(ignore, 'i32')));
  return max(where(known, scalar(-1), toFloat(labels)));
}

/** @throws Error if a network's output cannot be logits of the classes */
export function requireLogits(objective: string, channels: number, { classes }: LabelOptions): void {
  if (channels !== classes)
    throw new Error(
      `${objective}: the network has ${channels} outputs, and there are ${classes} classes: build it with as many outputs as classes`,
    );
}

/** Softmax cross entropy of every pixel, averaged: what the logits of a segmentation are trained by. */
export interface PixelClassification {
  /** f32 scalar: mean over the valid pixels. */
  readonly crossEntropy: Tensor;
  readonly validPixels: Tensor;
  /** f32 scalar: share of the valid pixels whose largest logit is their label's. */
  readonly accuracy: Tensor;
}

/** `logits` f32 [N,h,w,classes], `labels` i32 [N,h,w]. */
export function classifyPixels(logits: Tensor, labels: Tensor, { classes, ignore }: LabelOptions): PixelClassification {
  const valid = validLabels(labels, { classes, ignoreLabel: ignore });
  const validPixels = sum(valid);
  const count = maximum(validPixels, scalar(1));
  const losses = softmaxCrossEntropy(logits, labels, { ignoreLabel: ignore });
  return {
    crossEntropy: div(sum(losses), count),
    validPixels,
    accuracy: div(sum(mul(equal(argmax(logits), labels), valid)), count),
  };
}
