/** What the samples of the generic suite can't say: sizes of real use, special values, and errors. */
import { describe, expect, it } from 'vitest';
import { Graph, type Tensor, traceInto } from '../../src/tensor/graph.js';
import { gather, oneHot, segmentSum, segmentSumOp } from '../../src/tensor/ops/gather.js';
import { concat, pad, slice, transpose } from '../../src/tensor/ops/layout.js';
import { countValid, l2Normalize, softmax, softmaxCrossEntropy } from '../../src/tensor/ops/normalize.js';
import { avgPool, maxPool } from '../../src/tensor/ops/pool.js';
import { resizeBilinear, resizeNearest } from '../../src/tensor/ops/resize.js';
import { sampleIntegers, sampleValues } from '../../src/tensor/ops/sample_values.js';
import { argmax, argmaxOp, topK, topKOp } from '../../src/tensor/ops/select_k.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { selectKernel } from '../../src/tensor/select.js';
import { type DType, f32, type HostTensor, hostTensor, type NdArray, type Shape } from '../../src/tensor/types.js';
import { expectClose, rounded } from '../support/compare.js';
import { GPU_FACTS } from '../support/facts.js';
import { testGpu } from '../support/gpu.js';

const host = ({ shape, data, dtype }: NdArray) => hostTensor(shape, data, dtype);
const floats = (shape: Shape, ...values: number[]) => hostTensor(shape, values);

/** Runs `make` on this adapter, once as it is and once with the variants that a GPU would get. */
async function compute(make: (...args: Tensor[]) => Tensor, ...args: HostTensor[]): Promise<HostTensor> {
  const { device, facts } = await testGpu();
  const results: HostTensor[] = [];
  for (const cpu of [true, false]) {
    using runtime = new Runtime({ device, facts: { ...facts, cpu } });
    using step = runtime.compile(make);
    results.push(await (await step.run(...args)).read());
  }
  expectClose(results[1]!, results[0]!, 1e-6, 'the variants of a GPU against those of a CPU');
  return results[0]!;
}

describe('segment sums of real size', () => {
  it.for([
    { values: [14000, 32], segments: 500, batched: false },
    { values: [4, 1600, 16], segments: 30, batched: true },
    { values: [100, 8], segments: 4000, batched: false },
  ])('$values to $segments segments', async (params) => {
    const values = rounded(sampleValues(params.values));
    const ids = sampleIntegers(params.values.slice(0, -1), -1, params.segments + 1);
    const result = await compute((x, i) => segmentSum(x!, i!, params), host(values), host(ids));
    expectClose(result, segmentSumOp.reference([values, ids], params)[0]!, 1e-6, 'segmentSum');
  });

  it('give the same bits every time', async () => {
    const args = [host(sampleValues([3000, 12])), host(sampleIntegers([3000], 0, 50))];
    const sum = () => compute((x, i) => segmentSum(x!, i!, { segments: 50 }), ...args);
    expect([...(await sum()).data]).toEqual([...(await sum()).data]);
  });
});

describe('selection', () => {
  it('of the k largest among thousands agrees with sorting', async () => {
    const x = rounded(sampleValues([9, 3000]));
    const [values, columns] = topKOp.reference([x], { k: 21 });
    expect([...(await compute((t) => topK(t!, 21).indices, host(x))).data]).toEqual([...columns!.data]);
    expect([...(await compute((t) => topK(t!, 21).values, host(x))).data]).toEqual([...values!.data]);
  });

  it('orders infinities and equal elements', async () => {
    const x = floats([1, 6], 2, -3.4e38, 5, 2, -Infinity, 5);
    expect([...(await compute((t) => topK(t!, 6).indices, x)).data]).toEqual([2, 5, 0, 3, 1, 4]);
    expect([...(await compute((t) => argmax(t!), x)).data]).toEqual([2]);
  });

  it('writes the loop of argmax out for CPU adapters', () => {
    const inputs = [f32([3, 20])];
    const context = { inputs, outputs: [], params: null, adapter: { ...GPU_FACTS, cpu: true } };
    const [command] = selectKernel(argmaxOp, context, {}).commands(context);
    expect('source' in command! && String(command.source)).toMatch(/let i = 4u;(?![\s\S]*for)/);
  });

  it.each([6, 8, 2000])('of NaN alone is a column, among %i', async (columns) => {
    const { data } = await compute((t) => argmax(t!), floats([1, columns], ...new Array(columns).fill(Number.NaN)));
    expect(data[0]).toBeGreaterThanOrEqual(0);
    expect(data[0]).toBeLessThan(columns);
  });
});

describe('pooling', () => {
  it('never lets padding win or count', async () => {
    const x = floats([1, 2, 2, 1], -1, -2, -3, -4);
    const options = { size: 3, stride: 2, padding: [1, 1, 1, 1] as const };
    expect([...(await compute((t) => maxPool(t!, options), x)).data]).toEqual([-1]);
    expect((await compute((t) => avgPool(t!, options), x)).data[0]).toBeCloseTo(-2.5, 6);
    const counted = await compute((t) => avgPool(t!, { ...options, countIncludePad: true }), x);
    expect(counted.data[0]).toBeCloseTo(-10 / 9, 6);
  });
});

describe('resize', () => {
  const row = floats([1, 1, 2, 1], 0, 1);
  it('places pixels as TensorFlow 1 and as PyTorch do', async () => {
    const bilinear = (convention: 'tf1' | 'half-pixel') =>
      compute((t) => resizeBilinear(t!, [1, 4], { convention }), row);
    expect([...(await bilinear('tf1')).data]).toEqual([0, 0.5, 1, 1]);
    expect([...(await bilinear('half-pixel')).data]).toEqual([0, 0.25, 0.75, 1]);
    const nearest = (convention: 'tf1' | 'half-pixel') =>
      compute((t) => resizeNearest(t!, [1, 3], { convention }), row);
    expect([...(await nearest('tf1')).data]).toEqual([0, 0, 1]);
    expect([...(await nearest('half-pixel')).data]).toEqual([0, 1, 1]);
  });

  it('changes nothing at the same size', async () => {
    const x = host(sampleValues([1, 5, 301, 2]));
    for (const convention of ['tf1', 'half-pixel'] as const)
      expect([...(await compute((t) => resizeBilinear(t!, [5, 301], { convention }), x)).data]).toEqual([...x.data]);
  });

  it('keeps its precision far from the origin', async () => {
    const ramp = hostTensor(
      [1, 1, 4000, 1],
      Array.from({ length: 4000 }, (_, i) => i % 2),
    );
    const { data } = await compute((t) => resizeBilinear(t!, [1, 12000], { convention: 'half-pixel' }), ramp);
    // One third of the way between two pixels is one third, to the last bit, also at the far end.
    expect([...data.subarray(11998)]).toEqual([1, 1]);
    expect(
      Math.max(...data.subarray(11000, 11100).map((v, i) => Math.abs(v - data[2 + ((i + 11000 - 2) % 6)]!))),
    ).toBeLessThan(2e-7);
  });
});

describe('rows', () => {
  it('of extreme logits have finite softmax, and losses', async () => {
    const x = floats([2, 3], 1000, 0, -1000, -1e30, 1e30, 0);
    expect([...(await compute((t) => softmax(t!), x)).data]).toEqual([1, 0, 0, 0, 1, 0]);
    const labels = hostTensor([2], [1, 255], 'i32');
    expect([...(await compute((t, l) => softmaxCrossEntropy(t!, l!), x, labels)).data]).toEqual([1000, 0]);
  });

  it('of zeros normalise to zeros', async () => {
    const y = await compute((t) => l2Normalize(t!), floats([2, 2], 0, 0, 3, 4));
    expectClose(y, floats([2, 2], 0, 0, 0.6, 0.8), 1e-6, 'l2Normalize');
    expect([...y.data.subarray(0, 2)]).toEqual([0, 0]);
  });

  it('are counted where their label is a class', async () => {
    const labels = hostTensor([2, 3], [0, 255, -1, 20, 21, 5], 'i32');
    expect((await compute((l) => countValid(l!, { classes: 21 }), labels)).data[0]).toBe(3);
    expect((await compute((l) => countValid(l!, { classes: 21, ignoreLabel: 5 }), labels)).data[0]).toBe(2);
  });
});

describe('errors name the op and the shapes', () => {
  const f = (...shape: number[]) => ({ shape, dtype: 'f32' as DType });
  const i = (...shape: number[]) => ({ shape, dtype: 'i32' as DType });
  it.for<[string, { shape: Shape; dtype: DType }[], (...t: Tensor[]) => unknown, RegExp]>([
    ['rank of an image', [f(4, 4, 3)], (x) => maxPool(x!, { size: 2 }), /^maxPool: .*\[4,4,3\]/],
    [
      'window beyond the image',
      [f(1, 4, 4, 3)],
      (x) => avgPool(x!, { size: 5 }),
      /^avgPool: window \[5,5\].*\[1,4,4,3\]/,
    ],
    [
      'padding as wide as the window',
      [f(1, 4, 4, 3)],
      (x) => maxPool(x!, { size: 2, padding: [2, 0, 0, 0] }),
      /^maxPool: padding \[2,0,0,0\]/,
    ],
    [
      'bilinear integers',
      [i(1, 4, 4, 3)],
      (x) => resizeBilinear(x!, [2, 2], { convention: 'tf1' }),
      /^resize: .*i32\[1,4,4,3\]/,
    ],
    ['no rows left', [f(1, 4, 4, 3)], (x) => resizeNearest(x!, [0, 2], { convention: 'tf1' }), /^resize: .*\[0,2\]/],
    ['slice beyond the end', [f(4, 3)], (x) => slice(x!, [2, 0], [3, 3]), /^slice: .*\[2,0\].*\[3,3\].*\[4,3\]/],
    ['negative padding', [f(4)], (x) => pad(x!, [[-1, 0]]), /^pad: .*\[4\].*\[\[-1,0\]\]/],
    ['concat of other extents', [f(2, 3), f(2, 4)], (a, b) => concat([a!, b!], 0), /^concat: .*\[2,3\].*\[2,4\]/],
    ['concat of other dtypes', [f(2), i(2)], (a, b) => concat([a!, b!], 0), /^concat: .*f32.*i32/],
    ['not an order of axes', [f(2, 3)], (x) => transpose(x!, [0, 0]), /^transpose: \[0,0\].*\[2,3\]/],
    ['six axes', [f(1, 1, 1, 1, 1, 2)], (x) => transpose(x!, [0, 1, 2, 3, 5, 4]), /^transpose: .*5 axes/],
    ['float indices', [f(4, 3), f(2)], (t, x) => gather(t!, x!), /^gather: .*f32\[2\]/],
    ['other number of tables', [f(2, 4, 3), i(3, 5)], (t, x) => gather(t!, x!, { batched: true }), /^gather: 2 tables/],
    ['values and ids', [f(4, 3), i(5)], (v, s) => segmentSum(v!, s!, { segments: 2 }), /^segmentSum: .*\[4,3\].*\[5\]/],
    ['no segments', [f(4, 3), i(4)], (v, s) => segmentSum(v!, s!, { segments: 0 }), /^segmentSum: segments/],
    ['no depth', [i(4)], (x) => oneHot(x!, 0), /^oneHot: depth/],
    ['k above the row', [f(4, 3)], (x) => topK(x!, 4), /^topK: .*4.*\[4,3\]/],
    ['scalar rows', [f()], (x) => argmax(x!), /^argmax: .*f32\[\]/],
    [
      'logits and labels',
      [f(4, 3), i(5)],
      (x, l) => softmaxCrossEntropy(x!, l!),
      /^softmaxCrossEntropy: .*\[4,3\].*\[5\]/,
    ],
    ['integer rows', [i(4, 3)], (x) => l2Normalize(x!), /^l2Normalize: .*i32\[4,3\]/],
  ])('%s', ([, types, use, message]) => {
    const trace = new Graph();
    const args = types.map((type, index) => trace.argument(index, type));
    expect(() => traceInto(trace, () => use(...args))).toThrow(message);
  });
});
