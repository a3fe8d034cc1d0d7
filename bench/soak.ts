/**
 * Whether memory grows: thousands of training steps of a small network, through loader and trainer as `segsort train` runs
 * them, then as many predictions. Every so many steps the process's memory, the JavaScript heap and the buffers on the GPU are
 * measured; over the last three quarters each may rise no faster than its bound.
 *
 *   node scripts/run_bench.mjs soak [steps=2000] [predictions=2000] [size=16] [out=bench/results/soak.json]
 *
 * Exit code 1 where something grows. Prints a table, and writes all samples as JSON.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Dataset } from '../src/data/dataset.js';
import { writeDigitScenes } from '../src/data/digits.node.js';
import { Loader } from '../src/data/loader.js';
import { buildNetwork } from '../src/models/network.js';
import { folderFiles, writeFileAtomic } from '../src/platform/files.node.js';
import { openGpu } from '../src/platform/gpu.js';
import { segsortObjective } from '../src/segsort/objectives/segsort.js';
import { PrototypeTable } from '../src/segsort/prototype_table.js';
import { Segmenter } from '../src/segsort/segmenter.js';
import { Trainer } from '../src/segsort/trainer.js';
import { Runtime } from '../src/tensor/runtime.js';
import { countBuffers } from './harness/count_buffers.js';

const given = new Map(process.argv.slice(2).map((argument) => argument.split('=') as [string, string]));
const steps = Number(given.get('steps') ?? 2000);
const predictions = Number(given.get('predictions') ?? 2000);
const size = Number(given.get('size') ?? 16);
const out = given.get('out') ?? 'bench/results/soak.json';
const BATCH = 2;
/** Samples of each phase; the first quarter is left out, in which caches fill and code is compiled. */
const SAMPLES = 20;

/** Most bytes a step that do not count as growth. */
const BOUNDS = {
  /** Less than a bind group or a command buffer kept for every step; the allocator itself moves by a MiB or two. */
  'process (RSS)': 2048,
  /** Less than a step's handles and promises; compiled code moves it by some 0.2 MiB. */
  'JavaScript heap': 512,
  /** Less than the crops of a step. */
  'external and array buffers': 512,
  'GPU buffers': 0,
} as const;
type Quantity = keyof typeof BOUNDS;
type Sample = { readonly step: number } & Readonly<Record<Quantity, number>>;

// The heap is measured after a collection, so that what is left is what is held.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

await using gpu = await openGpu();
const { device, facts } = gpu;
const buffers = countBuffers(device);
using runtime = new Runtime(gpu, { kernels: facts.cpu ? { conv2dFilterGrad: 'naive' } : {} });

async function sample(step: number): Promise<Sample> {
  await device.queue.onSubmittedWorkDone();
  // Finalizers of what was collected run in turns of their own.
  for (let i = 0; i < 2; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    step,
    'process (RSS)': rss,
    'JavaScript heap': heapUsed,
    'external and array buffers': external,
    'GPU buffers': buffers.bytes,
  };
}

/** Runs `body` so many times and takes samples in between. */
async function soak(phase: string, count: number, body: (step: number) => Promise<void>): Promise<Sample[]> {
  const samples: Sample[] = [];
  const every = Math.max(1, Math.floor(count / SAMPLES));
  for (let step = 0; step < count; step++) {
    if (step % every === 0) {
      samples.push(await sample(step));
      console.error(`${phase}: ${step} of ${count}`);
    }
    await body(step);
  }
  samples.push(await sample(count));
  return samples;
}

/** Least squares: bytes a step. */
function slope(samples: readonly Sample[], quantity: Quantity): number {
  const mean = (pick: (sample: Sample) => number) =>
    samples.reduce((sum, each) => sum + pick(each), 0) / samples.length;
  const [x, y] = [mean(({ step }) => step), mean((each) => each[quantity])];
  const covariance = mean((each) => (each.step - x) * (each[quantity] - y));
  return covariance / mean((each) => (each.step - x) ** 2);
}

const folder = await mkdtemp(join(tmpdir(), 'segsort-soak-'));
try {
  const { trainList } = await writeDigitScenes(folder, { size, scale: [0.5, 0.6], train: 24, val: 4 });
  const source = folderFiles(folder);
  const dataset = await Dataset.open(source, trainList);
  const crop = { height: size, width: size };
  // Nothing is kept decoded, so that every step reads and decodes files.
  const options = { batch: BATCH, crop, cacheBytes: 0, workers: 0 };
  const network = buildNetwork({ backbone: 'digits', outputs: 8 });
  const mean = [33, 33, 33] as const;
  const clustering = { cells: [2, 2], kmeansIterations: 2 } as const;
  const objective = segsortObjective({
    ...clustering,
    ...{ concentration: 10, numerator: 'nca', banks: 1, capacity: 16, classes: 11, ignore: 255 },
  });
  const phases: Record<string, Sample[]> = {};
  const began = performance.now();
  {
    using trainer = new Trainer(runtime, network, objective, {
      ...{ batch: BATCH, crop: [size, size], steps, learningRate: 0.01, warmup: 0, power: 0.9, momentum: 0.9 },
      ...{ weightDecay: 5e-4, headRateFactor: 1, mean, seed: 1 },
    });
    await using loader = await Loader.open(dataset, {
      ...options,
      training: { seed: 1, scale: [1, 1], mirror: false },
    });
    phases.training = await soak('training', steps, async (step) => {
      const submitted = await trainer.step(await loader.batch(step), step);
      if (step % 10 === 9) await submitted.read();
    });
  }
  {
    using segmenter = new Segmenter(runtime, network, {
      ...{ canvas: [size, size], ...clustering, neighbours: 5, classes: 11, ignore: 255, mean, stride: 2 },
      batchStatistics: true,
    });
    await using loader = await Loader.open(dataset, options);
    const table = new PrototypeTable(8);
    for (let step = 0; step < loader.steps; step++) await segmenter.extract(await loader.batch(step), table);
    segmenter.usePrototypes(table);
    phases.inference = await soak('inference', predictions, async (step) => {
      await segmenter.predict(await loader.batch(step % loader.steps));
    });
  }
  const seconds = (performance.now() - began) / 1000;

  let grows = false;
  const verdicts = Object.entries(phases).flatMap(([phase, samples]) => {
    const late = samples.slice(Math.ceil(samples.length / 4));
    return (Object.keys(BOUNDS) as Quantity[]).map((quantity) => {
      const rise = slope(late, quantity);
      const ok = rise <= BOUNDS[quantity];
      grows ||= !ok;
      const [first, last] = [late[0]![quantity], late.at(-1)![quantity]];
      return { phase, quantity, first, last, bytesPerStep: rise, bound: BOUNDS[quantity], ok };
    });
  });
  console.log(
    `${facts.device || facts.description} (${facts.driver}): ${steps} steps, ${predictions} predictions in ${seconds.toFixed(0)} s`,
  );
  console.table(
    verdicts.map(({ phase, quantity, first, last, bytesPerStep, bound, ok }) => ({
      ...{ phase, quantity, 'after a quarter, MiB': mebibytes(first), 'at the end, MiB': mebibytes(last) },
      ...{ 'bytes a step': Number(bytesPerStep.toFixed(1)), 'at most': bound, verdict: ok ? 'level' : 'GROWS' },
    })),
  );
  const { device: name, driver, backend } = facts;
  const report = { adapter: { device: name, driver, backend }, node: process.version, date: new Date().toISOString() };
  await mkdir(dirname(out), { recursive: true });
  await writeFileAtomic(
    out,
    `${JSON.stringify({ ...report, steps, predictions, seconds, verdicts, phases }, null, 2)}\n`,
  );
  if (grows) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function mebibytes(bytes: number): number {
  return Number((bytes / 2 ** 20).toFixed(2));
}
