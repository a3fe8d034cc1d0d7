/** The same bits twice, after a resume, and in Chrome on the same software driver. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { chromeForTests } from '../../scripts/chrome.js';
import { type Gpu, openGpu } from '../../src/platform/gpu.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { PLAIN_KERNELS } from '../support/plain_kernels.js';
import { mixedSteps, twentySteps } from '../support/twenty_steps.js';

const TIMEOUT = 240_000;
let gpu: Gpu;
/** Shared by the runs in Node, which compile the same kernels; parameters and all else are each run's own. */
let runtime: Runtime;
let expected: Record<string, string>;
const losses: number[] = [];

beforeAll(async () => {
  // SwiftShader also where there is a GPU: that is what Chrome computes with.
  gpu = await openGpu({ adapter: 'cpu', notice: () => {} });
  runtime = new Runtime(gpu);
  expected = await twentySteps(runtime, undefined, losses);
}, TIMEOUT);

it('covers weights, statistics, momenta and banks', () => {
  for (const part of [/weights$/, /moving_mean$/, /\/Momentum$/, /^segsort\/bank_1\/prototypes$/])
    expect(Object.keys(expected).some((name) => part.test(name))).toBe(true);
});

it('lowers the loss, with the kernels that this adapter is given', () => {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(losses).toHaveLength(20);
  expect(mean(losses.slice(-4))).toBeLessThan(0.7 * mean(losses.slice(0, 4)));
});

it('trains to the same bits twice in Node', { timeout: TIMEOUT }, async () => {
  expect(await twentySteps(runtime)).toEqual(expected);
});

it('trains to the same bits after a resume in the middle', { timeout: TIMEOUT }, async () => {
  expect(await twentySteps(runtime, 9)).toEqual(expected);
});

let server: Server | undefined;
afterAll(async () => {
  server?.close();
  runtime?.[Symbol.dispose]();
  await gpu?.close();
});

it('trains to the same bits in Chrome, in f32 and in mixed precision', { timeout: TIMEOUT }, async () => {
  using plain = new Runtime(gpu, { kernels: PLAIN_KERNELS });
  const mixed = await mixedSteps(plain);
  expect(Object.keys(mixed)).toContain('loss_scale/scale');
  const { outputFiles } = await build({
    stdin: {
      contents: `
        import { openGpu } from './src/platform/gpu.js';
        import { Runtime } from './src/tensor/runtime.js';
        import { PLAIN_KERNELS } from './test/support/plain_kernels.js';
        import { mixedSteps, twentySteps } from './test/support/twenty_steps.js';
        globalThis.run = async () => {
          const gpu = await openGpu({ notice: () => {} });
          if (!gpu.facts.cpu) throw new Error('Chrome computes on a GPU: ' + gpu.facts.description);
          const mixed = await mixedSteps(new Runtime(gpu, { kernels: PLAIN_KERNELS }));
          return { mixed, whole: await twentySteps(new Runtime(gpu)) };
        };`,
      resolveDir: inject('root'),
      loader: 'ts',
    },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['browser'],
    target: 'es2022',
    loader: { '.wgsl': 'text' },
    write: false,
  });
  const page = `<!doctype html><script type="module">${outputFiles[0]!.text.replaceAll('</script', '<\\/script')}</script>`;
  // WebGPU wants a secure context, which localhost is.
  server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(page));
  await new Promise<void>((resolve) => server!.listen(0, 'localhost', resolve));
  const { port } = server.address() as AddressInfo;
  const browser = await chromium.launch({ ...(await chromeForTests()), headless: true });
  try {
    const tab = await browser.newPage();
    await tab.goto(`http://localhost:${port}/`);
    const hashes = await tab.evaluate(() =>
      (globalThis as unknown as { run(): Promise<Record<string, Record<string, string>>> }).run(),
    );
    expect(hashes.mixed).toEqual(mixed);
    expect(hashes.whole).toEqual(expected);
  } finally {
    await browser.close();
  }
});
