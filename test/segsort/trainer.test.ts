/** The trainer's schedule, and what it refuses. That it lowers the loss: see objectives.test.ts, and determinism.node.test.ts for a whole network. */
import { describe, expect, it } from 'vitest';
import { buildNetwork } from '../../src/models/network.js';
import { segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { Trainer } from '../../src/segsort/trainer.js';
import { TINY_OPTIONS, tinyBatch, tinyRuntime, tinyTrainer } from '../support/tiny_training.js';

const objective = (capacity = 32) =>
  segsortObjective({
    ...{ cells: [2, 2], kmeansIterations: 2, concentration: 10, numerator: 'nca', banks: 1 },
    ...{ classes: 3, ignore: 255, capacity },
  });

describe('the trainer', () => {
  it('refuses a crop that does not fit the head', async () => {
    const runtime = await tinyRuntime();
    const network = buildNetwork({ backbone: 'digits', outputs: 16 });
    expect(() => new Trainer(runtime, network, objective(), { ...TINY_OPTIONS, crop: [50, 48] })).toThrow(
      'both sides must be multiples of 8',
    );
  });

  it('lets the rate rise, then fall as the schedule says, and stay at 0 past its end', async () => {
    using trainer = await tinyTrainer(objective(), 8, { learningRate: 0.5, steps: 100, warmup: 3, power: 0.9 });
    const expected = [0.25 * 0.5, 0.5 * 0.5 * 0.99 ** 0.9, 0.75 * 0.5 * 0.98 ** 0.9, 0.5 * 0.97 ** 0.9];
    for (const [step, rate] of expected.entries()) expect(trainer.learningRate(step)).toBeCloseTo(rate, 12);
    expect(trainer.learningRate(99)).toBeCloseTo(0.5 * 0.01 ** 0.9, 12);
    expect([100, 120].map((step) => trainer.learningRate(step))).toEqual([0, 0]);
  });

  it('says when all pixels are ignored', async () => {
    using trainer = await tinyTrainer(objective(), 8);
    const step = await trainer.step(tinyBatch(0, { relabel: () => 255 }), 0);
    await expect(step.read()).rejects.toThrow('all pixels of a batch are ignored (label 255)');
  });

  it('says when there are more segments than capacity, also in a step that was not read', async () => {
    using trainer = await tinyTrainer(objective(4), 8);
    await trainer.step(tinyBatch(0), 0);
    const step = await trainer.step(tinyBatch(1, { relabel: () => 0 }), 1);
    await expect(step.read()).rejects.toThrow(/more segments than capacity: .* the capacity is 4/);
  });

  it('does not touch the weights where a checkpoint is not of this run', async () => {
    using trainer = await tinyTrainer(objective(), 8);
    using other = await tinyTrainer(objective(), 8, { seed: 8 });
    const before = await other.checkpoint(0);
    const bytes = await trainer.checkpoint(3);
    expect(() => other.restore(bytes, 'a.safetensors')).toThrow('a.safetensors was made with seed 7, this run has 8');
    expect(await other.checkpoint(0)).toEqual(before);
  });
});
