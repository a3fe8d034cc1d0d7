/** Which labels count: those that name a class and are not to be ignored. */
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import { type Op, OpError } from '../op.js';
import { ndarray, showShape } from '../types.js';
import { sum } from './reduce.js';
import { sampleIntegers } from './sample_values.js';

export interface ValidLabels {
  /** Labels are from 0 to classes - 1. */
  readonly classes: number;
  /** A class that doesn't count either; labels that are no class never do. */
  readonly ignoreLabel: number;
}

export function isValidLabel(label: number, { classes, ignoreLabel }: ValidLabels): boolean {
  return label >= 0 && label < classes && label !== ignoreLabel;
}

/** Elementwise, so the planner fuses it into what uses it. */
export const validLabelsOp: Op<ValidLabels> = {
  name: 'validLabels',
  infer([labels]) {
    if (labels!.dtype !== 'i32')
      throw new OpError('validLabels', `expects labels of i32, got ${labels!.dtype}${showShape(labels!.shape)}`);
    return [{ shape: labels!.shape, dtype: 'f32' }];
  },
  reference: ([labels], params) => [
    ndarray(
      labels!.shape,
      labels!.data.map((label) => (isValidLabel(label, params) ? 1 : 0)),
    ),
  ],
  samples: () => [
    { inputs: [sampleIntegers([3, 5, 8], -2, 9)], params: { classes: 7, ignoreLabel: 255 } },
    { inputs: [sampleIntegers([7], -2, 9)], params: { classes: 7, ignoreLabel: 0 } },
  ],
  scalar: ({ classes, ignoreLabel }) =>
    `select(F(0.0), F(1.0), (a >= I(0)) & (a < I(${classes})) & (a != I(${ignoreLabel})))`,
};

/** 1 where an i32 label is one of the classes and not `ignoreLabel` (default 255), else 0; as f32. */
export function validLabels(labels: TensorLike, options: { classes: number; ignoreLabel?: number }): Tensor {
  return apply1(validLabelsOp, [labels], { classes: options.classes, ignoreLabel: options.ignoreLabel ?? 255 });
}

/** How many labels count, as an f32 scalar; 0 if none does. Exact up to 2^24. */
export function countValid(labels: TensorLike, options: { classes: number; ignoreLabel?: number }): Tensor {
  return sum(validLabels(labels, options));
}
