/** Cross entropy of softmax with integer labels, some of them to be ignored. */
import sourceCrossEntropy from '../../shaders/cross_entropy.wgsl';
import sourceCrossEntropyGrad from '../../shaders/cross_entropy_grad.wgsl';
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import { type Op, OpError, type Sample } from '../op.js';
import { ndarray, sameShape, showShape, sizeOf, type TensorType } from '../types.js';
import { rowKernels, rowsOf, sampleRows, scaled, softmaxRow } from './rows.js';
import { sampleIntegers, sampleValues } from './sample_values.js';
import { isValidLabel } from './valid_labels.js';

export interface Labels {
  /** This label, and any outside of 0 to classes - 1, counts for nothing. */
  readonly ignoreLabel: number;
}

function checkLabels(op: string, [logits, labels]: readonly TensorType[]): void {
  if (
    logits!.dtype !== 'f32' ||
    !logits!.shape.at(-1) ||
    labels!.dtype !== 'i32' ||
    !sameShape(logits!.shape.slice(0, -1), labels!.shape)
  )
    throw new OpError(
      op,
      `expects logits f32[...,C] and labels i32[...], got ${logits!.dtype}${showShape(logits!.shape)} and ${labels!.dtype}${showShape(labels!.shape)}`,
    );
}

const crossEntropySamples = (withGradient: boolean): Sample<Labels>[] =>
  sampleRows.map((shape, seed) => {
    const labels = sampleIntegers(shape.slice(0, -1), -1, shape.at(-1)! + 1, seed);
    const dy = sampleValues(labels.shape, 9);
    return {
      inputs: [scaled(sampleValues(shape, seed), 4), labels, ...(withGradient ? [dy] : [])],
      params: { ignoreLabel: seed % 2 === 0 ? 255 : 0 },
      checkGrad: sizeOf(shape) < 1000,
    };
  });

export const softmaxCrossEntropyOp: Op<Labels> = {
  name: 'softmaxCrossEntropy',
  infer(inputs) {
    checkLabels('softmaxCrossEntropy', inputs);
    return [{ shape: inputs[1]!.shape, dtype: 'f32' }];
  },
  grad: ({ inputs: [logits, labels], grads, params }) => [
    apply1(softmaxCrossEntropyGradOp, [logits!, labels!, grads[0]!], params),
    null,
  ],
  reference([logits, labels], { ignoreLabel }) {
    const { length } = rowsOf(logits!);
    const loss = ndarray(labels!.shape);
    for (const [row, label] of labels!.data.entries()) {
      if (!isValidLabel(label, { classes: length, ignoreLabel })) continue;
      const x = logits!.data.subarray(row * length, (row + 1) * length);
      loss.data[row] = softmaxRow(new Float64Array(length), x) - x[label]!;
    }
    return [loss];
  },
  samples: () => crossEntropySamples(false),
  kernels: rowKernels(sourceCrossEntropy, ({ ignoreLabel }) => ({ ignored: ignoreLabel })),
  flops: ([x]) => 4 * sizeOf(x!.shape),
};

/** From logits, labels and the gradient of the loss to the gradient of the logits. */
export const softmaxCrossEntropyGradOp: Op<Labels> = {
  name: 'softmaxCrossEntropyGrad',
  infer(inputs) {
    checkLabels('softmaxCrossEntropyGrad', inputs);
    const [logits, labels, dy] = inputs;
    if (dy!.dtype !== 'f32' || !sameShape(dy!.shape, labels!.shape))
      throw new OpError(
        'softmaxCrossEntropyGrad',
        `expects a gradient f32${showShape(labels!.shape)}, got ${dy!.dtype}${showShape(dy!.shape)}`,
      );
    return [logits!];
  },
  reference([logits, labels, dy], { ignoreLabel }) {
    const { length } = rowsOf(logits!);
    const dx = ndarray(logits!.shape);
    for (const [row, label] of labels!.data.entries()) {
      if (!isValidLabel(label, { classes: length, ignoreLabel })) continue;
      const out = dx.data.subarray(row * length, (row + 1) * length);
      softmaxRow(out, logits!.data.subarray(row * length, (row + 1) * length));
      out[label]! -= 1;
      for (let i = 0; i < length; i++) out[i]! *= dy!.data[row]!;
    }
    return [dx];
  },
  samples: () => crossEntropySamples(true),
  kernels: rowKernels(
    sourceCrossEntropyGrad,
    ({ ignoreLabel }) => ({ ignored: ignoreLabel }),
    (lanes): Record<string, string> => (lanes === 4 ? { I: 'vec4i', OFFSETS: 'vec4i(0, 1, 2, 3)' } : {}),
  ),
  flops: ([x]) => 5 * sizeOf(x!.shape),
};

/**
 * -log(softmax(logits)[label]) for logits [...,C] and i32 labels [...], to [...]; 0 where the label is `ignoreLabel`
 * (default 255) or no class. For the mean over the other positions divide its sum by `countValid`.
 */
export function softmaxCrossEntropy(
  logits: TensorLike,
  labels: TensorLike,
  { ignoreLabel = 255 }: Partial<Labels> = {},
): Tensor {
  return apply1(softmaxCrossEntropyOp, [logits, labels], { ignoreLabel });
}
