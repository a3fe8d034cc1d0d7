/** How the engine computes each case: a step function over residents. */
import { grad } from '../../src/autograd/grad.js';
import { constant, type Tensor, type TensorLike } from '../../src/tensor/graph.js';
import { batchNorm, moments } from '../../src/tensor/ops/batch_norm.js';
import { conv2d, conv2dFilterGrad, conv2dInputGrad } from '../../src/tensor/ops/conv.js';
import { add, relu, square } from '../../src/tensor/ops/elementwise.js';
import { matmul } from '../../src/tensor/ops/matmul.js';
import { softmax } from '../../src/tensor/ops/normalize.js';
import { maxPool } from '../../src/tensor/ops/pool.js';
import { mean } from '../../src/tensor/ops/reduce.js';
import { resizeBilinear } from '../../src/tensor/ops/resize.js';
import { argmax } from '../../src/tensor/ops/select_k.js';
import type { Computation, ConvShape } from './types.js';

const EPSILON = 1e-3;

const geometry = ({ stride, dilation, padding }: Pick<ConvShape, 'stride' | 'dilation' | 'padding'>) => ({
  ...{ stride, dilation },
  padding: [padding, padding, padding, padding] as const,
});

/** Appends the computation to the trace; the results in the order of the case. */
export function computed(computation: Computation, operands: readonly TensorLike[]): Tensor[] {
  const [a, b] = operands as readonly [TensorLike, TensorLike];
  switch (computation.kind) {
    case 'matmul':
      return [matmul(a, b)];
    case 'conv2d':
      return [conv2d(a, b, geometry(computation))];
    case 'conv2d-input-grad': {
      const { batch, height, width, inputs } = computation;
      return [conv2dInputGrad(a, b, [batch, height, width, inputs], geometry(computation))];
    }
    case 'conv2d-filter-grad': {
      const { kernel, inputs, outputs } = computation;
      return [conv2dFilterGrad(a, b, [kernel, kernel, inputs, outputs], geometry(computation))];
    }
    case 'batch-norm-train': {
      const [x, dy, gamma, beta] = operands as readonly [TensorLike, TensorLike, TensorLike, TensorLike];
      const y = batchNorm(x, { ...moments(x), gamma, beta, epsilon: EPSILON });
      return [y, ...grad(y, [x, gamma, beta], dy)];
    }
    case 'softmax':
      return [softmax(a)];
    case 'argmax':
      return [argmax(a)];
    case 'max-pool': {
      const { size, stride, padding } = computation;
      return [maxPool(a, { size, stride, padding: [padding, padding, padding, padding] })];
    }
    case 'resize-bilinear': {
      const { height, width, factor } = computation;
      return [resizeBilinear(a, [height * factor, width * factor], { convention: 'half-pixel' })];
    }
    case 'bottlenecks': {
      const loss = mean(square(bottlenecks(operands, computation)));
      return [loss, ...grad(loss, operands)];
    }
  }
}

function bottlenecks(
  [x, ...filters]: readonly TensorLike[],
  { blocks, channels, dilation }: Extract<Computation, { kind: 'bottlenecks' }>,
): TensorLike {
  let y = x!;
  for (let block = 0; block < blocks; block++) {
    const [down, middle, up] = filters.slice(3 * block) as [TensorLike, TensorLike, TensorLike];
    const inside = relu(normalized(conv2d(y, down), channels / 4));
    const spread = conv2d(inside, middle, geometry({ stride: 1, dilation, padding: dilation }));
    const outside = normalized(conv2d(relu(normalized(spread, channels / 4)), up), channels);
    y = relu(add(outside, y));
  }
  return y;
}

function normalized(z: Tensor, channels: number): Tensor {
  const [gamma, beta] = [1, 0].map((value) => constant([channels], new Float32Array(channels).fill(value)));
  return batchNorm(z, { ...moments(z), gamma: gamma!, beta: beta!, epsilon: EPSILON });
}
