/** What a browser loads to train: how much it is, that it is all that it loads, and that it trains. */
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { chromeForTests } from '../scripts/chrome.js';
import { measurePage, type PageSize } from '../scripts/measure_size.mjs';
import { encodeGreyPng } from '../src/data/codecs.js';
import type * as library from '../src/index.js';
import { encodeJpeg } from './support/jpeg.js';
import { PLAIN_KERNELS } from './support/plain_kernels.js';

const root = inject('root');
const SIDE = 24;
let site: string;
const sizes = new Map<string, PageSize>();

beforeAll(async () => {
  site = await mkdtemp(join(tmpdir(), 'segsort-size-'));
  for (const page of Object.keys(BOUNDS)) {
    await mkdir(join(site, page));
    sizes.set(page, await measurePage(root, page, join(site, page)));
  }
});
afterAll(() => rm(site, { recursive: true, force: true }));

/**
 * In bytes, gzipped. What training may take is 80 kB: the engine, the models, the loss and its trainer, checkpoints. Beyond
 * that, `folder` has decoders of JPEG and PNG and a loader, `described` checks a description. Where esbuild splits, a
 * page like `engine` also gets the chunk of the decoders (15 kB), which it does not use.
 */
const BOUNDS: Record<string, number> = {
  engine: 45_000,
  tensors: 80_000,
  folder: 88_000,
  described: 98_000,
  everything: 210_000,
};

describe('a page', () => {
  it.each(Object.entries(BOUNDS))('%s loads less than %d bytes', (page, bound) => {
    expect(sizes.get(page)!.gzipped).toBeLessThan(bound);
  });

  it.each(['folder', 'tensors'])('%s loads those files alone, and trains', async (page) => {
    const served = await serve(await siteFiles(page));
    const browser = await chromium.launch(await chromeForTests());
    try {
      const tab = await browser.newPage();
      const scripts: string[] = [];
      const problems: string[] = [];
      tab.on('response', (response) => {
        const name = new URL(response.url()).pathname.slice(1);
        if (extname(name) === '.js') scripts.push(name);
      });
      tab.on('pageerror', (error) => problems.push(error.stack ?? error.message));
      tab.on('console', (message) => problems.push(message.text()));
      const kernels = encodeURIComponent(JSON.stringify(PLAIN_KERNELS));
      await tab.goto(`${served.url}index.html?small&steps=3&kernels=${kernels}`);
      const trained = await tab
        .waitForFunction(() => (globalThis as { trained?: Trained }).trained, undefined, { timeout: 50_000 })
        .then((handle) => handle.jsonValue() as Promise<Trained>)
        .catch((error) => {
          throw new Error(`${error.message}\n${problems.join('\n')}`);
        });
      expect(new Set(trained.losses).size).toBe(3);
      for (const loss of trained.losses) expect(loss).toBeGreaterThan(0);
      expect(trained.restored).toBe(3);
      expect(trained.bytes).toBeGreaterThan(1000);
      // The naive kernels are asked for here, as they compile fast; a page does not load them.
      expect([...new Set(scripts)].filter((name) => !name.startsWith('naive_shaders-')).sort()).toEqual(
        sizes
          .get(page)!
          .files.map(({ name }) => name)
          .sort(),
      );
    } finally {
      await browser.close();
      await served.close();
    }
  });
});

interface Trained {
  readonly losses: readonly number[];
  readonly bytes: number;
  readonly restored: number;
}

/** A page with its bundle, and a data set of four photographs. */
async function siteFiles(page: string): Promise<Map<string, Uint8Array | string>> {
  const files = new Map<string, Uint8Array | string>();
  for (const name of await readdir(join(site, page))) files.set(name, await readFile(join(site, page, name)));
  files.set('index.html', `<script type="module" src="/${page}.js"></script>`);
  const size = { width: SIDE, height: SIDE };
  for (let index = 0; index < 4; index++) {
    const labels = Uint8Array.from({ length: SIDE * SIDE }, (_, p) => Number(p % SIDE > 4 * index + 4));
    const data = Uint8Array.from(
      { length: SIDE * SIDE * 3 },
      (_, k) => 60 + 120 * labels[Math.floor(k / 3)]! + (k % 7),
    );
    files.set(`data/${index}.jpg`, encodeJpeg({ ...size, data }));
    files.set(`data/${index}.png`, encodeGreyPng({ ...size, data: labels }));
  }
  return files.set('data/train.txt', [0, 1, 2, 3].map((index) => `${index}.jpg ${index}.png\n`).join(''));
}

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };

async function serve(files: ReadonlyMap<string, Uint8Array | string>) {
  const server = createServer(({ url }, response) => {
    const name = new URL(url!, 'http://localhost').pathname.slice(1);
    const body = files.get(name);
    response.writeHead(body === undefined ? 404 : 200, {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

describe('the library for browsers', () => {
  const open = (kind: string): Promise<typeof library> =>
    import(/* @vite-ignore */ pathToFileURL(join(root, 'dist', kind, 'index.js')).href);

  it('has no references and samples of ops, and says so', async () => {
    const { allOps, interpret, kernelVariants, ndarray, relu, traceStep } = await open('browser');
    expect(allOps.length).toBeGreaterThan(50);
    for (const op of allOps) expect(Object.keys(op)).not.toEqual(expect.arrayContaining(['reference']));
    for (const op of allOps) expect(Object.keys(op)).not.toEqual(expect.arrayContaining(['samples']));
    const type = { shape: [2], dtype: 'f32' } as const;
    const { graph, results } = traceStep((x) => relu(x), [type]);
    expect(() => interpret(graph, results, { arguments: [ndarray([2], [-1, 2])] })).toThrow(
      'relu comes without its reference and samples in the production build',
    );
    expect(() => kernelVariants(allOps, { cpu: true, features: new Set(), limits: {} as never })).toThrow(
      'development',
    );
  });

  it('has them for development', async () => {
    const { allOps, interpret, ndarray, relu, traceStep } = await open('development');
    for (const op of allOps) expect(op.samples().length).toBeGreaterThan(0);
    const { graph, results } = traceStep((x) => relu(x), [{ shape: [2], dtype: 'f32' }]);
    expect([...interpret(graph, results, { arguments: [ndarray([2], [-1, 2])] })[0]!.data]).toEqual([0, 2]);
  });
});
