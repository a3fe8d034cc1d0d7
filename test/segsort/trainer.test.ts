import { describe, expect, it } from 'vitest';
import { buildNetwork } from '../../src/models/network.js';
import { type SegsortOptions, segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { Trainer, type TrainerOptions } from '../../src/segsort/trainer.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { testGpu } from '../support/gpu.js';
import { sceneBatch } from '../support/scenes.js';

const options: TrainerOptions = {
  batch: 2,
  crop: [32, 32],
  steps: 20,
  learningRate: 0.05,
  warmup: 0,
  power: 0.9,
  momentum: 0.9,
  weightDecay: 5e-4,
  headRateFactor: 1,
  mean: [122.675, 116.669, 104.008],
  seed: 7,
};

const segsort: SegsortOptions = {
  cells: [3, 3],
  kmeansIterations: 5,
  concentration: 10,
  numerator: 'nca',
  banks: 2,
  capacity: 32,
  classes: 3,
  ignore: 255,
};

const scene = (step: number, relabel?: (label: number) => number) => sceneBatch(step, { batch: 2, size: 32, relabel });

let shared: Runtime | undefined;
async function open({
  crop = options.crop,
  ...changes
}: Partial<SegsortOptions & TrainerOptions> = {}): Promise<Trainer> {
  shared ??= new Runtime(await testGpu());
  const network = buildNetwork({ backbone: 'digits', outputs: 16 });
  return new Trainer(shared, network, segsortObjective({ ...segsort, ...changes }), { ...options, crop });
}

describe('the trainer', () => {
  it('lowers the loss', { timeout: 240_000 }, async () => {
    using trainer = await open();
    const losses: number[] = [];
    for (let step = 0; step < 16; step++) losses.push((await (await trainer.step(scene(step), step)).read()).loss);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(losses.slice(-4))).toBeLessThan(0.7 * mean(losses.slice(0, 4)));
  });

  it('refuses a crop that does not fit the head', async () => {
    await expect(open({ crop: [50, 48] })).rejects.toThrow('both sides must be multiples of 8');
  });

  it('says when all pixels are ignored', async () => {
    using trainer = await open();
    const step = await trainer.step(
      scene(0, () => 255),
      0,
    );
    await expect(step.read()).rejects.toThrow('all pixels of a batch are ignored (label 255)');
  });

  it('says when there are more segments than capacity, also in a step that was not read', async () => {
    using trainer = await open({ capacity: 4 });
    await trainer.step(scene(0), 0);
    const step = await trainer.step(
      scene(1, () => 0),
      1,
    );
    await expect(step.read()).rejects.toThrow(/more segments than capacity: .* the capacity is 4/);
  });

  it('says when a label is no class', async () => {
    using trainer = await open();
    const step = await trainer.step(
      scene(0, (x) => (x === 0 ? 0 : 5)),
      0,
    );
    await expect(step.read()).rejects.toThrow('has the label 5, which is neither a class nor the ignored label');
  });
});
