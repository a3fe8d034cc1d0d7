/** The loader with real worker threads, which need the bundled library. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { encodeGreyPng } from '../../src/data/codecs.js';
import { Dataset } from '../../src/data/dataset.js';
import { workerDecoder } from '../../src/data/decoder.js';
import { DataError } from '../../src/data/errors.js';
import { inspectSample } from '../../src/data/inspect.js';
import { PLAIN_LABELS } from '../../src/data/label_reading.js';
import { formatList, parseList } from '../../src/data/lists.js';
import type * as Library from '../../src/data/loader.js';
import { Loader, type LoaderOptions } from '../../src/data/loader.js';
import { folderFiles } from '../../src/platform/files.node.js';
import { startModuleWorker } from '../../src/platform/workers.js';
import { encodeJpeg } from '../support/jpeg.js';

let folder = '';
let bundled: typeof Library;
const COUNT = 10;
const options: LoaderOptions = {
  batch: 4,
  crop: { height: 24, width: 24 },
  training: { scale: [0.5, 2], mirror: true, seed: 3 },
  workers: 2,
};
const list = formatList(Array.from({ length: COUNT }, (_, i) => ({ image: `${i}.jpg`, label: `${i}.png` })));
const dataset = (text = list) => new Dataset(folderFiles(folder), parseList(text, 'train.txt'));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-loader-'));
  for (let i = 0; i < COUNT; i++) {
    const [width, height] = [20 + i, 30 - i];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, k) => (k * (i + 1)) % 256);
    await writeFile(join(folder, `${i}.jpg`), encodeJpeg({ width, height, data }));
    await writeFile(join(folder, `${i}.png`), encodeGreyPng({ width, height, data: data.subarray(0, width * height) }));
  }
  await writeFile(
    join(folder, 'cut.jpg'),
    encodeJpeg({ width: 9, height: 9, data: new Uint8Array(243) }).subarray(0, -9),
  );
  await mkdir(join(folder, 'dist'));
  await build({
    absWorkingDir: inject('root'),
    entryPoints: { index: 'src/data/loader.ts', decode_worker: 'src/data/decode_worker.ts' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    loader: { '.wgsl': 'text' },
    outdir: join(folder, 'dist'),
    logLevel: 'error',
  });
  await writeFile(join(folder, 'dist', 'package.json'), '{"type":"module"}');
  bundled = await import(/* @vite-ignore */ pathToFileURL(join(folder, 'dist', 'index.js')).href);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Worker threads of this process, as Node itself lists them. */
function threads(): number {
  return (process.report.getReport() as unknown as { workers: unknown[] }).workers.length;
}

describe('a loader with worker threads', () => {
  it('gives the same batches as one without', async () => {
    await using threaded = await bundled.Loader.open(dataset(), options);
    await using inline = await Loader.open(dataset(), { ...options, workers: 0 });
    for (const step of [0, 1, 2, 3, 7]) expect(await threaded.batch(step)).toEqual(await inline.batch(step));
  });

  it('passes errors on as they are', async () => {
    await using loader = await bundled.Loader.open(dataset('cut.jpg\n0.jpg 1.png\n'), {
      ...options,
      training: undefined,
      batch: 1,
      canvas: { height: 40, width: 40 },
    });
    for (const [step, file] of [
      [0, 'cut.jpg'],
      [1, '1.png'],
    ] as const) {
      const error = await loader.batch(step).then(
        () => null,
        (caught) => caught,
      );
      expect(error).toMatchObject({ name: 'DataError', file });
    }
    await expect(loader.batch(0)).rejects.toThrow(/^cut\.jpg: truncated JPEG/);
    await expect(loader.batch(1)).rejects.toThrow('1.png: label is 21x29, its image 0.jpg is 20x30');
  });

  it('looks samples over as the calling thread does', async () => {
    const url = pathToFileURL(join(folder, 'dist', 'decode_worker.js'));
    const rules = { classes: 3, colours: [], things: [] };
    const { source } = dataset();
    const filesOf = async (label: string) =>
      new Dataset(source, parseList(`0.jpg ${label}\n`, 'list.txt'), { regions: { template: '0.png' } }).readFiles(0);
    await using threaded = await workerDecoder(1, (events) =>
      startModuleWorker(url, () => Promise.reject() as never, events),
    );
    for (const label of ['0.png', '1.png', 'cut.jpg']) {
      const inspection = await threaded.inspect(await filesOf(label), rules);
      expect(inspection.findings.length).toBeGreaterThan(0);
      expect(inspection).toEqual(inspectSample(await filesOf(label), rules));
    }
  });

  it('ends its threads when disposed of, and what it was doing with an error', async () => {
    const before = threads();
    // Without a cache, from which a whole batch might come.
    const loader = await bundled.Loader.open(dataset(), { ...options, cacheBytes: 0, prefetch: 0 });
    await loader.batch(0);
    expect(threads()).toBe(before + 2);
    const batch = loader.batch(20);
    batch.catch(() => {});
    await loader[Symbol.asyncDispose]();
    expect(threads()).toBe(before);
    await expect(batch).rejects.toThrow('disposed of');
    await expect(loader.batch(1)).rejects.toThrow('disposed of');
  });

  it('lets a process end that forgot to dispose of it', async () => {
    const program = `
      import { Loader } from './index.js';
      import { readFile } from 'node:fs/promises';
      const read = async (path) => new Uint8Array(await readFile(${JSON.stringify(`${folder}/`)} + path));
      const entries = [{ image: '0.jpg', label: '0.png', line: 1 }];
      const dataset = {
        length: 1, list: { file: 'l', entries }, largestSize: async () => ({ width: 20, height: 30 }),
        readFiles: async () => ({
          image: { file: '0.jpg', bytes: await read('0.jpg') }, label: { file: '0.png', bytes: await read('0.png') },
          instances: null, regions: null, reading: { classes: null, instances: 'index', labels: 'classes' },
        }),
      };
      const loader = await Loader.open(dataset, ${JSON.stringify(options)});
      console.log((await loader.batch(0)).canvas.shape.join());
    `;
    await writeFile(join(folder, 'dist', 'forgetful.js'), program);
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'dist', 'forgetful.js')], {
      timeout: 30_000,
    });
    expect(stdout).toBe('4,30,20\n');
  });
});

describe('a decoding thread that dies', () => {
  const start = (code: string) => {
    const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
    return workerDecoder(1, (events) => startModuleWorker(url, () => Promise.reject() as never, events));
  };
  const files = () => ({
    image: { file: 'a.jpg', bytes: new Uint8Array(4) },
    label: null,
    instances: null,
    regions: null,
    reading: PLAIN_LABELS,
  });

  it('fails the samples it had, and all later ones', async () => {
    await using decoder = await start(
      `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { throw new Error('out of memory'); });`,
    );
    await expect(decoder.decode(files())).rejects.toThrow('a decoding worker failed: out of memory');
    await expect(decoder.decode(files())).rejects.toThrow(DataError);
  });

  it('that never started leaves none of the others behind', async () => {
    const left: string[] = [];
    let calls = 0;
    const refused = workerDecoder(3, async () => {
      if (calls++ === 0) throw new Error('no threads left');
      await new Promise((resolve) => setTimeout(resolve, 5));
      left.push('started');
      return { post() {}, keepAlive() {}, terminate: async () => void left.pop() };
    });
    await expect(refused).rejects.toThrow('decoding workers cannot be started: no threads left');
    expect([calls, left]).toEqual([3, []]);
  });

  it('is noticed also where it ends without an error', async () => {
    await using decoder = await start(
      `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => process.exit(3));`,
    );
    await expect(decoder.decode(files())).rejects.toThrow('exited with code 3');
  });

  it('is noticed where it could not be loaded', async () => {
    await using decoder = await start('import "./nowhere.js"');
    await expect(decoder.decode(files())).rejects.toThrow('a decoding worker failed');
  });
});
