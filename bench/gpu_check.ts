/**
 * What to run first on a machine with a GPU: `npm run gpu-check`. Every kernel variant that its adapter can run is compared
 * with the float64 references, on operands in f32, stored as halves, and rounded on their way into matrix units; a training
 * step is timed by kernel, and a table and a JSON file come out. Ends with 1 if a variant is wrong.
 *
 *   npm run gpu-check -- [backbone] [batch] [crop] [folder] [--only PART OF AN OP'S NAME] [--skip-variants] [--skip-training]
 *
 * Left out: resnet50 8 336 bench/results. Once bundled (`npm run gpu-check -- --bundle-only FOLDER`), it needs nothing but that
 * folder, Node and the package `webgpu`.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BackboneName } from '../src/models/designs.js';
import { writeFileAtomic } from '../src/platform/files.node.js';
import { openGpu } from '../src/platform/gpu.js';
import { segsortOps } from '../src/segsort/ops/index.js';
import { profileStep } from '../src/segsort/step_parts.js';
import { allOps } from '../src/tensor/ops/index.js';
import { matmul } from '../src/tensor/ops/matmul.js';
import { Runtime } from '../src/tensor/runtime.js';
import { type FloatType, hostTensor } from '../src/tensor/types.js';
import { noise } from './cases/operands.js';
import { quarters, trainerOf } from './cases/training.js';
import { checkVariants, type IdleVariant, type VariantChecks } from './harness/check_variants.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    'skip-variants': { type: 'boolean', default: false },
    'skip-training': { type: 'boolean', default: false },
  },
});
const [backbone = 'resnet50', batch = '8', crop = '336', out = 'bench/results'] = positionals;

await using gpu = await openGpu();
const { facts } = gpu;
console.log(`${facts.device || facts.description} (${facts.driver}), ${facts.cpu ? 'on the CPU' : 'a GPU'}`);
console.log(`matrix units: ${facts.matrixProbe}`);

const { device, driver, vendor, architecture, backend } = facts;
const report: Record<string, unknown> = {
  adapter: { device, driver, vendor, architecture, backend, features: [...facts.features], matrix: facts.matrixProbe },
  date: new Date().toISOString(),
};
const file = join(out, `gpu-check-${(device || 'adapter').replace(/[^\w]+/g, '-').toLowerCase()}.json`);
/** After each part, so that nothing is lost with what fails later. */
async function write(part: Record<string, unknown>): Promise<void> {
  Object.assign(report, part);
  await mkdir(out, { recursive: true });
  await writeFileAtomic(file, `${JSON.stringify(report, null, 1)}\n`);
}

if (!values['skip-variants']) {
  const ops = [...allOps, ...segsortOps].filter(({ name }) => name.includes(values.only));
  if (ops.length === 0) throw new Error(`no op has "${values.only}" in its name`);
  const checks = await checkVariants(gpu, ops, (line) => console.error(line));
  tell(checks);
  await write({ variants: checks.checked, idle: checks.idle });
}

function tell({ checked, idle }: VariantChecks): void {
  const wrong = checked.filter((each) => each.wrong);
  const forms = ['f32', 'f16', 'rounding'].map(
    (form) => `${checked.filter((each) => each.form === form).length} ${form}`,
  );
  console.log(
    `${checked.length - wrong.length} of ${checked.length} kernel variants agree with their references (${forms.join(', ')})`,
  );
  const reasons = new Map<string, IdleVariant[]>();
  for (const each of idle) reasons.set(each.why, [...(reasons.get(each.why) ?? []), each]);
  for (const [why, which] of reasons)
    console.log(`  ran nothing, ${why}: ${which.map(({ op, variant }) => `${op}:${variant}`).join(', ')}`);
  for (const { op, variant, form, wrong: what } of wrong) console.log(`  WRONG: ${op}:${variant} (${form}): ${what}`);
  if (wrong.length > 0) process.exitCode = 1;
}

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

const products: { size: number; stored: FloatType; variant: string; milliseconds: number; gflops: number }[] = [];
for (const size of facts.cpu ? [512] : [1024, 4096])
  for (const stored of facts.matrixUnits ? (['f32', 'f16'] as const) : (['f32'] as const)) {
    // Noise, since GPUs need less power for zeros, and so run faster.
    const [a, b] = [1, 2].map((seed) => hostTensor([size, size], noise([size, size], seed).data, stored));
    using left = runtime.resident('a', a!);
    using right = runtime.resident('b', b!);
    using product = runtime.compile(() => matmul(left, right));
    const milliseconds = await best(() => product.run(), 6, facts.cpu ? 1 : 20);
    const variant = product.plan().steps[0]!.variant;
    products.push({ size, stored, variant, milliseconds, gflops: (2 * size ** 3) / milliseconds / 1e6 });
  }

await write({ matmul: products });
console.table(products);

if (!values['skip-training']) await training(backbone as BackboneName, Number(batch), Number(crop));
console.log(`written: ${file}`);

async function training(network: BackboneName, images: number, side: number): Promise<void> {
  using trainer = trainerOf(runtime, { backbone: network, batch: images, crop: side });
  const photographs = quarters(images, side);
  const plan = (await trainer.describe(photographs)).split('\n').pop()!;
  let done = 0;
  const milliseconds = await best(async () => (await trainer.step(photographs, done++)).read(), facts.cpu ? 2 : 10, 1);
  const kernels = await profileStep(trainer, photographs);
  const total = kernels.reduce((sum, kernel) => sum + kernel.flops, 0);

  console.log(`${network}, ${images} x ${side}x${side}: ${plan}`);
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
  await write({ training: { backbone: network, batch: images, crop: side, milliseconds, plan, kernels } });
}
