import { describe, expect, it } from 'vitest';
import { epochOrder, SEGSORT_AUGMENTATION } from '../../src/data/augment.js';
import { encodeGreyPng, encodePng } from '../../src/data/codecs.js';
import { Dataset } from '../../src/data/dataset.js';
import { DataError } from '../../src/data/errors.js';
import { formatList, parseList } from '../../src/data/lists.js';
import { type Batch, Loader, type LoaderOptions } from '../../src/data/loader.js';
import { type FileSource, memoryFiles } from '../../src/platform/files.js';

const COUNT = 7;
/** Image i is (4 + i) x (10 - i) pixels of colour (i, 2i, 3i), labelled i; file `bad` does not decode. */
function files(): Map<string, Uint8Array> {
  const map = new Map<string, Uint8Array>();
  for (let i = 0; i < COUNT; i++) {
    const [height, width] = [4 + i, 10 - i];
    const data = Uint8Array.from({ length: height * width * 3 }, (_, k) => i * ((k % 3) + 1));
    map.set(`${i}.png`, encodePng({ width, height, data }));
    map.set(`l${i}.png`, encodeGreyPng({ width, height, data: new Uint8Array(height * width).fill(i) }));
  }
  map.set('bad', encodePng({ width: 4, height: 4, data: new Uint8Array(48) }).subarray(0, 60));
  return map;
}

function counting(source: FileSource) {
  const counts = { reads: 0 };
  const read = (path: string) => {
    counts.reads++;
    return source.read(path);
  };
  return { source: { ...source, read }, counts };
}

const entries = Array.from({ length: COUNT }, (_, i) => ({ image: `${i}.png`, label: `l${i}.png` }));
const dataset = (list = formatList(entries), source: FileSource = memoryFiles(files())) =>
  new Dataset(source, parseList(list, 'list.txt'));
const training: LoaderOptions = {
  batch: 3,
  crop: { height: 8, width: 8 },
  training: { ...SEGSORT_AUGMENTATION, seed: 5 },
  workers: 0,
};

async function take(options: LoaderOptions, steps: number[]): Promise<Batch[]> {
  await using loader = await Loader.open(dataset(), options);
  const batches: Batch[] = [];
  for (const step of steps) batches.push(await loader.batch(step));
  return batches;
}

describe('Loader', () => {
  it('gives the same batches whenever it starts, however much it prefetches and caches', async () => {
    const steps = [0, 1, 2, 3, 4, 5];
    const all = await take(training, steps);
    expect(await take({ ...training, prefetch: 0, cacheBytes: 0 }, steps)).toEqual(all);
    expect(await take({ ...training, prefetch: 5 }, [3, 4, 5])).toEqual(all.slice(3));
    expect(await take(training, [5, 0, 2])).toEqual([all[5], all[0], all[2]]);
    expect((await take({ ...training, training: { ...SEGSORT_AUGMENTATION, seed: 6 } }, [0]))[0]).not.toEqual(all[0]);
  });

  it('visits the samples of each epoch in its shuffled order, across batches', async () => {
    const batches = await take(training, [0, 1, 2, 3, 4]);
    const order = [...epochOrder(5, 0, COUNT), ...epochOrder(5, 1, COUNT)];
    expect(batches.flatMap((batch) => batch.indices)).toEqual([...order, ...epochOrder(5, 2, COUNT)].slice(0, 15));
    expect(batches[0]!.names).toEqual(batches[0]!.indices.map((i) => `${i}.png`));
  });

  it('puts each image at the top left of a canvas as large as the largest', async () => {
    const [batch] = await take(training, [0]);
    expect(batch!.canvas.shape).toEqual([3, 10, 10]);
    expect(batch!.canvas.dtype).toBe('u32');
    for (const [place, index] of batch!.indices.entries()) {
      const [height, width] = [4 + index, 10 - index];
      expect(Array.from(batch!.placement.data.slice(place * 8, place * 8 + 2))).toEqual([height, width]);
      for (let y = 0; y < 10; y++)
        for (let x = 0; x < 10; x++) {
          const inside = y < height && x < width;
          const expected = inside ? index + index * 2 * 2 ** 8 + index * 3 * 2 ** 16 + index * 2 ** 24 : 0;
          expect(batch!.canvas.data[(place * 10 + y) * 10 + x]).toBe(expected);
        }
    }
  });

  it('goes once through the data set, in order, when evaluating', async () => {
    const options = { batch: 3, crop: { height: 10, width: 10 }, workers: 0 };
    await using loader = await Loader.open(dataset(), options);
    expect(loader.steps).toBe(3);
    const batches = [await loader.batch(0), await loader.batch(1), await loader.batch(2)];
    expect(batches.map((batch) => batch.indices)).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    expect(batches[2]!.canvas.shape).toEqual([3, 10, 10]);
    expect(Array.from(batches[2]!.placement.data.slice(0, 16))).toEqual([
      10, 4, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    await expect(loader.batch(3)).rejects.toThrow('step must be an integer from 0 to 2, got 3');
  });

  it('reads each file once where the cache holds all, and again where it holds none', async () => {
    for (const [cacheBytes, least, most] of [
      [2 ** 20, COUNT * 2, COUNT * 2],
      [0, COUNT * 2 * 3, Number.POSITIVE_INFINITY],
    ] as const) {
      const { source, counts } = counting(memoryFiles(files()));
      await using loader = await Loader.open(dataset(undefined, source), { ...training, prefetch: 0, cacheBytes });
      for (let step = 0; step < COUNT; step++) await loader.batch(step);
      expect(counts.reads).toBeGreaterThanOrEqual(least);
      expect(counts.reads).toBeLessThanOrEqual(most);
    }
  });

  it('reads ahead', async () => {
    const { source, counts } = counting(memoryFiles(files()));
    await using loader = await Loader.open(dataset(undefined, source), { ...training, prefetch: 1 });
    await loader.batch(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(counts.reads).toBe(6 * 2);
  });

  it('reports a broken file with the batch that needs it, not before', async () => {
    const list = '0.png l0.png\n1.png l1.png\nbad l2.png\n3.png nowhere.png\n';
    const options = { batch: 1, crop: { height: 10, width: 10 }, canvas: { height: 10, width: 10 }, workers: 0 };
    await using loader = await Loader.open(dataset(list), options);
    expect((await loader.batch(0)).names).toEqual(['0.png']);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await loader.batch(1)).names).toEqual(['1.png']);
    await expect(loader.batch(2)).rejects.toThrow(DataError);
    await expect(loader.batch(2)).rejects.toThrow(/^bad: truncated PNG/);
    await expect(loader.batch(3)).rejects.toThrow('nowhere.png: label listed in line 4 of list.txt: no such file');
  });

  it('names an image larger than the canvas, and one larger than its crop', async () => {
    const canvas = { height: 8, width: 10 };
    const options = { batch: 1, crop: { height: 10, width: 9 }, canvas, workers: 0, prefetch: 0 };
    await using loader = await Loader.open(dataset(), options);
    await expect(loader.batch(5)).rejects.toThrow('5.png: is 9x5 (height x width), larger than the canvas of 8x10');
    await expect(loader.batch(0)).rejects.toThrow('0.png: is 4x10 (height x width) and does not fit a crop of 10x9');
  });

  it('refuses options that make no sense, and batches after it was disposed of', async () => {
    await expect(Loader.open(dataset(), { ...training, batch: 0 })).rejects.toThrow(
      'batch must be an integer of at least 1',
    );
    const loader = await Loader.open(dataset(), training);
    await loader[Symbol.asyncDispose]();
    await expect(loader.batch(0)).rejects.toThrow('the loader was disposed of');
  });
});
