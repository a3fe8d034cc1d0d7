/** The cases as TensorFlow.js computes them, on whichever backend is set. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Computation } from '../harness/types.js';

export type Tfjs = typeof import('@tensorflow/tfjs-core');

const EPSILON = 1e-3;

/**
 * Gradients of convolutions are computed by the kernels that `tf.grad` runs, without the forward pass that it runs before them;
 * but dilated ones by `tf.grad`, which refuses them.
 */
export function tfjsResults(tf: Tfjs, computation: Computation, operands: readonly Tensor[]): Tensor[] {
  const [a, b] = operands as [Tensor, Tensor];
  switch (computation.kind) {
    case 'matmul':
      return [tf.matMul(a, b)];
    case 'conv2d': {
      const { stride, padding, dilation } = computation;
      return [tf.conv2d(a, b, stride, padding, 'NHWC', dilation)];
    }
    case 'conv2d-input-grad':
    case 'conv2d-filter-grad':
      return [computation.dilation > 1 ? dilatedGradient(tf, computation, a, b) : convGradient(tf, computation, a, b)];
    case 'batch-norm-train': {
      const [x, dy, gamma, beta] = operands as [Tensor, Tensor, Tensor, Tensor];
      const { value, grads } = tf.valueAndGrads((z, scale, offset) => normalize(tf, z!, [0], scale, offset))(
        [x, gamma, beta],
        dy,
      );
      return [value, ...grads];
    }
    case 'softmax':
      return [tf.softmax(a, -1)];
    case 'argmax':
      return [tf.argMax(a, -1)];
    case 'max-pool':
      return [tf.maxPool(a, computation.size, computation.stride, computation.padding)];
    case 'resize-bilinear': {
      const { height, width, factor } = computation;
      return [tf.image.resizeBilinear(a, [height * factor, width * factor], false, true)];
    }
    case 'bottlenecks': {
      const { value, grads } = tf.valueAndGrads((x, ...filters) => bottlenecksLoss(tf, computation, x!, filters))([
        ...operands,
      ]);
      return [value, ...grads];
    }
  }
}

type ConvGradient = Extract<Computation, { kind: 'conv2d-input-grad' | 'conv2d-filter-grad' }>;

/**
 * The kernels have no dilation. For a dilated convolution they compute something else without a word: the gradient of the
 * undilated one.
 */
export function convGradient(tf: Tfjs, computation: ConvGradient, a: Tensor, b: Tensor): Tensor {
  const { batch, height, width, inputs, outputs, kernel, stride, dilation, padding } = computation;
  const attributes = {
    strides: stride,
    // Explicit padding would tell them of the dilation, and then extents do not match.
    pad: dilation > 1 ? 'same' : padding,
    dataFormat: 'NHWC',
    dilations: dilation,
  };
  if (computation.kind === 'conv2d-input-grad') {
    const inputShape = [batch, height, width, inputs];
    return tf.engine().runKernel('Conv2DBackpropInput', { dy: a, filter: b }, { ...attributes, inputShape });
  }
  const filterShape = [kernel, kernel, inputs, outputs];
  return tf.engine().runKernel('Conv2DBackpropFilter', { x: a, dy: b }, { ...attributes, filterShape });
}

/** As a user would ask for it. */
function dilatedGradient(tf: Tfjs, computation: ConvGradient, a: Tensor, b: Tensor): Tensor {
  const { kind, batch, height, width, inputs, outputs, kernel, stride, dilation, padding } = computation;
  const conv = (x: Tensor, filter: Tensor) => tf.conv2d(x, filter, stride, padding, 'NHWC', dilation);
  if (kind === 'conv2d-input-grad')
    return tf.grads((x) => conv(x!, b))([tf.zeros([batch, height, width, inputs])], a)[0]!;
  return tf.grads((filter) => conv(a, filter!))([tf.zeros([kernel, kernel, inputs, outputs])], b)[0]!;
}

function normalize(tf: Tfjs, x: Tensor, axes: number[], scale?: Tensor, offset?: Tensor): Tensor {
  const { mean, variance } = tf.moments(x, axes);
  return tf.batchNorm(x, mean, variance, offset, scale, EPSILON);
}

function bottlenecksLoss(
  tf: Tfjs,
  { blocks, dilation }: Extract<Computation, { kind: 'bottlenecks' }>,
  x: Tensor,
  filters: readonly Tensor[],
): Tensor {
  // Its gradient of batch norm wants a scale and an offset.
  const unit = (input: Tensor, filter: Tensor, rate = 0) =>
    normalize(
      tf,
      tf.conv2d(input, filter, 1, rate, 'NHWC', Math.max(rate, 1)),
      [0, 1, 2],
      tf.ones([filter.shape[3]!]),
      tf.zeros([filter.shape[3]!]),
    );
  let y = x;
  for (let block = 0; block < blocks; block++) {
    const [reduce, middle, expand] = filters.slice(3 * block, 3 * block + 3) as [Tensor, Tensor, Tensor];
    const inner = tf.relu(unit(tf.relu(unit(y, reduce)), middle, dilation));
    y = tf.relu(tf.add(unit(inner, expand), y));
  }
  return tf.mean(tf.square(y));
}
