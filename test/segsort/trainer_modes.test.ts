/** Accumulation, running statistics, weights to start from, and inference on the parameters of a run. */
import { describe, expect, it } from 'vitest';
import { toHostTensor } from '../../src/checkpoints/host_tensors.js';
import { openSafetensors, parseSafetensors } from '../../src/checkpoints/safetensors.js';
import { restoreWeights } from '../../src/models/weights.js';
import { memoryFile } from '../../src/platform/files.js';
import { segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { softmaxObjective } from '../../src/segsort/objectives/softmax.js';
import { PrototypeTable } from '../../src/segsort/prototype_table.js';
import { Segmenter, type SegmenterOptions } from '../../src/segsort/segmenter.js';
import type { Trainer, TrainingBatch } from '../../src/segsort/trainer.js';
import { type HostTensor, hostTensor } from '../../src/tensor/types.js';
import { expectClose, relativeError } from '../support/compare.js';
import { TINY_OPTIONS, tinyBatch, tinyNetwork, tinyRuntime, tinyTrainer } from '../support/tiny_training.js';

const labels = { classes: 3, ignore: 255 };
const softmax = softmaxObjective(labels);
const segsort = segsortObjective({
  ...{ ...labels, cells: [2, 2], kmeansIterations: 2, concentration: 10, numerator: 'nca', banks: 1, capacity: 12 },
});

async function valuesOf(trainer: Trainer): Promise<Map<string, HostTensor>> {
  const { tensors } = parseSafetensors(await trainer.checkpoint(0), 'checkpoint');
  return new Map(Array.from(tensors, ([name, tensor]) => [name, toHostTensor(tensor, 'checkpoint', name)]));
}

/** Gives a trainer the weights of another's checkpoint. */
async function start(trainer: Trainer, other: Trainer, head = true) {
  await using file = await openSafetensors(memoryFile(await other.checkpoint(0), 'checkpoint'));
  return restoreWeights(trainer.runtime, trainer.network, file, { head });
}

/** Images `from` to `to` of a batch. */
function part({ canvas, placement }: TrainingBatch, from: number, to: number): TrainingBatch {
  const cut = ({ shape, dtype, data }: HostTensor): HostTensor => {
    const size = data.length / shape[0]!;
    return hostTensor([to - from, ...shape.slice(1)], data.slice(from * size, to * size), dtype);
  };
  return { canvas: cut(canvas), placement: cut(placement) };
}

describe('accumulation', () => {
  it('equals one batch of all images, also where batches have more ignored pixels than others', async () => {
    using whole = await tinyTrainer(softmax, 3, { batch: 6, statistics: 'running' });
    using inParts = await tinyTrainer(softmax, 3, { batch: 2, accumulate: 3, statistics: 'running' });
    // Statistics that fit the images.
    using first = await tinyTrainer(softmax, 3);
    for (let step = 0; step < 12; step++) await first.step(tinyBatch(step), step);
    for (const trainer of [whole, inParts]) await start(trainer, first);
    const before = await valuesOf(first);
    for (let step = 0; step < 3; step++) {
      const batch = tinyBatch(20 + step, { batch: 6 });
      // Most of the first image is ignored.
      for (let i = 0; i < 16 * 13; i++) batch.canvas.data[i] = (batch.canvas.data[i]! | 0xff000000) >>> 0;
      const expected = await (await whole.step(batch, step)).read();
      const parts = [0, 2, 4].map((from) => part(batch, from, from + 2));
      const actual = await (await inParts.step(parts, step)).read();
      expect(actual.validPixels).toBe(expected.validPixels);
      expect(actual.validPixels).toBeLessThan(6 * 49 - 20);
      expect(actual.loss).toBeCloseTo(expected.loss, 5);
      expect(actual.accuracy).toBeCloseTo(expected.accuracy!, 5);
    }
    const expected = await valuesOf(whole);
    for (const [name, value] of await valuesOf(inParts)) expectClose(value, expected.get(name)!, 1e-5, name);
    expect(
      relativeError(expected.get('tiny/conv1/weights')!.data, before.get('tiny/conv1/weights')!.data),
    ).toBeGreaterThan(0.01);
  });

  it('sums counts, and moves statistics and banks batch by batch', async () => {
    using trainer = await tinyTrainer(segsort, 8, { accumulate: 2 });
    const [first, second] = [tinyBatch(0), tinyBatch(1)];
    const metrics = await (await trainer.step([first, second], 0)).read();
    expect(metrics.validPixels).toBe(4 * 49);
    using single = await tinyTrainer(segsort, 8, { learningRate: 0 });
    const one = await (await single.step(first, 0)).read();
    const two = await (await single.step(second, 1)).read();
    expect(metrics.segments).toBe(one.segments! + two.segments!);
    expect(metrics.loss).toBeCloseTo((one.loss + two.loss) / 2, 5);
    const expected = await valuesOf(single);
    const actual = await valuesOf(trainer);
    for (const name of ['tiny/conv1/BatchNorm/moving_mean', 'segsort/bank_0/prototypes', 'segsort/bank_0/labels'])
      expect(actual.get(name), name).toEqual(expected.get(name));
  });

  it('resumes bit for bit', async () => {
    const batches = (step: number) => [tinyBatch(2 * step), tinyBatch(2 * step + 1)];
    using trainer = await tinyTrainer(segsort, 8, { accumulate: 2 });
    for (const step of [0, 1]) await trainer.step(batches(step), step);
    const half = await trainer.checkpoint(2);
    await trainer.step(batches(2), 2);
    using resumed = await tinyTrainer(segsort, 8, { accumulate: 2 });
    // What went before counts for nothing.
    await resumed.step(batches(7), 0);
    await resumed.step(batches(2), resumed.restore(half, 'half'));
    expect(await valuesOf(resumed)).toEqual(await valuesOf(trainer));
  });

  it('says when a step is given another number of batches', async () => {
    using trainer = await tinyTrainer(softmax, 3, { accumulate: 2 });
    await expect(trainer.step(tinyBatch(0), 0)).rejects.toThrow('a step takes 2 batches, as `accumulate` says, got 1');
    await expect(tinyTrainer(softmax, 3, { accumulate: 0 })).rejects.toThrow('at least 1, got 0');
  });

  it('minds only steps without any valid pixel', async () => {
    using trainer = await tinyTrainer(softmax, 3, { accumulate: 2 });
    const ignored = tinyBatch(0, { relabel: () => 255 });
    expect((await (await trainer.step([ignored, tinyBatch(1)], 0)).read()).validPixels).toBe(98);
    const step = await trainer.step([ignored, ignored], 1);
    await expect(step.read()).rejects.toThrow('all pixels since the last report are ignored (label 255)');
  });
});

describe('running statistics', () => {
  it('stay as they are when batch norm goes by them', async () => {
    using trainer = await tinyTrainer(softmax, 3, { statistics: 'running' });
    const before = await valuesOf(trainer);
    await trainer.step(tinyBatch(0), 0);
    const after = await valuesOf(trainer);
    expect(after.get('tiny/conv1/BatchNorm/moving_mean')).toEqual(before.get('tiny/conv1/BatchNorm/moving_mean'));
    expect(after.get('tiny/conv1/BatchNorm/gamma')).not.toEqual(before.get('tiny/conv1/BatchNorm/gamma'));
  });
});

describe('weights of another run', () => {
  const HEAD = ['tiny/logits/weights', 'tiny/logits/biases'];
  const isParameter = (name: string) => name.startsWith('tiny/') && !name.endsWith('/Momentum');

  it('are taken over, momenta and banks are not', async () => {
    using trainer = await tinyTrainer(segsort, 8);
    for (const step of [0, 1]) await trainer.step(tinyBatch(step), step);
    const trained = await valuesOf(trainer);
    using fresh = await tinyTrainer(segsort, 8);
    const initial = await valuesOf(fresh);
    const report = await start(fresh, trainer);
    expect(report.skipped).toEqual([]);
    expect(report.unused).toContain('segsort/bank_0/labels');
    for (const [name, value] of await valuesOf(fresh))
      expect(value, name).toEqual((isParameter(name) ? trained : initial).get(name));
  });

  it('leave the head as it is where that is wanted', async () => {
    using trainer = await tinyTrainer(segsort, 8);
    await trainer.step(tinyBatch(0), 0);
    const trained = await valuesOf(trainer);
    using fresh = await tinyTrainer(segsort, 8);
    const initial = await valuesOf(fresh);
    expect((await start(fresh, trainer, false)).skipped).toEqual(HEAD);
    const now = await valuesOf(fresh);
    for (const name of HEAD) expect(now.get(name)).toEqual(initial.get(name));
    expect(now.get('tiny/conv1/weights')).toEqual(trained.get('tiny/conv1/weights'));
  });
});

describe('a segmenter on the parameters of a run', () => {
  it('computes what one with the checkpoint computes, step after step', async () => {
    const runtime = await tinyRuntime();
    using trainer = await tinyTrainer(segsort, 8);
    const options: SegmenterOptions = {
      ...{ ...labels, canvas: TINY_OPTIONS.crop, cells: [2, 2], kmeansIterations: 2, neighbours: 1, stride: 2 },
      mean: TINY_OPTIONS.mean,
    };
    using live = new Segmenter(runtime, trainer.network, { ...options, parameters: 'shared' });
    using loaded = new Segmenter(runtime, tinyNetwork(8), options);
    const images = { ...tinyBatch(5), names: ['a', 'b'] };
    const features: Float32Array[] = [];
    for (const step of [0, 1]) {
      await trainer.step(tinyBatch(step), step);
      loaded.load(await trainer.checkpoint(step), 'checkpoint');
      const tables = [live, loaded].map(() => new PrototypeTable(8));
      await live.extract(images, tables[0]!);
      await loaded.extract(images, tables[1]!);
      expect(tables[0]!.size).toBeGreaterThan(0);
      expect(tables[0]!.features).toEqual(tables[1]!.features);
      features.push(tables[0]!.features.slice());
    }
    expect(features[0]).not.toEqual(features[1]);
  });
});
