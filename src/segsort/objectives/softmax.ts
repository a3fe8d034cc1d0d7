/** The baseline: every pixel is classified on its own, by softmax cross entropy. */
import { scope } from '../../tensor/graph.js';
import type { LabelOptions } from '../prototypes.js';
import {
  classifyPixels,
  labelsOfOutput,
  largestStray,
  refuseStrayLabel,
  requireLogits,
  withoutLabelledPixels,
} from './labels.js';
import { type Objective, stateless } from './objective.js';

/** The network's output is logits, one for each class. Reports `accuracy`, the share of pixels classified rightly. */
export function softmaxObjective(options: LabelOptions): Objective {
  return {
    name: 'softmax',
    wantsRegions: false,
    ignore: options.ignore,
    figures: { means: ['accuracy'], sums: [], largest: ['stray label'] },
    withoutPixels: withoutLabelledPixels(options),
    check: (largest) => refuseStrayLabel(largest['stray label']!),
    prepare(_runtime, { channels }) {
      requireLogits('softmax', channels, options);
      return stateless((inputs) =>
        scope('loss', () => {
          const labels = labelsOfOutput(inputs);
          const { crossEntropy, validPixels, accuracy } = classifyPixels(inputs.output, labels, options);
          const figures = { accuracy, 'stray label': largestStray(labels, options) };
          return { loss: crossEntropy, validPixels, figures };
        }),
      );
    },
  };
}
