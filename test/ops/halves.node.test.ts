/**
 * Every kernel that takes halves, against the float64 reference, on the op's own samples with images and matrices (all
 * but vectors) as f16. One sample a kernel: how the halves are read and written does not depend on the shape. SwiftShader
 * takes long to compile the large kernels, which differ from those for f32 by what `stored.ts` puts in alone: some are
 * run, and of the others it is checked that they are valid.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { apply, type Tensor } from '../../src/tensor/graph.js';
import { type AdapterFacts, type Kernel, type Op, type Sample, specified } from '../../src/tensor/op.js';
import { allOps } from '../../src/tensor/ops/index.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { missingFeatures } from '../../src/tensor/select.js';
import { hostTensor, isFloat, sizeOf, valuesOf } from '../../src/tensor/types.js';
import { expectClose, HALF_ROUNDING, rounded } from '../support/compare.js';
import { GPU_FACTS } from '../support/facts.js';
import { testGpu } from '../support/gpu.js';
import { withHalves } from '../support/halves.js';
import { type NullGpu, nullGpu } from '../support/null_gpu.node.js';

const samplesOf = (op: Op) => specified(op).samples!().flatMap((sample) => withHalves(op, sample));

/** The smallest of the samples for which the planner may take the kernel. */
function sampleFor(op: Op, kernel: Kernel, adapter: AdapterFacts): Sample<unknown> | undefined {
  if (missingFeatures(kernel, { adapter }).length > 0) return undefined;
  const size = ({ inputs }: Sample<unknown>) => inputs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return samplesOf(op)
    .filter(({ inputs, params }) => {
      const outputs = op.infer(inputs, params);
      return kernel.when?.({ inputs, outputs, params, adapter }) ?? true;
    })
    .sort((a, b) => size(a) - size(b))[0];
}

/** Of the kernels that are slow to compile, those that are run: one of each family, forwards and backwards. */
const RUN = new Set(['matmul quads', 'conv2d tiled']);
const isSlow = (kernel: Kernel) => /quads|tiled|matrix/.test(kernel.name);

/** A device that runs nothing, as a GPU with matrix units. */
let nothing: { readonly device: GPUDevice; readonly facts: AdapterFacts };
let holder: NullGpu;

beforeAll(async () => {
  holder = await nullGpu();
  const { facts } = await testGpu();
  const { device, lanes } = holder;
  const { limits } = device;
  const matrixUnits = { ...MATRIX_UNITS, lanes };
  nothing = { device, facts: { ...facts, limits, features: new Set(device.features), matrixUnits } };
});
afterAll(() => holder.close());

/** Builds the step on a device that runs nothing, and so takes every feature. */
async function validate(op: Op, kernel: Kernel, sample: Sample<unknown>, runtime: Runtime): Promise<void> {
  const inputs = sample.inputs.map(rounded);
  using step = runtime.compile((...args: Tensor[]) => Object.fromEntries(apply(op, args, sample.params).entries()));
  expect(step.plan(...inputs).steps.map(({ variant }) => variant)).toEqual([kernel.name]);
  await step.run(...inputs.map(({ shape, data, dtype }) => hostTensor(shape, data, dtype)));
  runtime.check();
}

async function check(op: Op, kernel: Kernel | null, sample: Sample<unknown>, runtime: Runtime): Promise<void> {
  const inputs = sample.inputs.map(rounded);
  const expected = specified(op).reference!(inputs, sample.params);
  using step = runtime.compile((...args: Tensor[]) => Object.fromEntries(apply(op, args, sample.params).entries()));
  expect(step.plan(...inputs).steps.map(({ variant }) => variant)).toEqual([kernel?.name ?? 'fused']);
  const results = await step.run(...inputs.map(({ shape, data, dtype }) => hostTensor(shape, data, dtype)));
  for (const [i, array] of expected.entries()) {
    const read = await results[i]!.read();
    expect(read.dtype).toBe(op.infer(inputs, sample.params)[i]!.dtype);
    const rounding = read.dtype === 'f16' ? HALF_ROUNDING : 0;
    const tolerance = isFloat(read.dtype) ? (sample.tolerance ?? 1e-5) + rounding : 0;
    expectClose(
      { shape: read.shape, data: valuesOf(read) },
      array,
      tolerance,
      `${op.name} ${kernel?.name} output ${i}`,
    );
  }
}

/** As a CPU or a GPU that has everything, to see which kernels may take halves at all. */
const MATRIX_UNITS = { M: 16, N: 16, K: 16, component: 'f16', dialect: 'vectors', lanes: 32 } as const;
const ANY: readonly AdapterFacts[] = [true, false].map((cpu) => ({
  ...GPU_FACTS,
  cpu,
  features: new Set(['subgroups', 'shader-f16', 'chromium-experimental-subgroup-matrix']),
  matrixUnits: MATRIX_UNITS,
}));

const cases = allOps.flatMap((op): [string, Op, Kernel | null][] => {
  if (op.alias || samplesOf(op).length === 0) return [];
  if (!op.kernels) return [[`${op.name} fused`, op, null]];
  const taking = op.kernels.filter((kernel) => ANY.some((adapter) => sampleFor(op, kernel, adapter)));
  return taking.map((kernel) => [`${op.name} ${kernel.name}`, op, kernel]);
});

it.for(cases)('%s', async ([name, op, kernel], context) => {
  const runs = !kernel || !isSlow(kernel) || RUN.has(name);
  const { device, facts } = runs ? await testGpu() : nothing;
  for (const cpu of [true, false]) {
    const kernels: Record<string, string> = kernel ? { [op.name]: kernel.name } : {};
    using runtime = new Runtime({ device, facts: { ...facts, cpu } }, { kernels });
    const sample = kernel ? sampleFor(op, kernel, runtime.facts) : samplesOf(op)[0];
    if (!sample) continue;
    if (runs) await check(op, kernel, sample, runtime);
    else await validate(op, kernel, sample, runtime);
    return;
  }
  context.skip('this adapter lacks what the kernel needs');
});
