/**
 * What every op must satisfy: each kernel variant agrees with the float64 reference on every sample, and the gradient
 * rule agrees with finite differences of the reference.
 */
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { apply, constant, type Tensor } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import type { Kernel, Op, Sample } from '../../src/tensor/op.js';
import { add, mul } from '../../src/tensor/ops/elementwise.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { missingFeatures } from '../../src/tensor/select.js';
import { traceStep } from '../../src/tensor/trace.js';
import { hostTensor, isFloat, type NdArray, ndarray, showShape, sizeOf, valuesOf } from '../../src/tensor/types.js';
import { expectClose, HALF_ROUNDING, relativeError, rounded } from './compare.js';
import { testGpu } from './gpu.js';

/** `add [4,8] [8] (name)` */
function title(op: Op, sample: Sample<unknown>): string {
  const shapes = sample.inputs.map(({ shape }) => showShape(shape)).join(' ');
  const params = JSON.stringify(sample.params);
  return `${op.name} ${shapes} ${sample.name ?? (params === '{}' ? '' : params)}`;
}

/** Facts of this adapter, and the same seen as a GPU, so that variants for either kind are run here. */
async function runtimes(kernels: Record<string, string>): Promise<Runtime[]> {
  const { device, facts } = await testGpu();
  return [true, false].map((cpu) => new Runtime({ device, facts: { ...facts, cpu } }, { kernels }));
}

/**
 * Runs a sample under each adapter kind that may select the kernel; a fused one is written for each kind. Returns
 * whether any did.
 */
async function checkKernel(op: Op, kernel: Kernel | null, sample: Sample<unknown>, on: Runtime[]): Promise<boolean> {
  const inputs = sample.inputs.map(rounded);
  const outputs = op.infer(inputs, sample.params);
  const expected = op.reference(inputs, sample.params);
  for (const runtime of on) {
    const context = { inputs, outputs, params: sample.params, adapter: runtime.facts };
    if (kernel && (missingFeatures(kernel, context).length > 0 || kernel.when?.(context) === false)) continue;
    const step = runtime.compile((...args: Tensor[]) => Object.fromEntries(apply(op, args, sample.params).entries()));
    const results = await step.run(...inputs.map((array) => hostTensor(array.shape, array.data, array.dtype)));
    if (kernel) {
      const plan = await step.plan(...inputs);
      expect(plan.steps.map(({ variant }) => variant)).toContain(kernel.name);
    }
    for (const [index, array] of expected.entries()) {
      const read = await results[index]!.read();
      const actual = { shape: read.shape, data: valuesOf(read) };
      const rounding = array.dtype === 'f16' ? HALF_ROUNDING : 0;
      const tolerance = isFloat(array.dtype) ? (sample.tolerance ?? 1e-5) + rounding : 0;
      expectClose(actual, array, tolerance, `${title(op, sample)} output ${index}, kernel ${kernel?.name ?? 'fused'}`);
    }
    step[Symbol.dispose]();
    if (kernel) return true;
  }
  return kernel === null;
}

/** Declares the tests of these ops. */
export function testOps(ops: readonly Op[]): void {
  describe.for(ops.map((op) => [op.name, op] as const))('%s', ([, op]) => testOp(op));
}

function testOp(op: Op): void {
  const variants = op.kernels ?? [null];
  describe.skipIf(op.alias)('kernels agree with the reference', () => {
    it.for(variants.map((kernel) => [kernel?.name ?? 'fused', kernel] as const))('%s', async ([, kernel], context) => {
      const on = await runtimes(kernel ? { [op.name]: kernel.name } : {});
      let ran = 0;
      for (const sample of op.samples()) if (await checkKernel(op, kernel, sample, on)) ran++;
      for (const runtime of on) runtime[Symbol.dispose]();
      const missing = kernel ? missingFeatures(kernel, { adapter: (await testGpu()).facts }) : [];
      if (missing.length > 0) context.skip(`this adapter lacks ${missing.join(', ')}`);
      expect(ran, 'no sample selects this variant').toBeGreaterThan(0);
    });
  });

  const differentiable = op.samples().filter((sample) => op.grad && sample.checkGrad !== false);
  it.runIf(differentiable.length > 0)('gradient agrees with finite differences', () => {
    for (const sample of differentiable) checkGradient(op, sample);
  });
}

function weights(shape: readonly number[], seed: number): Float64Array {
  return Float64Array.from({ length: sizeOf(shape) }, (_, i) => Math.fround(Math.sin(i * 1.7 + seed) + 0.3));
}

function checkGradient(op: Op, sample: Sample<unknown>): void {
  const inputs = sample.inputs;
  const trace = traceStep((...args: Tensor[]) => {
    const terms = apply(op, args, sample.params)
      .filter((output) => output.dtype === 'f32')
      .map((output, i) => sum(mul(output, constant(output.shape, weights(output.shape, i)))));
    const loss = terms.reduce((total, term) => add(total, term));
    const floats = args.filter((arg) => arg.dtype === 'f32');
    return { loss, ...Object.fromEntries(grad(loss, floats).entries()) };
  }, inputs);
  const { loss, ...grads } = trace.structure as Record<string, Tensor>;
  const analytic = interpret(trace.graph, Object.values(grads), { arguments: inputs });
  const lossAt = (args: readonly NdArray[]) => interpret(trace.graph, [loss!], { arguments: args })[0]!.data[0]!;

  const floats = inputs.map((array, index) => ({ array, index })).filter(({ array }) => array.dtype === 'f32');
  for (const [which, { array, index }] of floats.entries()) {
    const numeric = ndarray(array.shape);
    // Large inputs are probed at a spread of positions; the others stay as the rule gives them.
    const stride = Math.max(1, Math.floor(array.data.length / (array.data.length > 1000 ? 6 : 24)));
    for (let i = 0; i < array.data.length; i++) {
      if (i % stride !== 0) {
        numeric.data[i] = analytic[which]!.data[i]!;
        continue;
      }
      const h = 1e-5 * Math.max(1, Math.abs(array.data[i]!));
      const moved = (delta: number) => {
        const data = array.data.slice();
        data[i]! += delta;
        return inputs.map((other, j) => (j === index ? { ...array, data } : other));
      };
      numeric.data[i] = (lossAt(moved(h)) - lossAt(moved(-h))) / (2 * h);
    }
    const error = relativeError(analytic[which]!.data, numeric.data);
    expect(error, `${title(op, sample)}: gradient of input ${index}`).toBeLessThan(1e-5);
  }
}
