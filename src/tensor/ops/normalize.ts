/** Ops on rows, the vectors along the last axis: unit length and softmax. */
import sourceNormalize from '../../shaders/l2_normalize.wgsl';
import sourceNormalizeGrad from '../../shaders/l2_normalize_grad.wgsl';
import sourceSoftmax from '../../shaders/softmax.wgsl';
import sourceSoftmaxGrad from '../../shaders/softmax_grad.wgsl';
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import { input, type Kernel, linearGrid, type Op, OpError, output, type Sample } from '../op.js';
import { ndarray, sameShape, showShape, sizeOf, type TensorType } from '../types.js';
import { softmaxCrossEntropyGradOp, softmaxCrossEntropyOp } from './cross_entropy.js';
import { byRow, rowKernels, rowsOf, sampleRows, scaled, softmaxRow } from './rows.js';
import { sampleValues } from './sample_values.js';
import { validLabelsOp } from './valid_labels.js';

/** The type of the inputs, which must be of one shape and have rows. */
function checkRows(op: string, inputs: readonly TensorType[]): TensorType {
  const [x] = inputs;
  const alike = inputs.every((other) => other.dtype === 'f32' && sameShape(other.shape, x!.shape));
  if (!alike || !x!.shape.at(-1))
    throw new OpError(
      op,
      `expects f32 rows [...,C], got ${inputs.map((t) => t.dtype + showShape(t.shape)).join(', ')}`,
    );
  return x!;
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((total, value, i) => total + value * b[i]!, 0);

export interface L2Normalize {
  readonly epsilon: number;
}

const normalizeSamples = (inputs: number): Sample<L2Normalize>[] => [
  ...sampleRows.map((shape) => ({
    inputs: Array.from({ length: inputs }, (_, seed) => sampleValues(shape, seed)),
    params: { epsilon: 1e-12 },
    checkGrad: sizeOf(shape) < 1000,
  })),
  {
    name: 'shorter than epsilon, and zero',
    inputs: [ndarray([3, 2], [0.3, 0.1, 0, 0, 2, 1]), sampleValues([3, 2])].slice(0, inputs),
    params: { epsilon: 0.25 },
  },
];

export const l2NormalizeOp: Op<L2Normalize> = {
  name: 'l2Normalize',
  infer: (inputs) => [checkRows('l2Normalize', inputs)],
  grad: ({ inputs: [x], grads, params }) => [apply1(l2NormalizeGradOp, [x!, grads[0]!], params)],
  reference: (inputs, { epsilon }) =>
    byRow(inputs, (y, x) => {
      const norm = Math.sqrt(Math.max(dot(x, x), epsilon));
      for (let i = 0; i < x.length; i++) y[i] = x[i]! / norm;
    }),
  samples: () => normalizeSamples(1),
  kernels: rowKernels(sourceNormalize, ({ epsilon }) => ({ epsilon })),
  flops: ([x]) => 3 * sizeOf(x!.shape),
};

/** From x and the gradient of the normalised x to the gradient of x. */
export const l2NormalizeGradOp: Op<L2Normalize> = {
  name: 'l2NormalizeGrad',
  infer: (inputs) => [checkRows('l2NormalizeGrad', inputs)],
  reference: (inputs, { epsilon }) =>
    byRow(inputs, (dx, x, dy) => {
      const square = dot(x, x);
      const norm = Math.sqrt(Math.max(square, epsilon));
      const along = square > epsilon ? dot(x, dy) / square : 0;
      for (let i = 0; i < x.length; i++) dx[i] = (dy[i]! - x[i]! * along) / norm;
    }),
  samples: () => normalizeSamples(2),
  kernels: rowKernels(sourceNormalizeGrad, ({ epsilon }) => ({ epsilon })),
  flops: ([x]) => 7 * sizeOf(x!.shape),
};

/**
 * x / sqrt(max(sum(x^2), epsilon)) along the last axis, as TensorFlow's `l2_normalize`: unit vectors, and zero for
 * zero. The gradient is finite everywhere; at vectors shorter than sqrt(epsilon) it is dy / sqrt(epsilon).
 */
export function l2Normalize(x: TensorLike, { epsilon = 1e-12 }: Partial<L2Normalize> = {}): Tensor {
  return apply1(l2NormalizeOp, [x], { epsilon });
}

/** Longer rows do not fit into the variables of a quad. */
const LONGEST_IN_QUADS = 256;

const softmaxQuadsKernel: Kernel<null> = {
  name: 'quads',
  needs: ['subgroups'],
  when: ({ inputs: [x], adapter }) => adapter.cpu && rowsOf(x!).length <= LONGEST_IN_QUADS,
  commands({ inputs: [x] }) {
    const { rows, length } = rowsOf(x!);
    return [
      {
        source: async () => (await import('./softmax_quads.js')).softmaxInQuads(length),
        uniforms: { rows },
        buffers: [input(0), output(0)],
        workgroups: linearGrid(rows, 16),
      },
    ];
  },
};

export const softmaxOp: Op<null> = {
  name: 'softmax',
  infer: (inputs) => [checkRows('softmax', inputs)],
  grad: ({ outputs: [y], grads }) => [apply1(softmaxGradOp, [y!, grads[0]!], null)],
  reference: (inputs) => byRow(inputs, softmaxRow),
  samples: () =>
    [...sampleRows, [5, 260], [18, 199]].map((shape) => ({
      inputs: [scaled(sampleValues(shape), 8)],
      params: null,
      checkGrad: sizeOf(shape) < 1000,
    })),
  kernels: [softmaxQuadsKernel, ...rowKernels(sourceSoftmax, () => ({}))],
  flops: ([x]) => 5 * sizeOf(x!.shape),
};

/** From the softmax and its gradient to the gradient of the logits. */
export const softmaxGradOp: Op<null> = {
  name: 'softmaxGrad',
  infer: (inputs) => [checkRows('softmaxGrad', inputs)],
  reference: (inputs) =>
    byRow(inputs, (dx, y, dy) => {
      const mean = dot(y, dy);
      for (let i = 0; i < y.length; i++) dx[i] = y[i]! * (dy[i]! - mean);
    }),
  samples: () =>
    sampleRows.map((shape) => ({ inputs: [sampleValues(shape, 1), sampleValues(shape, 2)], params: null })),
  kernels: rowKernels(sourceSoftmaxGrad, () => ({})),
  flops: ([x]) => 4 * sizeOf(x!.shape),
};

/** exp(x) / sum(exp(x)) along the last axis. */
export function softmax(x: TensorLike): Tensor {
  return apply1(softmaxOp, [x], null);
}

export { softmaxCrossEntropy, softmaxCrossEntropyOp } from './cross_entropy.js';
export { countValid, validLabels, validLabelsOp } from './valid_labels.js';

export const normalizeOps: Op[] = [
  l2NormalizeOp,
  l2NormalizeGradOp,
  softmaxOp,
  softmaxGradOp,
  softmaxCrossEntropyOp,
  softmaxCrossEntropyGradOp,
  validLabelsOp,
];
