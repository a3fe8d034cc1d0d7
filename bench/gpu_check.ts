/**
 * What to run first on a machine with a GPU: `npm run gpu-check`. Every kernel variant that its adapter can run is compared
 * with the float64 references, a training step is timed by kernel, and a table and a JSON file come out.
 *
 *   npm run gpu-check -- [backbone] [batch] [crop] [folder]        left out: resnet50 8 336 bench/results
 *
 * Once bundled (`npm run gpu-check -- --bundle-only`), `.cache/gpu_check.mjs` needs nothing but Node and the package
 * `webgpu`, so it can be carried to a machine that has neither npm nor a network.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackboneName } from '../src/models/designs.js';
import { buildNetwork } from '../src/models/network.js';
import { writeFileAtomic } from '../src/platform/files.node.js';
import { openGpu } from '../src/platform/gpu.js';
import { segsortObjective } from '../src/segsort/objectives/segsort.js';
import { segsortOps } from '../src/segsort/ops/index.js';
import { profileStep } from '../src/segsort/step_parts.js';
import { Trainer, type TrainingBatch } from '../src/segsort/trainer.js';
import { apply, type Tensor } from '../src/tensor/graph.js';
import type { Kernel, Op, Sample } from '../src/tensor/op.js';
import { moments, momentsOp } from '../src/tensor/ops/batch_norm.js';
import { allOps } from '../src/tensor/ops/index.js';
import { matmul } from '../src/tensor/ops/matmul.js';
import { Random } from '../src/tensor/random.js';
import { Runtime } from '../src/tensor/runtime.js';
import { missingFeatures } from '../src/tensor/select.js';
import { f32, hostTensor } from '../src/tensor/types.js';
import { relativeError } from '../test/support/compare.js';

const [backbone = 'resnet50', batch = '8', crop = '336', out = 'bench/results'] = process.argv.slice(2);

await using gpu = await openGpu();
const { facts } = gpu;
console.log(`${facts.device || facts.description} (${facts.driver}), ${facts.cpu ? 'on the CPU' : 'a GPU'}`);

/** The op's samples that a kernel takes. */
function samplesFor(op: Op, kernel: Kernel) {
  return (op.samples() as Sample<unknown>[])
    .map((sample) => {
      const inputs = sample.inputs.map(({ shape, data, dtype }) => hostTensor(shape, data, dtype));
      const { params } = sample;
      return { sample, inputs, context: { inputs, outputs: op.infer(inputs, params), params, adapter: facts } };
    })
    .filter(({ context }) => kernel.when?.(context) !== false);
}

/** Largest error of a variant over the op's samples, relative to the largest element; null if none selects it. */
async function errorOf(op: Op, kernel: Kernel): Promise<number | null> {
  using runtime = new Runtime(gpu, { kernels: { [op.name]: kernel.name } });
  let worst: number | null = null;
  for (const { sample, inputs } of samplesFor(op, kernel)) {
    using step = runtime.compile((...args: Tensor[]) => Object.fromEntries(apply(op, args, sample.params).entries()));
    const results = await step.run(...inputs);
    const exact = inputs.map(({ shape, dtype, data }) => ({ shape, dtype, data: Float64Array.from(data) }));
    for (const [index, expected] of op.reference(exact, sample.params).entries()) {
      const { data } = await results[index]!.read();
      const error = relativeError(data, expected.data);
      if (error > (expected.dtype === 'f32' ? (sample.tolerance ?? 1e-5) : 0)) return Number.POSITIVE_INFINITY;
      worst = Math.max(worst ?? 0, error);
    }
  }
  return worst;
}

/** The same of the moments that a product's kernel computes on the way, against those of the values it stored. */
async function errorOfMoments(op: Op, kernel: Kernel): Promise<number | null> {
  using runtime = new Runtime(gpu, { kernels: { [op.name]: kernel.name } });
  let worst: number | null = null;
  for (const { sample, inputs, context } of samplesFor(op, kernel)) {
    if (!kernel.epilogues?.moments?.passes(context)) continue;
    using step = runtime.compile((...args: Tensor[]) => {
      const [y] = apply(op, args, sample.params);
      return { y: y!, ...moments(y!) };
    });
    const results = await step.run(...inputs);
    const { shape, dtype, data } = await results.y.read();
    const [mean, variance] = momentsOp.reference!([{ shape, dtype, data: Float64Array.from(data) }], {});
    const errors = [
      relativeError((await results.mean.read()).data, mean!.data),
      relativeError((await results.variance.read()).data, variance!.data),
    ];
    if (Math.max(...errors) > 2e-5) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst ?? 0, ...errors);
  }
  return worst;
}

const variants: { op: string; variant: string; error: number | null }[] = [];
for (const op of [...allOps, ...segsortOps])
  for (const kernel of op.kernels ?? [])
    if (missingFeatures(kernel, { adapter: facts }).length === 0) {
      const variant = kernel.name;
      variants.push({ op: op.name, variant, error: await errorOf(op, kernel) });
      if (kernel.epilogues?.moments)
        variants.push({ op: `${op.name}+moments`, variant, error: await errorOfMoments(op, kernel) });
    }
const wrong = variants.filter(({ error }) => error === Number.POSITIVE_INFINITY);
const ran = variants.filter(({ error }) => error !== null);
console.log(`${ran.length - wrong.length} of ${ran.length} kernel variants agree with their references`);
for (const { op, variant } of wrong) console.log(`  WRONG: ${op}:${variant}`);

using runtime = new Runtime(gpu);

/** Best milliseconds of a run, of some samples of several runs each: the end of a sample may be noticed a millisecond late. */
async function best(run: () => Promise<unknown>, samples: number, runs: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < samples; i++) {
    const begin = performance.now();
    for (let j = 0; j < runs; j++) await run();
    await gpu.device.queue.onSubmittedWorkDone();
    least = Math.min(least, (performance.now() - begin) / runs);
  }
  return least;
}

const products: { size: number; milliseconds: number; gflops: number }[] = [];
for (const size of facts.cpu ? [512] : [1024, 4096]) {
  using a = runtime.resident('a', f32([size, size]));
  using b = runtime.resident('b', f32([size, size]));
  using product = runtime.compile(() => matmul(a, b));
  const milliseconds = await best(() => product.run(), 6, facts.cpu ? 1 : 20);
  products.push({ size, milliseconds, gflops: (2 * size ** 3) / milliseconds / 1e6 });
}

const side = Number(crop);
const images = Number(batch);
const objective = segsortObjective({
  ...{ cells: [5, 5], kmeansIterations: 10, concentration: 10, numerator: 'nca', banks: 2, capacity: 96 },
  ...{ classes: 21, ignore: 255 },
});
using trainer = new Trainer(runtime, buildNetwork({ backbone: backbone as BackboneName, outputs: 32 }), objective, {
  ...{ batch: images, crop: [side, side], steps: 1000, learningRate: 2e-3, warmup: 0, power: 0.9, momentum: 0.9 },
  ...{ weightDecay: 5e-4, headRateFactor: 10, mean: [122.675, 116.669, 104.008], seed: 1 },
});
const random = new Random({ seed: 1, stream: 0 });
const noise: TrainingBatch = {
  canvas: hostTensor(
    [images, side, side],
    Uint32Array.from({ length: images * side * side }, (_, i) => {
      const quarter = Math.floor((i % side) / (side / 2)) + 2 * Math.floor((Math.floor(i / side) % side) / (side / 2));
      return ((random.uint32() & 0xffffff) | (quarter << 24)) >>> 0;
    }),
    'u32',
  ),
  placement: hostTensor([images, 8], new Array(images).fill([side, side, 1, 1, 0, 0, 0, 0]).flat()),
};
const plan = (await trainer.describe(noise)).split('\n').pop()!;
let step = 0;
const milliseconds = await best(async () => (await trainer.step(noise, step++)).read(), facts.cpu ? 2 : 10, 1);
const kernels = await profileStep(trainer, noise);
const total = kernels.reduce((sum, kernel) => sum + kernel.flops, 0);

console.table(products);
console.log(`${backbone}, ${images} x ${side}x${side}: ${plan}`);
console.log(
  `training step ${milliseconds.toFixed(1)} ms, ${((1000 * images) / milliseconds).toFixed(1)} images/s, ${(total / milliseconds / 1e6).toFixed(0)} GFLOP/s`,
);
console.table(
  [...kernels]
    .sort((a, b) => b.milliseconds - a.milliseconds)
    .slice(0, 12)
    .map(({ label, variant, milliseconds, flops }) => ({
      label: label.slice(-60),
      variant,
      ms: Number(milliseconds.toFixed(3)),
      'GFLOP/s': Math.round(flops / milliseconds / 1e6),
    })),
);

const { device, driver, vendor, architecture, backend } = facts;
const report = {
  adapter: { device, driver, vendor, architecture, backend, features: [...facts.features] },
  date: new Date().toISOString(),
  variants: variants.map((v) => ({ ...v, error: Number.isFinite(v.error ?? 0) ? v.error : 'wrong' })),
  matmul: products,
  training: { backbone, batch: images, crop: side, milliseconds, plan, kernels },
};
await mkdir(out, { recursive: true });
const file = join(out, `gpu-check-${(device || 'adapter').replace(/[^\w]+/g, '-').toLowerCase()}.json`);
await writeFileAtomic(file, `${JSON.stringify(report, null, 1)}\n`);
console.log(`written: ${file}`);
if (wrong.length > 0) process.exitCode = 1;
