/** Whether every kernel variant that an adapter can run computes what its op's float64 reference says. */
import type { Gpu } from '../../src/platform/gpu.js';
import { apply, type Tensor } from '../../src/tensor/graph.js';
import { roundToHalf } from '../../src/tensor/half.js';
import type { AdapterFacts, Kernel, KernelContext, Op, Sample } from '../../src/tensor/op.js';
import { moments, momentsOp } from '../../src/tensor/ops/batch_norm.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { missingFeatures } from '../../src/tensor/select.js';
import { hostTensor, isFloat, type NdArray, ndarray, valuesOf } from '../../src/tensor/types.js';
import { HALF_ROUNDING, relativeError, rounded } from '../../test/support/compare.js';
import { withHalves } from '../../test/support/halves.js';

/**
 * How floats come to a kernel: as `f32`; stored as `f16`, where the op takes them so; or as f32 that it may round to halves on their
 * way into matrix units. In the latter they are rounded beforehand, so that the reference computes with the same numbers.
 */
export type Form = 'f32' | 'f16' | 'rounding';

export interface CheckedVariant {
  /** `conv2d`, or `conv2d+moments` for what it computes on the way. */
  readonly op: string;
  /** The kernel's name; `fused` for what the planner writes. */
  readonly variant: string;
  readonly form: Form;
  /** How many samples it ran. */
  readonly samples: number;
  /** The largest error over the samples, relative to the largest element of each result. */
  readonly error: number;
  /** What is wrong: an error beyond the tolerance, or what was thrown. */
  readonly wrong: string | null;
}

/** A variant that ran no sample in any form. */
export interface IdleVariant {
  readonly op: string;
  readonly variant: string;
  readonly why: string;
}

export interface VariantChecks {
  readonly checked: readonly CheckedVariant[];
  readonly idle: readonly IdleVariant[];
}

const UNITS = 'chromium-experimental-subgroup-matrix';

/** Matrix units may cut off the last bits of their sums where f32 rounds, as NVIDIA's do. */
const UNITS_TOLERANCE = 1e-4;

/** Of storing as f16: conversions in WGSL may round either way, and so by the whole last bit. */
const STORED_TOLERANCE = 2 * HALF_ROUNDING;

/** Of moments, against those of the values that were stored. */
const MOMENTS_TOLERANCE = 2e-5;

/** Runs the variants of all these ops, those that other software adapters or GPUs take excepted. */
export async function checkVariants(
  { device, facts }: Pick<Gpu, 'device' | 'facts'>,
  ops: readonly Op[],
  log: (line: string) => void = () => {},
): Promise<VariantChecks> {
  const checked: CheckedVariant[] = [];
  const idle: IdleVariant[] = [];
  for (const op of ops) {
    if (op.alias) continue;
    for (const kernel of op.kernels ?? [null]) {
      const variant = kernel?.name ?? 'fused';
      const missing = kernel ? missingFeatures(kernel, { adapter: facts }) : [];
      for (const withMoments of kernel?.epilogues?.moments ? [false, true] : [false]) {
        const name = withMoments ? `${op.name}+moments` : op.name;
        const before = checked.length;
        for (const form of missing.length > 0 ? [] : formsOf(kernel, facts)) {
          using runtime = new Runtime(
            { device, facts },
            { kernels: kernel ? { [op.name]: kernel.name } : {}, roundsProducts: form === 'rounding' },
          );
          const outcome = await check(runtime, op, kernel, form, withMoments ? errorOfMoments : errorOfResults);
          if (outcome.samples > 0 || outcome.wrong) checked.push({ op: name, variant, form, ...outcome });
        }
        if (checked.length === before)
          idle.push({ op: name, variant, why: whyIdle(op, kernel, facts, missing, withMoments) });
      }
    }
    log(`${op.name}: ${checked.filter((each) => each.op.split('+')[0] === op.name).length} checks`);
  }
  return { checked, idle };
}

/** Halves on their way into matrix units are for kernels that use such. */
function formsOf(kernel: Kernel | null, { matrixUnits }: AdapterFacts): Form[] {
  const rounds = kernel?.needs?.includes(UNITS) && matrixUnits?.component === 'f16';
  return rounds ? ['f32', 'f16', 'rounding'] : ['f32', 'f16'];
}

function samplesOf(op: Op, form: Form): Sample<unknown>[] {
  const samples = op.samples() as Sample<unknown>[];
  if (form === 'f16') return samples.flatMap((sample) => withHalves(op, sample));
  if (form === 'f32') return samples;
  const halved = (array: NdArray) => (array.dtype === 'f32' ? { ...array, data: array.data.map(roundToHalf) } : array);
  return samples.map((sample) => ({ ...sample, inputs: sample.inputs.map(halved) }));
}

function contextOf(op: Op, { inputs, params }: Sample<unknown>, adapter: AdapterFacts): KernelContext<unknown> {
  return { inputs, outputs: op.infer(inputs, params), params, adapter };
}

/** The error of a sample, and what is allowed; null where the kernel is not what computes it. */
type ErrorOf = (
  runtime: Runtime,
  op: Op,
  kernel: Kernel | null,
  sample: Sample<unknown>,
) => Promise<{ readonly error: number; readonly allowed: number } | null>;

async function check(runtime: Runtime, op: Op, kernel: Kernel | null, form: Form, errorOf: ErrorOf) {
  let [samples, worst] = [0, 0];
  let wrong: string | null = null;
  for (const sample of samplesOf(op, form)) {
    if (kernel?.when?.(contextOf(op, sample, runtime.facts)) === false) continue;
    try {
      const found = await errorOf(runtime, op, kernel, sample);
      if (!found) continue;
      samples += 1;
      worst = Math.max(worst, found.error);
      if (!(found.error <= found.allowed))
        wrong ??= `error ${found.error.toExponential(1)} over ${found.allowed.toExponential(1)} at ${titleOf(sample)}`;
    } catch (error) {
      wrong ??= `${error instanceof Error ? error.message : error} at ${titleOf(sample)}`;
    }
  }
  return { samples, error: worst, wrong };
}

const titleOf = ({ inputs, params }: Sample<unknown>) =>
  `${inputs.map(({ shape, dtype }) => `${dtype}[${shape.join(',')}]`).join(' ')} ${JSON.stringify(params)}`;

const upload = (inputs: readonly NdArray[]) => inputs.map(({ shape, data, dtype }) => hostTensor(shape, data, dtype));

const errorOfResults: ErrorOf = async (runtime, op, kernel, sample) => {
  const inputs = sample.inputs.map(rounded);
  using step = runtime.compile((...args: Tensor[]) => Object.fromEntries(apply(op, args, sample.params).entries()));
  const { steps } = step.plan(...inputs);
  const wanted = kernel?.name ?? 'fused';
  if (!steps.some(({ variant }) => variant === wanted))
    throw new Error(`computed by ${steps.map(({ variant }) => variant).join(', ')} instead`);
  const results = await step.run(...upload(inputs));
  let [error, allowed] = [0, 0];
  for (const [index, expected] of op.reference(inputs, sample.params).entries()) {
    const read = await results[index]!.read();
    const found = relativeError(valuesOf(read), expected.data);
    const units = kernel?.needs?.includes(UNITS) ? UNITS_TOLERANCE : 0;
    const base = Math.max(sample.tolerance ?? 1e-5, units) + (read.dtype === 'f16' ? STORED_TOLERANCE : 0);
    const tolerance = isFloat(read.dtype) ? base : 0;
    if (found > tolerance) return { error: found, allowed: tolerance };
    if (found >= error) [error, allowed] = [found, tolerance];
  }
  runtime.check();
  return { error, allowed };
};

/** Of the moments that a product's kernel computes on the way. */
const errorOfMoments: ErrorOf = async (runtime, op, kernel, sample) => {
  if (!kernel?.epilogues?.moments?.passes(contextOf(op, sample, runtime.facts))) return null;
  const inputs = sample.inputs.map(rounded);
  using step = runtime.compile((...args: Tensor[]) => {
    const [y] = apply(op, args, sample.params);
    return { y: y!, ...moments(y!) };
  });
  if (!step.plan(...inputs).steps.some((each) => each.op === `${op.name}+moments` && each.variant === kernel.name))
    return null;
  const results = await step.run(...upload(inputs));
  const y = await results.y.read();
  const [mean, variance] = momentsOp.reference([ndarray(y.shape, valuesOf(y), y.dtype)], {});
  const errors = [
    relativeError((await results.mean.read()).data, mean!.data),
    relativeError((await results.variance.read()).data, variance!.data),
  ];
  runtime.check();
  return { error: Math.max(...errors), allowed: MOMENTS_TOLERANCE };
};

function whyIdle(
  op: Op,
  kernel: Kernel | null,
  facts: Gpu['facts'],
  missing: readonly string[],
  withMoments: boolean,
): string {
  if (missing.length > 0) return `the adapter lacks ${missing.join(', ')}`;
  if (kernel?.needs?.includes(UNITS) && !facts.matrixUnits) return facts.matrixProbe;
  const suits = (adapter: AdapterFacts) =>
    op.samples().some((sample) => kernel?.when?.(contextOf(op, sample, adapter)) ?? true);
  if (suits(facts)) return withMoments ? 'it takes the moments of no sample here' : 'no sample has a form for it';
  return suits({ ...facts, cpu: !facts.cpu })
    ? `for ${facts.cpu ? 'GPUs' : 'CPU adapters'}`
    : 'no sample selects it here';
}
