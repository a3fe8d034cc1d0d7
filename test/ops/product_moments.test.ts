/** Moments computed on the way: by the kernels of products and convolutions, while their tiles lie in registers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { type RecomputeMode, recomputable, recompute } from '../../src/autograd/recompute.js';
import { constant, scope, type Tensor } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import { batchNorm, moments, momentsOp } from '../../src/tensor/ops/batch_norm.js';
import { conv2d } from '../../src/tensor/ops/conv.js';
import { add, relu } from '../../src/tensor/ops/elementwise.js';
import { matmul } from '../../src/tensor/ops/matmul.js';
import { tiled, tuningKey } from '../../src/tensor/ops/product_families.js';
import type { ProductOp } from '../../src/tensor/ops/product_layouts.js';
import { mean } from '../../src/tensor/ops/reduce.js';
import { sampleValues } from '../../src/tensor/ops/sample_values.js';
import { Runtime } from '../../src/tensor/runtime.js';
import type { KernelOverrides } from '../../src/tensor/select.js';
import { traceStep } from '../../src/tensor/trace.js';
import { choicesOf } from '../../src/tensor/tune.js';
import { f32, hostTensor, type NdArray, ndarray, type Shape } from '../../src/tensor/types.js';
import { relativeError, rounded } from '../support/compare.js';
import { testGpu } from '../support/gpu.js';
import { checkMoments } from '../support/moments_suite.js';

const PLAIN_GRADIENTS = { conv2dInputGrad: 'naive', conv2dFilterGrad: 'naive', normSums: 'naive', reduce: 'naive' };

/** Tiles for some products, so that pipelines are shared, and edges of tiles are met. */
const layouts = (name: string, op: ProductOp, shapes: readonly (readonly [number, number, number])[]) =>
  Object.fromEntries(
    shapes.map(([rows, columns, length]) => [
      tuningKey(tiled, { op, rows, columns, length, batches: 1, splits: true }),
      name,
    ]),
  );

/** As a GPU: the runtime of all tests that compute. */
let runtime: Runtime;
beforeAll(async () => {
  const { device, facts } = await testGpu();
  const tuning = {
    ...layouts('128x128/1', 'matmul', [
      [300, 140, 20],
      [300, 4, 4],
      [129, 8, 8],
    ]),
    ...layouts('64x64/1', 'conv2d', [
      [594, 68, 36],
      [594, 68, 72],
      [150, 8, 72],
    ]),
  };
  runtime = new Runtime({ device, facts: { ...facts, cpu: false } }, { kernels: PLAIN_GRADIENTS, tuning });
});
afterAll(() => runtime[Symbol.dispose]());

describe('the moments of what tiles hold', () => {
  const product = (a: Tensor, b: Tensor) => matmul(a, b);
  const tiledProduct = () => ({ runtime, op: 'matmul', kernel: 'tiled', product });
  const convolve = (x: Tensor, filter: Tensor) =>
    conv2d(x, filter, { stride: 2, dilation: [2, 3], padding: [3, 2, 1, 4] });

  it('are those of a product, beyond whose edges tiles reach', async () => {
    await checkMoments({ ...tiledProduct(), inputs: [sampleValues([300, 20], 1), sampleValues([20, 140], 2)] });
  });

  it('keep their digits where means are large beside deviations', async () => {
    // Columns of mean 1000, -1000, 1000 and 0 and of deviations near 1, 1, 0.01 and 1.
    const filter = [1000, -1000, 1000, 0, 1, 0, 0.01, 0, 0, 1, 0, 1, 0, 0, 0, 0].map(Math.fround);
    const a = sampleValues([300, 4], 3);
    const spread = a.data.map((value, i) => (i % 4 === 0 ? 1 : 1.7 * value));
    const inputs = [{ ...a, data: spread }, ndarray([4, 4], Float64Array.from(filter))];
    const stored = await checkMoments({ ...tiledProduct(), inputs });
    const [averages, variances] = momentsOp.reference!([stored], {}).map(({ data }) => [...data]);
    expect(averages![0]).toBeGreaterThan(999);
    expect(variances![0]).toBeGreaterThan(0.7);
    expect(variances![2]).toBeLessThan(2e-4);
  });

  it('are those of the rounded values where halves are stored', async () => {
    const halves = (shape: Shape, seed: number): NdArray => ({ ...sampleValues(shape, seed), dtype: 'f16' });
    // A deviation of 2 around 300, where halves are 0.25 apart.
    const a = halves([129, 8], 4);
    const b = halves([8, 8], 5);
    const inputs = [
      { ...a, data: a.data.map((value, i) => (i % 8 === 0 ? 30 : value)) },
      { ...b, data: b.data.map((value, i) => (i < 8 ? 10 : value)) },
    ];
    const stored = await checkMoments({ ...tiledProduct(), inputs });
    expect(stored.dtype).toBe('f16');
    const exact = ndarray(stored.shape);
    const [x, y] = inputs.map((input) => rounded(input).data);
    for (const i of exact.data.keys())
      for (let k = 0; k < 8; k++) exact.data[i]! += x![Math.floor(i / 8) * 8 + k]! * y![k * 8 + (i % 8)]!;
    const [of, ofExact] = [stored, exact].map((array) => momentsOp.reference!([array], {})[1]!);
    expect(relativeError(of!.data, ofExact!.data), 'the rounding shows').toBeGreaterThan(1e-4);
  });

  it.each([
    ['of a convolution', 'tiled', 8],
    ['of one whose operands are padded', 'padded-tiled', 3],
  ] as const)('are those %s', async (_, kernel, channels) => {
    const inputs = [sampleValues([3, 25, 36, channels], 1), sampleValues([3, 3, channels, 68], 2)];
    await checkMoments({ runtime, op: 'conv2d', kernel, product: convolve, inputs });
  });
});

describe('a training step', () => {
  const CHANNELS = 8;
  const SHAPES: Shape[] = [[2, 5, 15, CHANNELS], ...Array.from({ length: 3 }, () => [3, 3, CHANNELS, CHANNELS])];
  const inputs = SHAPES.map((shape, i) => rounded(sampleValues(shape, 30 + i)));
  const vector = (value: number) => constant([CHANNELS], new Array(CHANNELS).fill(value));
  const step = (x: Tensor, ...filters: Tensor[]) => {
    let y = x;
    for (const [i, filter] of filters.entries())
      y = scope(`unit${i}`, () =>
        recomputable(() => {
          const z = conv2d(y, filter, { padding: 1 });
          const normalized = batchNorm(z, { ...moments(z), gamma: vector(1.5), beta: vector(0.1), epsilon: 1e-3 });
          return add(relu(normalized), y);
        }),
      );
    const loss = mean(relu(y));
    return { loss, ...Object.fromEntries(grad(loss, [x, ...filters]).entries()) } as Record<string, Tensor>;
  };
  const run = async (mode: RecomputeMode) => {
    using compiled = runtime.compile(step, 'step', recompute(mode));
    const ops = compiled.plan(...inputs).steps.map(({ op, label }) => `${label.startsWith('recompute') ? 2 : 1} ${op}`);
    const data = inputs.map(({ shape, data, dtype }) => hostTensor(shape, data, dtype));
    const read = async (results: Awaited<ReturnType<typeof compiled.run>>) =>
      Promise.all(Object.values(results).map(async (result) => (await result.read()).data));
    const values = await read(await compiled.run(...data));
    // The same bits once more, and in a checked run.
    expect(await read(await compiled.run(...data))).toEqual(values);
    if (mode === 'none') expect(await read(await compiled.runChecked(...data))).toEqual(values);
    return { ops, values };
  };

  it('has the gradients of the float64 references, and the same bits with recomputation, which repeats no moments', async () => {
    const { ops, values } = await run('none');
    const count = (all: readonly string[], op: string) => all.filter((name) => name === op).length;
    expect(count(ops, '1 conv2d+moments')).toBe(3);
    expect(ops).not.toContain('1 moments');
    const trace = traceStep(step, inputs);
    const expected = interpret(trace.graph, Object.values(trace.structure as Record<string, Tensor>), {
      arguments: inputs,
    });
    for (const [i, { data }] of expected.entries())
      expect(relativeError(values[i]!, data), `result ${i}`).toBeLessThan(1e-4);

    const again = await run('blocks');
    expect(count(again.ops, '1 conv2d+moments')).toBe(3);
    expect(count(again.ops, '2 conv2d')).toBeGreaterThan(0);
    expect(again.ops.filter((op) => op.startsWith('2') && op.includes('moments'))).toEqual([]);
    expect(again.values).toEqual(values);
  });
});

describe('a plan', () => {
  const opsOf = async (
    step: (...args: Tensor[]) => Record<string, Tensor>,
    shapes: readonly Shape[],
    options: { kernels?: KernelOverrides; tuning?: Record<string, string>; cpu?: boolean } = {},
  ) => {
    const { device, facts } = await testGpu();
    using planner = new Runtime({ device, facts: { ...facts, cpu: options.cpu ?? false } }, options);
    const plan = planner.compile(step).plan(...shapes.map(f32));
    return { plan, ops: plan.steps.map(({ op }) => op), planner };
  };
  const withMoments = (x: Tensor, filter: Tensor) => {
    const y = conv2d(x, filter);
    return { y, ...moments(y) };
  };
  const SHAPES: Shape[] = [
    [1, 10, 10, 1024],
    [1, 1, 1024, 64],
  ];
  const layout = (name: string) => layouts(name, 'matmul', [[100, 64, 1024]]);

  it('joins the two, unless a kernel of the moments is asked for, or the sum is in parts', async () => {
    const whole = { tuning: layout('64x64/1') };
    const { plan, ops, planner } = await opsOf(withMoments, SHAPES, whole);
    expect(ops).toEqual(['conv2d+moments']);
    // Flops of both; bytes of the operands, the result and the moments; what is tuned is the convolution.
    expect(plan.steps[0]!.flops).toBe(2 * 100 * 64 * 1024 + 4 * 100 * 64);
    expect(plan.steps[0]!.bytes).toBe(4 * (100 * 1024 + 1024 * 64 + 100 * 64 + 2 * 64));
    const choices = choicesOf([plan], planner);
    expect([...choices.keys()]).toEqual(Object.keys(whole.tuning));
    expect([...choices.values()][0]!.step.node.op!.name).toBe('conv2d');
    const apart = ['conv2d', 'moments'];
    expect((await opsOf(withMoments, SHAPES, { ...whole, kernels: { moments: 'naive' } })).ops).toEqual(apart);
    expect((await opsOf(withMoments, SHAPES, { ...whole, kernels: { conv2d: 'naive' } })).ops).toEqual(apart);
    expect((await opsOf(withMoments, SHAPES, { tuning: layout('64x64/4') })).ops).toEqual(apart);
  });

  it('leaves apart what a software adapter computes, whose registers are not for that', async () => {
    expect((await opsOf(withMoments, SHAPES, { cpu: true })).ops).toEqual(['conv2d', 'moments']);
  });

  it('leaves apart the moments of several products, of padded results and of what comes behind', async () => {
    const batched = (a: Tensor, b: Tensor) => ({ ...moments(matmul(a, b)) });
    const several: Shape[] = [
      [2, 100, 64],
      [2, 64, 64],
    ];
    expect((await opsOf(batched, several)).ops).toEqual(['matmul', 'moments']);
    const odd: Shape[] = [
      [1, 10, 10, 64],
      [1, 1, 64, 6],
    ];
    expect((await opsOf(withMoments, odd)).ops).toEqual(['conv2d', 'moments']);
    const behind = (x: Tensor, filter: Tensor) => ({ ...moments(relu(conv2d(x, filter))) });
    expect((await opsOf(behind, SHAPES)).ops).toEqual(['conv2d', 'relu', 'moments']);
  });
});

it('merges many chunks as a GPU does', async () => {
  const { device, facts } = await testGpu();
  using gpu = new Runtime({ device, facts: { ...facts, cpu: false } }, { kernels: { moments: 'lanes' } });
  const x = sampleValues([64 * 37 + 5, 20], 8);
  const inputs = rounded({ ...x, data: x.data.map((value, i) => value * (1 + (i % 3)) + 1000) });
  using step = gpu.compile((a: Tensor) => moments(a));
  const results = await step.run(hostTensor(inputs.shape, inputs.data));
  const [average, variance] = momentsOp.reference!([inputs], {});
  expect(relativeError((await results.mean.read()).data, average!.data)).toBeLessThan(1e-6);
  expect(relativeError((await results.variance.read()).data, variance!.data)).toBeLessThan(1e-5);
});
