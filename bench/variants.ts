/**
 * The kernel variants of convolutions against each other, on shapes of ResNet-101 with PSP head: how long each takes, whether
 * the engine takes the fastest by itself, and whether their results agree. What the cost models are set by
 * (`Family.transferCost`, `rankLayouts`).
 *
 *   node scripts/run_bench.mjs variants [batch=8] [rounds=9] [stored=f32|f16] [side=] [out=bench/results/variants.json]
 *
 * Operands are stored as f32 or, as in mixed precision, as halves. `side` takes maps of that side instead. The JSON is written
 * after each row. Ends with 1 if results disagree or a variant fails.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../src/platform/files.node.js';
import { openGpu } from '../src/platform/gpu.js';
import { apply1 } from '../src/tensor/graph.js';
import type { Op } from '../src/tensor/op.js';
import { conv2dFilterGradOp, conv2dInputGradOp, conv2dOp } from '../src/tensor/ops/conv.js';
import { convParams } from '../src/tensor/ops/conv_geometry.js';
import { Runtime } from '../src/tensor/runtime.js';
import { missingFeatures, selectKernel } from '../src/tensor/select.js';
import {
  type FloatType,
  type HostData,
  type HostTensor,
  hostTensor,
  type Shape,
  showShape,
  sizeOf,
  valuesOf,
} from '../src/tensor/types.js';
import { relativeError } from '../test/support/compare.js';
import { summarize } from './harness/statistics.js';

const given = new Map(process.argv.slice(2).map((argument) => argument.split('=') as [string, string]));
const batch = Number(given.get('batch') ?? 8);
const rounds = Number(given.get('rounds') ?? 9);
const stored: FloatType = given.get('stored') === 'f16' ? 'f16' : 'f32';
const out = given.get('out') ?? 'bench/results/variants.json';

/** How far results may differ, relative to the largest: more than transforms or halves lose, less than a wrong index. */
const AGREE = stored === 'f16' ? 1e-2 : 1e-3;

/** Side of the map, side of the filter, channels in and out, dilation. */
const SHAPES = [
  [84, 3, 64, 64, 1],
  [42, 3, 128, 128, 1],
  [42, 3, 256, 256, 2],
  [42, 3, 512, 512, 4],
  [42, 3, 4096, 512, 1],
  [42, 1, 256, 1024, 1],
  [42, 1, 1024, 256, 1],
] as const;

interface Work {
  readonly name: string;
  readonly op: Op;
  readonly params: unknown;
  readonly inputs: readonly Shape[];
}

const works = SHAPES.flatMap(([own, kernel, channels, filters, dilation]): Work[] => {
  const side = Number(given.get('side') ?? own);
  const x = [batch, side, side, channels];
  const y = [batch, side, side, filters];
  const filter = [kernel, kernel, channels, filters];
  const params = convParams({ dilation, padding: ((kernel - 1) / 2) * dilation });
  const name = `${kernel}x${kernel}${dilation > 1 ? ` d${dilation}` : ''} ${channels} -> ${filters}, ${batch}x${side}x${side}`;
  return [
    { name, op: conv2dOp, params, inputs: [x, filter] },
    { name, op: conv2dInputGradOp, params: { ...params, inputShape: x }, inputs: [y, filter] },
    { name, op: conv2dFilterGradOp, params: { ...params, filterShape: filter }, inputs: [x, y] },
  ];
});

await using gpu = await openGpu();
const { device, facts } = gpu;

function noise(shape: Shape, seed: number): HostTensor {
  const values = new Float32Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i] = Math.sin(i * 12.9898 + seed);
  return hostTensor(shape, values, stored);
}

/** Milliseconds of a run, of so many in a row. */
async function time(run: () => Promise<unknown>, runs: number): Promise<number> {
  const begin = performance.now();
  for (let i = 0; i < runs; i++) await run();
  await device.queue.onSubmittedWorkDone();
  return (performance.now() - begin) / runs;
}

interface Timed {
  readonly variant: string;
  /** Median milliseconds, and all. */
  readonly milliseconds: number;
  readonly samples: readonly number[];
  /** How far its result is from the first variant's, relative to the largest element. */
  readonly difference: number;
}

interface Row {
  readonly work: string;
  readonly op: string;
  readonly chosen: string;
  readonly variants: readonly Timed[];
  /** What could not run, and why. */
  readonly failed: readonly { readonly variant: string; readonly message: string }[];
}

/** All variants that can run and are not there for odd shapes, by turns. */
async function measure({ name, op, params, inputs }: Work): Promise<Row> {
  const types = inputs.map((shape) => ({ shape, dtype: stored }));
  const context = { inputs: types, outputs: op.infer(types, params), params, adapter: facts };
  const able = op.kernels!.filter(
    (kernel) =>
      kernel.name !== 'naive' && missingFeatures(kernel, context).length === 0 && (kernel.when?.(context) ?? true),
  );
  const owned: Disposable[] = [];
  const own = <T extends Disposable>(held: T): T => {
    owned.push(held);
    return held;
  };
  const contenders = [];
  const failed: { variant: string; message: string }[] = [];
  try {
    const shared = own(new Runtime(gpu));
    const operands = inputs.map((shape, i) => own(shared.resident(`operand ${i}`, noise(shape, i))));
    let first: HostData | null = null;
    for (const { name: variant } of able) {
      const runtime = own(new Runtime(gpu, { kernels: { [op.name]: variant } }));
      const step = own(runtime.compile(() => apply1(op, operands, params)));
      try {
        const result = valuesOf(await (await step.run()).read());
        first ??= result;
        const difference = relativeError(result, first);
        const runs = Math.min(200, Math.ceil(50 / (await time(() => step.run(), 1))));
        contenders.push({ variant, step, difference, samples: [] as number[], runs });
      } catch (error) {
        failed.push({ variant, message: error instanceof Error ? error.message : String(error) });
      }
    }
    for (let round = 0; round < rounds; round++)
      for (const { step, samples, runs } of contenders) samples.push(await time(() => step.run(), runs));
  } finally {
    for (const held of owned.reverse()) held[Symbol.dispose]();
  }
  const variants = contenders.map(({ variant, samples, difference }) => {
    return { variant, milliseconds: summarize(samples).median, samples, difference };
  });
  return { work: name, op: op.name, chosen: selectKernel(op, context, {}).name, variants, failed };
}

const { device: name, driver, vendor, architecture, backend } = facts;
const rows: Row[] = [];
await mkdir(dirname(out), { recursive: true });
for (const work of works) {
  const row = await measure(work);
  rows.push(row);
  const fastest = Math.min(...row.variants.map(({ milliseconds }) => milliseconds));
  const cells = row.variants.map(({ variant, milliseconds, difference }) => {
    const marks = (variant === row.chosen ? '*' : '') + (milliseconds === fastest ? '!' : '');
    const other = difference <= AGREE ? '' : ` DISAGREES by ${difference.toExponential(1)}`;
    return `${variant}${marks} ${milliseconds.toPrecision(3)} ms${other}`;
  });
  const failures = row.failed.map(({ variant, message }) => `${variant} FAILS (${message.split('\n', 1)[0]})`);
  console.log(`${row.op} ${row.work} ${showShape(work.inputs[0]!)}: ${[...cells, ...failures].join(', ')}`);
  const report = { adapter: { device: name, driver, vendor, architecture, backend }, batch, rounds, stored, rows };
  await writeFileAtomic(out, `${JSON.stringify(report, null, 1)}\n`);
}
// A plain kernel that was chosen is not among them.
const compared = rows.filter(({ chosen, variants }) => variants.some(({ variant }) => variant === chosen));
const missed = compared.filter(({ chosen, variants }) => {
  const taken = variants.find(({ variant }) => variant === chosen)!;
  return variants.some(({ milliseconds }) => milliseconds < 0.97 * taken.milliseconds);
});
console.log(
  `* is chosen, ! is the fastest; in ${missed.length} of ${compared.length} cases another is more than 3 % faster`,
);
if (compared.length < rows.length) console.log(`in ${rows.length - compared.length} what is chosen was not measured`);
const wrong = rows.filter(
  ({ variants, failed }) => failed.length > 0 || variants.some(({ difference }) => !(difference <= AGREE)),
);
if (wrong.length > 0) {
  console.log(`in ${wrong.length} cases variants disagree by more than ${AGREE} or fail`);
  process.exitCode = 1;
}
console.log(`written: ${out}`);
