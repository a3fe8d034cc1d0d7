/** The file of tuned choices, what `doctor` shows of it, and what `train --tune` needs of it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { doctor } from '../../src/cli/doctor.js';
import { environmentOf, variantsFor, withGpu } from '../../src/cli/session.js';
import { commonPlans, tune } from '../../src/cli/tune.js';
import { TuningCache } from '../../src/platform/tuning_cache.js';
import { defaultTuningFile, fileTuningStore } from '../../src/platform/tuning_cache.node.js';
import { matmul } from '../../src/tensor/ops/matmul.js';
import { choicesOf } from '../../src/tensor/tune.js';
import { f32 } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-tuning-'));
});
beforeEach(() => {
  file = join(folder, `${Math.random()}`, 'tuning.json');
  vi.stubEnv('SEGSORT_TUNING', file);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const report = async (options: Parameters<typeof doctor>[0]): Promise<string> => {
  const lines: string[] = [];
  await doctor(options, variantsFor, (line) => lines.push(line));
  return lines.join('\n');
};

it('lies where the system keeps caches', () => {
  expect(defaultTuningFile({ SEGSORT_TUNING: '/x/y.json' })).toBe('/x/y.json');
  expect(defaultTuningFile({ XDG_CACHE_HOME: '/cache' }, 'linux')).toBe('/cache/segsort-webgpu/tuning.json');
  expect(defaultTuningFile({}, 'darwin')).toMatch(/Library.Caches.segsort-webgpu.tuning\.json$/);
  expect(defaultTuningFile({ LOCALAPPDATA: 'C:\\Local' }, 'win32')).toContain('C:\\Local');
});

it('is shown by doctor, and used by runs that ask for it', async () => {
  expect(await report({})).toContain(`none for this adapter and driver in ${file}`);
  const { facts } = await testGpu();
  const cache = await TuningCache.open(fileTuningStore(), facts);
  await cache.with({ 'quads matmul 64x64x1024': '64x32/2' });
  expect(await report({})).toMatch(/^ {2}1 choices in .*tuning\.json\n {2}quads matmul 64x64x1024: 64x32\/2$/m);
  expect(JSON.parse(await report({ json: true })).tuning.table).toEqual(
    (await TuningCache.open(fileTuningStore(), facts)).table,
  );

  const partsOf = (tuned: boolean) =>
    withGpu({ tuned }, async (session) => {
      using step = session.runtime.compile((a, b) => matmul(a, b), 'product');
      const [command] = step.plan(f32([64, 1024]), f32([1024, 64])).steps[0]!.commands;
      const parts = command && 'source' in command ? command.workgroups[2] : undefined;
      return { parts, environment: environmentOf(session) };
    });
  if (!facts.cpu) return;
  const untuned = await partsOf(false);
  expect(untuned.parts).toBe(4);
  expect(untuned.environment).not.toHaveProperty('tuning');
  const tuned = await partsOf(true);
  expect(tuned.parts).toBe(2);
  expect(tuned.environment.tuning).toEqual({ 'quads matmul 64x64x1024': '64x32/2' });
});

it('is no obstacle where it is damaged', async () => {
  const { facts } = await testGpu();
  await (await TuningCache.open(fileTuningStore(), facts)).with({ a: 'b' });
  await writeFile(file, (await readFile(file, 'utf8')).slice(0, 40));
  expect(await report({})).toContain(`${file} is ignored (`);
  expect(await withGpu({ tuned: true }, async ({ runtime }) => runtime.facts.tuning)).toEqual({});
});

it('says where there is nothing to tune', async () => {
  const gpu = await testGpu();
  const lines: string[] = [];
  await tune(gpu, [], (line) => lines.push(line));
  expect(lines).toEqual([`nothing to tune: 0 choices are in ${file}`]);
  // Every convolution and gradient of a network leaves something to tune.
  const keys = [
    ...choicesOf(commonPlans({ ...gpu.facts, cpu: false }), { facts: { ...gpu.facts, cpu: false } }).keys(),
  ];
  for (const op of ['conv2d', 'filterGrad', 'matmul']) expect(keys.some((key) => key.includes(` ${op} `))).toBe(true);
  expect(keys.length).toBeGreaterThan(15);
});
