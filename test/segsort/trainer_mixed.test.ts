/** Training in mixed precision: gradients, loss curves, overflows, checkpoints, and memory. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import { halveWeights } from '../../src/models/halves.js';
import { Pass } from '../../src/models/layers.js';
import { allocateParameters, type Parameter } from '../../src/models/parameter.js';
import { segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { softmaxObjective } from '../../src/segsort/objectives/softmax.js';
import type { TrainerOptions, TrainingBatch, TrainingMetrics } from '../../src/segsort/trainer.js';
import { scalar, type Tensor } from '../../src/tensor/graph.js';
import { mul, square } from '../../src/tensor/ops/elementwise.js';
import { mean } from '../../src/tensor/ops/reduce.js';
import { hostTensor } from '../../src/tensor/types.js';
import { relativeError } from '../support/compare.js';
import { tinyBatch, tinyNetwork, tinyRuntime, tinyTrainer } from '../support/tiny_training.js';

const SEGSORT = segsortObjective({
  cells: [2, 2],
  kmeansIterations: 3,
  concentration: 10,
  numerator: 'nca',
  banks: 1,
  capacity: 16,
  classes: 3,
  ignore: 255,
});
const SOFTMAX = softmaxObjective({ classes: 3, ignore: 255 });

async function losses(precision: 'f32' | 'mixed', steps: number, changes: Partial<TrainerOptions> = {}) {
  using trainer = await tinyTrainer(SEGSORT, 8, { precision, ...changes });
  const metrics: TrainingMetrics[] = [];
  for (let step = 0; step < steps; step++) {
    const batches = Array.from({ length: changes.accumulate ?? 1 }, (_, i) => tinyBatch(step * 2 + i));
    metrics.push(await (await trainer.step(batches, step)).read());
  }
  return metrics;
}

const averages = (metrics: readonly TrainingMetrics[], length: number) =>
  Array.from({ length: Math.floor(metrics.length / length) }, (_, i) => {
    const part = metrics.slice(i * length, (i + 1) * length);
    return part.reduce((sum, { loss }) => sum + loss, 0) / length;
  });

describe('gradients', () => {
  it('are those of f32 up to the rounding of activations', async () => {
    const runtime = await tinyRuntime();
    const network = tinyNetwork(8);
    const groups = allocateParameters(runtime, network.parameters, ({ role }) => ({ role }), 3).map(
      ({ group }) => group,
    );
    const trained = network.parameters.filter(({ role }) => role !== 'statistic');
    const images = hostTensor(
      [2, 16, 16, 3],
      Array.from({ length: 1536 }, (_, i) => 60 * Math.sin(i * 1.37)),
    );
    const gradientsIn = async (mixed: boolean) => {
      using step = runtime.compile((image) => {
        const halves = mixed ? halveWeights(groups) : new Map<Parameter, Tensor>();
        const output = network.forward(image, new Pass({ batchStatistics: true, halves }));
        // As large as a scaled loss.
        const loss = mul(mean(square(output)), scalar(1024));
        const wanted = grad(
          loss,
          trained.map((parameter) => halves.get(parameter) ?? parameter),
        );
        expect(wanted.every(({ dtype }) => dtype === 'f32')).toBe(true);
        return Object.fromEntries([['output', output], ...wanted.map((each, i) => [trained[i]!.name, each] as const)]);
      });
      const halved = step.plan(images).steps.filter(({ outputs }) => outputs.some(({ dtype }) => dtype === 'f16'));
      expect(halved.length > 0).toBe(mixed);
      const results = await step.run(images);
      return new Map(
        await Promise.all(
          Object.entries(results).map(async ([name, each]) => [name, (await each.read()).data] as const),
        ),
      );
    };
    const [whole, mixed] = [await gradientsIn(false), await gradientsIn(true)];
    for (const [name, expected] of whole) {
      const error = relativeError(mixed.get(name)!, expected);
      expect(error, name).toBeLessThan(4e-3);
      expect(error, `${name}: nothing was rounded`).toBeGreaterThan(1e-6);
    }
    for (const group of groups) group[Symbol.dispose]();
  });
});

describe('training', () => {
  let whole: TrainingMetrics[];
  beforeAll(async () => {
    whole = await losses('f32', 60);
  });

  it('follows the loss curve of f32', async () => {
    const mixed = await losses('mixed', 60);
    expect(Math.abs(mixed[0]!.loss - whole[0]!.loss)).toBeLessThan(2e-3);
    const [expected, actual] = [averages(whole, 20), averages(mixed, 20)];
    expect(expected[2]!).toBeLessThan(0.9 * expected[0]!);
    for (const [i, value] of expected.entries()) expect(Math.abs(actual[i]! - value) / value).toBeLessThan(0.1);
    expect(mixed.every(({ lossScale, skippedSteps }) => lossScale === 2 ** 16 && skippedSteps === 0)).toBe(true);
    expect(whole[0]).not.toHaveProperty('lossScale');
  });

  it('accumulates gradients of microbatches, by their shares of the pixels', async () => {
    const expected = await losses('f32', 4, { accumulate: 2 });
    const actual = await losses('mixed', 4, { accumulate: 2 });
    for (const [i, { loss, validPixels, skippedSteps }] of actual.entries()) {
      expect(Math.abs(loss - expected[i]!.loss)).toBeLessThan(0.02);
      expect(validPixels).toBe(expected[i]!.validPixels);
      expect(skippedSteps).toBe(0);
    }
  });

  it('takes losses over classes, whose channels are no multiple of 4', async () => {
    using trainer = await tinyTrainer(SOFTMAX, 3, { precision: 'mixed' });
    using plain = await tinyTrainer(SOFTMAX, 3);
    for (let step = 0; step < 3; step++) {
      const { loss } = await (await trainer.step(tinyBatch(step), step)).read();
      expect(Math.abs(loss - (await (await plain.step(tinyBatch(step), step)).read()).loss)).toBeLessThan(0.01);
    }
  });

  it('skips a step whose gradients overflow, and goes on at a lower scale', async () => {
    using trainer = await tinyTrainer(SEGSORT, 8, { precision: 'mixed', lossScale: { initial: 2 ** 24 } });
    // With running statistics, momenta and banks.
    const weights = async () => {
      const { tensors } = parseSafetensors(await trainer.checkpoint(0), 'checkpoint');
      return [...tensors].filter(([name]) => !name.startsWith('loss_scale/')).map(([, { data }]) => [...data]);
    };
    const before = await weights();
    const metrics: TrainingMetrics[] = [];
    for (let step = 0; step < 8; step++) {
      metrics.push(await (await trainer.step(tinyBatch(step), step)).read());
      if (metrics[step]!.skippedSteps === step + 1) expect(await weights()).toEqual(before);
    }
    const { lossScale, skippedSteps } = metrics.at(-1)!;
    expect(metrics[0]!.skippedSteps).toBe(1);
    expect(skippedSteps).toBeLessThan(8);
    expect(lossScale).toBe(2 ** (24 - skippedSteps!));
    expect(await weights()).not.toEqual(before);
  });

  it('bears gradients as large where they are accumulated', async () => {
    const lossScale = { initial: 2 ** 24 };
    const skipped = async (accumulate: number) => {
      using trainer = await tinyTrainer(SEGSORT, 8, { precision: 'mixed', lossScale, accumulate, learningRate: 0 });
      const batches = new Array<TrainingBatch>(accumulate).fill(tinyBatch(0));
      for (let step = 0; step < 10; step++) await trainer.step(batches, step);
      return (await (await trainer.step(batches, 10)).read()).skippedSteps!;
    };
    const once = await skipped(1);
    expect(once).toBeGreaterThan(2);
    expect(once).toBeLessThan(10);
    expect(await skipped(2)).toBe(once);
  });

  it('goes on from a checkpoint to the bit, with scale and counters', async () => {
    const options = { precision: 'mixed', lossScale: { initial: 2 ** 24, growthInterval: 2 } } as const;
    const train = async (stop: number, checkpoint?: Uint8Array<ArrayBuffer>) => {
      using trainer = await tinyTrainer(SEGSORT, 8, options);
      const from = checkpoint ? trainer.restore(checkpoint, 'checkpoint') : 0;
      for (let step = from; step < stop; step++) await (await trainer.step(tinyBatch(step), step)).read();
      return await trainer.checkpoint(stop);
    };
    const straight = await train(9);
    expect(await train(9, await train(4))).toEqual(straight);
    const { tensors } = parseSafetensors(straight, 'checkpoint');
    expect(tensors.get('loss_scale/skipped_steps')!.data[0]).toBeGreaterThan(0);
    using plain = await tinyTrainer(SEGSORT, 8);
    expect(() => plain.restore(straight, 'run.safetensors')).toThrow(/loss_scale\/scale is not part of this run/);
  });

  it('refuses precisions that there are not', async () => {
    await expect(tinyTrainer(SEGSORT, 8, { precision: 'half' as 'mixed' })).rejects.toThrow(/f32, mixed, got half/);
  });
});

afterAll(async () => (await tinyRuntime())[Symbol.dispose]());
