/** The loader with Web Workers; in Node, see loader_workers.node.test.ts. */
import { describe, expect, it } from 'vitest';
import { encodeGreyPng } from '../../src/data/codecs.js';
import { Dataset } from '../../src/data/dataset.js';
import { workerDecoder } from '../../src/data/decoder.js';
import { PLAIN_LABELS } from '../../src/data/label_reading.js';
import { formatList, parseList } from '../../src/data/lists.js';
import { Loader, type LoaderOptions } from '../../src/data/loader.js';
import { memoryFiles } from '../../src/platform/files.js';
import { type StartWorker, startModuleWorker } from '../../src/platform/workers.js';
import { inNode } from '../support/files.js';
import { encodeJpeg } from '../support/jpeg.js';

const COUNT = 5;
const files = new Map<string, Uint8Array>();
for (let i = 0; i < COUNT; i++) {
  const [width, height] = [12 + i, 9];
  const data = Uint8Array.from({ length: width * height * 3 }, (_, k) => (k * (i + 1)) % 256);
  files.set(`${i}.jpg`, encodeJpeg({ width, height, data }));
  files.set(`${i}.png`, encodeGreyPng({ width, height, data: data.subarray(0, width * height) }));
}
files.set('cut.jpg', files.get('0.jpg')!.subarray(0, -20));

const startWorker: StartWorker = (events) =>
  startModuleWorker(
    new URL('file:///unused'),
    () => new Worker(new URL('../../src/data/decode_worker.ts', import.meta.url), { type: 'module' }),
    events,
  );
const options: LoaderOptions = {
  batch: 3,
  crop: { height: 16, width: 16 },
  training: { scale: [0.5, 2], mirror: true, seed: 3 },
  workers: 2,
  startWorker,
};

describe.skipIf(inNode)('a loader with Web Workers (skipped in Node)', () => {
  it('gives the same batches as one without', async () => {
    const list = formatList(Array.from({ length: COUNT }, (_, i) => ({ image: `${i}.jpg`, label: `${i}.png` })));
    const dataset = new Dataset(memoryFiles(files), parseList(list, 'list.txt'));
    await using threaded = await Loader.open(dataset, options);
    await using inline = await Loader.open(dataset, { ...options, workers: 0 });
    for (const step of [0, 1, 5]) expect(await threaded.batch(step)).toEqual(await inline.batch(step));
  });

  it('passes errors on as they are', async () => {
    const dataset = new Dataset(memoryFiles(files), parseList('cut.jpg', 'list.txt'));
    await using loader = await Loader.open(dataset, { ...options, batch: 1, training: undefined });
    await expect(loader.batch(0)).rejects.toMatchObject({ name: 'DataError', file: 'cut.jpg' });
  });

  it('fails where the worker cannot be loaded', async () => {
    await using decoder = await workerDecoder(1, (events) =>
      startModuleWorker(
        new URL('file:///unused'),
        () => new Worker(URL.createObjectURL(new Blob(['import "./nowhere.js"'])), { type: 'module' }),
        events,
      ),
    );
    const image = { file: 'a.jpg', bytes: new Uint8Array(4) };
    const sample = { image, label: null, instances: null, regions: null, reading: PLAIN_LABELS };
    await expect(decoder.decode(sample)).rejects.toThrow('a decoding worker failed');
  });
});
