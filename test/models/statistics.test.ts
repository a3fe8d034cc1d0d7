/** Batch norm in training: with the batch's statistics, which move the running ones, and with those, which stay. */
import { expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { convUnit, Pass } from '../../src/models/layers.js';
import { allocateParameters, Scope } from '../../src/models/parameter.js';
import { updateStatistics } from '../../src/models/statistics.js';
import { square } from '../../src/tensor/ops/elementwise.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { hostTensor } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';
import { PLAIN_CONVOLUTIONS } from '../support/plain_kernels.js';

/** One step of a 1x1 convolution of weight 1 and batch norm; the values 1, 3, 5, 7 have mean 4 and variance 5. */
async function step(batchStatistics: boolean) {
  using runtime = new Runtime(await testGpu(), { kernels: PLAIN_CONVOLUTIONS });
  const scope = new Scope('unit', { batchNorm: { decay: 0.75, epsilon: 1 } });
  const unit = convUnit(scope, 1, { channels: 1, kernel: 1, activation: 'none' });
  const { parameters } = scope.declared;
  const groups = allocateParameters(runtime, parameters, ({ role, decay }) => ({ role, decay }), 0);
  const [weights, gamma] = parameters;
  const [mean, variance] = parameters.filter(({ role }) => role === 'statistic');
  runtime.write(weights!, hostTensor([1, 1, 1, 1], [1]));
  runtime.write(mean!, hostTensor([1], [2]));
  runtime.write(variance!, hostTensor([1], [3]));
  using compiled = runtime.compile((x) => {
    const pass = new Pass({ batchStatistics });
    const y = unit.layer(x, pass);
    updateStatistics(
      groups.filter(({ key }) => key.role === 'statistic').map(({ group }) => group),
      pass,
    );
    const [ofGamma, ofWeights] = grad(sum(square(y)), [gamma!, weights!]);
    return { y, ofGamma: ofGamma!, ofWeights: ofWeights! };
  });
  const results = await compiled.run(hostTensor([1, 2, 2, 1], [1, 3, 5, 7]));
  const read = async (name: keyof typeof results) => [...(await results[name].read()).data];
  return {
    y: await read('y'),
    ofGamma: await read('ofGamma'),
    ofWeights: await read('ofWeights'),
    running: [...(await runtime.read(mean!)).data, ...(await runtime.read(variance!)).data],
  };
}

const close = (values: readonly number[], expected: readonly number[]) => {
  expect(values).toHaveLength(expected.length);
  for (const [i, value] of values.entries()) expect(value).toBeCloseTo(expected[i]!, 4);
};

it('moves the running statistics towards those of the batch', async () => {
  const { y, running } = await step(true);
  close(
    y,
    [-3, -1, 1, 3].map((deviation) => deviation / Math.sqrt(5 + 1)),
  );
  close(running, [0.75 * 2 + 0.25 * 4, 0.75 * 3 + 0.25 * 5]);
});

it('leaves the running statistics as they are where it normalises by them, and trains all else', async () => {
  const { y, running, ofGamma, ofWeights } = await step(false);
  const normalized = [1, 3, 5, 7].map((x) => (x - 2) / Math.sqrt(3 + 1));
  close(y, normalized);
  expect(running).toEqual([2, 3]);
  // The statistics are constants, so the loss sum(y^2) has these derivatives by gamma (1) and by the weight (1).
  close(ofGamma, [2 * normalized.reduce((total, value) => total + value * value, 0)]);
  close(ofWeights, [2 * normalized.reduce((total, value, i) => total + (value * (2 * i + 1)) / 2, 0)]);
});
