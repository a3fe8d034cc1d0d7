/** Figures are what they were when they were asked for, however late they are waited for. */
import { describe, expect, it } from 'vitest';
import { Largest } from '../../src/segsort/figures.js';
import { segsortObjective } from '../../src/segsort/objectives/segsort.js';
import type { TrainingMetrics } from '../../src/segsort/trainer.js';
import { reshape } from '../../src/tensor/ops/shape.js';
import { hostTensor } from '../../src/tensor/types.js';
import { tinyBatch, tinyRuntime, tinyTrainer } from '../support/tiny_training.js';

const STEPS = 4;

const objective = segsortObjective({
  ...{ cells: [2, 2], kmeansIterations: 2, concentration: 10, numerator: 'nca', banks: 1, capacity: 12 },
  ...{ classes: 3, ignore: 255 },
});

describe('a step whose figures are waited for after the next one was submitted', () => {
  it('reports what it would have, and trains the same', async () => {
    const train = async (late: boolean) => {
      using trainer = await tinyTrainer(objective, 8);
      const metrics: TrainingMetrics[] = [];
      let reading: Promise<TrainingMetrics> | null = null;
      for (let step = 0; step < STEPS; step++) {
        const submitted = await trainer.step(tinyBatch(step), step);
        if (reading) metrics.push(await reading);
        reading = submitted.read();
        if (!late) {
          metrics.push(await reading);
          reading = null;
        }
      }
      if (reading) metrics.push(await reading);
      return { metrics, checkpoint: await trainer.checkpoint(STEPS) };
    };
    const atOnce = await train(false);
    const late = await train(true);
    expect(late.metrics).toHaveLength(STEPS);
    expect(late.metrics).toEqual(atOnce.metrics);
    expect(late.checkpoint).toEqual(atOnce.checkpoint);
  });
});

describe('the largest values of steps', () => {
  it('are those since they were last accepted, each in one reading', async () => {
    const runtime = await tinyRuntime();
    using largest = new Largest(runtime, ['a', 'b']);
    using step = runtime.compile((a, b) => {
      largest.update({ a: reshape(a!, []), b: reshape(b!, []) });
      return {};
    });
    const run = (a: number, b: number) => step.run(hostTensor([1], [a]), hostTensor([1], [b]));
    await run(3, -1);
    await run(1, -2);
    const first = largest.take();
    await run(2, -5);
    expect(await first).toEqual({ a: 3, b: -1 });
    // Not accepted, as after an error: so they are told again.
    expect(await largest.take()).toEqual({ a: 3, b: -1 });
    largest.accept();
    await run(-7, -8);
    expect(await largest.take()).toEqual({ a: -7, b: -8 });
    largest.reset();
    await run(-9, -9);
    expect(await largest.take()).toEqual({ a: -9, b: -9 });
  });
});
