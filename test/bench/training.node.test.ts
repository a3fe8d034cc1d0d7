/** Training as the benchmarks measure it: the same step everywhere, told in images a second and memory. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { trainingWorkload } from '../../bench/cases/networks.js';
import { suite } from '../../bench/cases/suites.js';
import { CAPACITY } from '../../bench/cases/training.js';
import { millisecondsOfStep } from '../../bench/harness/step_time.node.js';
import { PRESETS } from '../../src/cli/config/presets.js';
import { PRECISIONS } from '../../src/segsort/trainer.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { testGpu } from '../support/gpu.js';
import { PLAIN_KERNELS } from '../support/plain_kernels.js';

test('the suite has training steps in both precisions', () => {
  const names = suite('networks', { batch: 8 }, 'training step').map(({ name }) => name);
  expect(names).toEqual([
    'resnet50 + PSP + SegSort training step, 8x336x336',
    'resnet50 + PSP + SegSort training step, mixed precision, 8x336x336',
    'resnet101 + PSP + SegSort training step, 8x336x336',
    'resnet101 + PSP + SegSort training step, mixed precision, 8x336x336',
  ]);
});

test.each(PRECISIONS)('a step in %s tells images a second and memory', async (precision) => {
  using runtime = new Runtime(await testGpu(), { kernels: PLAIN_KERNELS });
  const workload = trainingWorkload('digits', precision, 2, 32);
  const prepared = await workload.prepare(runtime);
  try {
    await prepared.runMany!(2);
    expect(workload.errorOf!(await prepared.read())).toBe(0);
    expect(prepared.flops).toBeGreaterThan(0);
    expect(await prepared.note!()).toMatch(
      /^[\d.]+ images\/s at best; \d+ MiB planned, \d+ MiB of it alive at one time; \d+ kernels$/,
    );
  } finally {
    prepared.dispose();
  }
});

test('the engine and PyTorch are measured with the released number of prototypes', async () => {
  expect(PRESETS['voc12-supervised'].config.segments?.capacity).toBe(CAPACITY);
  const script = await readFile(new URL('../../bench/peers/torch_training.py', import.meta.url), 'utf8');
  const [, names, values] = /^(CLASSES.*) = (.*)$/m.exec(script)!;
  const numbers = Object.fromEntries(names!.split(', ').map((name, i) => [name, Number(values!.split(', ')[i])]));
  expect(numbers).toEqual({
    ...{ CLASSES: 21, IGNORE: 255, CONCENTRATION: 10, CELLS: 5, ITERATIONS: 10, BANKS: 2, CAPACITY },
  });
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-step-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('finds the step that a session on a GPU has measured', async () => {
  const size = { batch: 8, crop: 336 };
  const found = () => millisecondsOfStep(folder, 'resnet101', size);
  expect(await found()).toBeNull();
  const training = { backbone: 'resnet101', ...size, milliseconds: 250 };
  await mkdir(join(folder, 'resnet101'));
  await writeFile(join(folder, 'resnet101', 'gpu-check-a-gpu.json'), JSON.stringify({ training }));
  expect(await found()).toBe(250);
  expect(await millisecondsOfStep(folder, 'resnet101', { batch: 4, crop: 336 })).toBeNull();
  const name = trainingWorkload('resnet101', 'f32', 8).name;
  const entry = { contender: 'segsort-webgpu', status: 'measured', summary: { median: 240 } };
  await writeFile(join(folder, 'networks.json'), JSON.stringify({ rows: [{ name, entries: [entry] }] }));
  expect(await found()).toBe(240);
});
