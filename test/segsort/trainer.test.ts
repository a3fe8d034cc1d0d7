/** The trainer's schedule, and what it refuses. That it lowers the loss: see objectives.test.ts, and determinism.node.test.ts for a whole network. */
import { describe, expect, it } from 'vitest';
import { buildNetwork } from '../../src/models/network.js';
import type { Objective } from '../../src/segsort/objectives/objective.js';
import { segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { softmaxObjective } from '../../src/segsort/objectives/softmax.js';
import { Trainer, type TrainerOptions } from '../../src/segsort/trainer.js';
import { TINY_OPTIONS, tinyBatch, tinyNetwork, tinyRuntime, tinyTrainer } from '../support/tiny_training.js';

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
    await expect(step.read()).rejects.toThrow('all pixels since the last report are ignored (label 255)');
  });

  it('goes on past a step without valid pixels, if it is not the only one', async () => {
    using trainer = await tinyTrainer(objective(), 8);
    const empty = tinyBatch(0, { relabel: () => 255 });
    await trainer.step(empty, 0);
    await (await trainer.step(tinyBatch(1), 1)).read();
    await trainer.step(tinyBatch(2), 2);
    expect((await (await trainer.step(empty, 3)).read()).validPixels).toBe(0);
    await trainer.step(empty, 4);
    const step = await trainer.step(empty, 5);
    await expect(step.read()).rejects.toThrow('all pixels since the last report are ignored (label 255)');
  });

  it('takes another label for what is ignored, also outside of the images', async () => {
    const softmax = softmaxObjective({ classes: 3, ignore: 254 });
    using trainer = await tinyTrainer(softmax, 3);
    const { canvas, placement } = tinyBatch(0);
    for (const [i, word] of canvas.data.entries())
      if (word >>> 24 === 255) canvas.data[i] = ((word & 0xffffff) | (254 << 24)) >>> 0;
    // Half of each crop lies below its image.
    const data = placement.data.slice();
    for (const image of [0, 1]) data[image * 8 + 4]! += 8;
    const step = await trainer.step({ canvas, placement: { ...placement, data } }, 0);
    const { validPixels } = await step.read();
    expect(validPixels).toBeGreaterThan(0);
    expect(validPixels).toBeLessThanOrEqual(2 * 4 * 8);
  });

  it('leaves a network as it was where it cannot be built on it', async () => {
    const runtime = await tinyRuntime();
    const network = tinyNetwork(3);
    const softmax = softmaxObjective({ classes: 3, ignore: 255 });
    const build = (objective: Objective, changes: Partial<TrainerOptions> = {}) =>
      new Trainer(runtime, network, objective, { ...TINY_OPTIONS, ...changes });
    expect(() => build(softmaxObjective({ classes: 5, ignore: 255 }))).toThrow('there are 5 classes');
    expect(() => build(softmax, { precision: 'mixed', lossScale: { initial: 3 } })).toThrow('a power of 2');
    expect(network.parameters.filter(({ hasMemory }) => hasMemory)).toEqual([]);
    using trainer = build(softmax);
    expect(() => build(softmax)).toThrow(
      "give the segmenter of a network that is being trained `parameters: 'shared'`",
    );
    expect((await (await trainer.step(tinyBatch(0), 0)).read()).loss).toBeGreaterThan(0);
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
