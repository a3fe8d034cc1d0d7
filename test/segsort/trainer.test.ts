import { describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import { buildNetwork } from '../../src/models/network.js';
import { Trainer, type TrainerOptions, type TrainingBatch } from '../../src/segsort/trainer.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { testGpu } from '../support/gpu.js';

const options: TrainerOptions = {
  batch: 2,
  crop: [48, 48],
  steps: 20,
  learningRate: 0.05,
  warmup: 0,
  power: 0.9,
  momentum: 0.9,
  weightDecay: 5e-4,
  headRateFactor: 1,
  cells: [3, 3],
  kmeansIterations: 5,
  concentration: 10,
  numerator: 'nca',
  banks: 2,
  capacity: 32,
  classes: 3,
  ignore: 255,
  mean: [122.675, 116.669, 104.008],
  seed: 7,
};

/** Coloured rectangles on a noisy ground: class 1 reddish, class 2 bluish, class 0 elsewhere, an ignored frame. */
function scene(step: number, label = (x: number) => x): TrainingBatch {
  const size = 48;
  const random = new Random({ seed: 11, stream: 99, step });
  const canvas = new Uint32Array(options.batch * size * size);
  for (let n = 0; n < options.batch; n++) {
    const [top, left] = [random.integer(20), random.integer(20)];
    const kind = 1 + random.integer(2);
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const inside = y >= top && y < top + 22 && x >= left && x < left + 22;
        const noise = random.integer(60);
        const [r, g, b] = inside ? (kind === 1 ? [190, 40, 40] : [40, 40, 190]) : [90, 110, 90];
        const edge = y === 0 || x === 0;
        const value = edge ? 255 : label(inside ? kind : 0);
        canvas[(n * size + y) * size + x] =
          ((r! + noise) | ((g! + noise) << 8) | ((b! + noise) << 16) | (value << 24)) >>> 0;
      }
  }
  const placement = new Float32Array(options.batch * 8);
  for (let n = 0; n < options.batch; n++) placement.set([size, size, 1, 1, 0, 0, 0, 0], n * 8);
  return {
    canvas: { shape: [options.batch, size, size], dtype: 'u32', data: canvas },
    placement: { shape: [options.batch, 8], dtype: 'f32', data: placement },
  };
}

async function open(changes: Partial<TrainerOptions> = {}): Promise<Trainer> {
  const network = buildNetwork({ backbone: 'small', outputs: 16 });
  return new Trainer(new Runtime(await testGpu()), network, { ...options, ...changes });
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
    await expect(open({ crop: [50, 48] })).rejects.toThrow('both sides must be multiples of 48');
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
