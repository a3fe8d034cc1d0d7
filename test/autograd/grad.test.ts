/** Products of a vector and a Jacobian: gradients of what is not a scalar. */
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { mul, square, sub } from '../../src/tensor/ops/elementwise.js';
import { softmax } from '../../src/tensor/ops/normalize.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { traceStep } from '../../src/tensor/trace.js';
import { f32, hostTensor } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';

describe('grad with the gradient of its result', () => {
  const x = hostTensor([2, 3], [0.5, -1, 2, 0, 1, -0.25]);
  const gradient = hostTensor([2, 3], [1, -2, 0.5, 3, 0, -1]);

  it('is the gradient of the sum of products', async () => {
    using runtime = new Runtime(await testGpu());
    using step = runtime.compile((x, dy) => {
      const y = softmax(square(x));
      return { product: grad(y, [x], dy)[0]!, expected: grad(sum(mul(y, dy)), [x])[0]! };
    });
    const { product, expected } = await step.run(x, gradient);
    expect((await product.read()).data).toEqual((await expected.read()).data);
  });

  it('is that gradient where it is taken of its own argument', async () => {
    using runtime = new Runtime(await testGpu());
    using step = runtime.compile((x, dy) => ({ zero: sub(grad(x, [x], dy)[0]!, dy) }));
    const { zero } = await step.run(x, gradient);
    expect([...(await zero.read()).data]).toEqual(new Array(6).fill(0));
  });

  it('must have its shape', () => {
    expect(() => traceStep((x, dy) => grad(x, [x], dy)[0]!, [f32([2, 3]), f32([3])])).toThrow(
      'grad: the gradient of f32[2,3] must be floats of its shape, got f32[3]',
    );
  });
});
