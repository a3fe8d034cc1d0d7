/** The losses as a whole: values against a plain computation, gradients against float64 finite differences. */
import { afterAll, describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { checkCapacity } from '../../src/index.js';
import { ncaLoss, segsortLoss, segsortUnsupervisedLoss } from '../../src/segsort/loss.js';
import { constant, type Tensor } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { sampleIntegers, sampleValues } from '../../src/tensor/ops/sample_values.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { traceStep } from '../../src/tensor/trace.js';
import { hostTensor, type NdArray, ndarray } from '../../src/tensor/types.js';
import { expectClose, relativeError } from '../support/compare.js';
import { testGpu } from '../support/gpu.js';
import { plainSegsortLoss, plainUnsupervisedLoss } from './plain.js';

const images = 3;
const pixels = 20;
const channels = 5;
const options = { clusters: 4, classes: 3, ignore: 255, capacity: 12, concentration: 10, numerator: 'nca' } as const;

/** Labels 0, 1, 2 and 255; image 2 is ignored altogether. */
function labelMap(): NdArray {
  const labels = sampleIntegers([images, pixels], 0, 4, 3);
  return { ...labels, data: labels.data.map((label, i) => (label === 3 || i >= 2 * pixels ? 255 : label)) };
}

const embedding = sampleValues([images, pixels, channels], 1);
const labels = labelMap();
const clusters = sampleIntegers([images, pixels], -1, 4, 2);
const bankLabels = ndarray([8], [0, 1, 2, -1, 2, -1, 0, 1], 'i32');
const bankPrototypes = (() => {
  const values = sampleValues([8, channels], 5);
  for (let row = 0; row < 8; row++) {
    const at = values.data.subarray(row * channels, (row + 1) * channels);
    const norm = Math.hypot(...at);
    at.forEach((value, i) => {
      at[i] = bankLabels.data[row]! < 0 ? 0 : value / norm;
    });
  }
  return values;
})();

interface Case {
  readonly labels?: NdArray;
  readonly clusters?: NdArray;
  readonly bankLabels?: NdArray | null;
  readonly concentration?: number;
  readonly numerator?: 'nca' | 'self';
}

/** The loss, its gradient and what comes with it, as a step of [embedding, banks]. */
const step =
  ({
    labels: l = labels,
    clusters: c = clusters,
    bankLabels: b = bankLabels,
    concentration = 10,
    numerator = 'nca',
  }: Case) =>
  (x: Tensor, table: Tensor) => {
    const { loss, validPixels, segmentCounts, prototypes, prototypeLabels } = segsortLoss(
      {
        embedding: x,
        labels: constant(l.shape, l.data, 'i32'),
        clusters: constant(c.shape, c.data, 'i32'),
        banks: b && { prototypes: table, labels: constant(b.shape, b.data, 'i32') },
      },
      { ...options, concentration, numerator },
    );
    const [gradient] = grad(loss, [x]);
    return { loss, gradient: gradient!, validPixels, segmentCounts, prototypes, prototypeLabels };
  };

function inFloat64(body: (...args: Tensor[]) => Record<string, Tensor>, args: NdArray[]): Record<string, NdArray> {
  const trace = traceStep(body, args);
  const values = interpret(trace.graph, trace.results, { arguments: args });
  return Object.fromEntries(Object.keys(trace.structure).map((key, i) => [key, values[i]!]));
}

let shared: Runtime | undefined;
afterAll(() => shared?.[Symbol.dispose]());

async function onGpu(
  body: (...args: Tensor[]) => Record<string, Tensor>,
  args: NdArray[],
): Promise<Record<string, { shape: readonly number[]; data: ArrayLike<number> }>> {
  // Products are tested by themselves; their other kernels take long to compile.
  shared ??= new Runtime(await testGpu(), { kernels: { matmul: 'naive' } });
  const compiled = shared.compile(body);
  const results = await compiled.run(...args.map(({ shape, data, dtype }) => hostTensor(shape, data, dtype)));
  const values = await Promise.all(Object.entries(results).map(async ([key, result]) => [key, await result.read()]));
  compiled[Symbol.dispose]();
  return Object.fromEntries(values);
}

function expectFiniteDifferences(body: (...args: Tensor[]) => Record<string, Tensor>, args: NdArray[]): void {
  const [x, ...rest] = args as [NdArray, ...NdArray[]];
  const trace = traceStep(body, args);
  const { loss, gradient } = trace.structure as Record<string, Tensor>;
  const at = (data: Float64Array) =>
    interpret(trace.graph, [loss!], { arguments: [{ ...x, data }, ...rest] })[0]!.data[0]!;
  const h = 1e-5;
  const numeric = x.data.map((value, i) => {
    const [up, down] = [x.data.slice(), x.data.slice()];
    up[i] = value + h;
    down[i] = value - h;
    return (at(up) - at(down)) / (2 * h);
  });
  const analytic = interpret(trace.graph, [gradient!], { arguments: args })[0]!;
  expect(Math.max(...numeric.map(Math.abs))).toBeGreaterThan(1e-4);
  expect(relativeError(analytic.data, numeric)).toBeLessThan(1e-6);
}

const cases: Record<string, Case> = {
  'with banks': {},
  'without banks': { bankLabels: null },
  'with unused banks': { bankLabels: ndarray([8], new Float64Array(8).fill(-1), 'i32') },
  'of own segments alone': { numerator: 'self' },
  'of a high concentration': { concentration: 60 },
  'of one class': {
    labels: ndarray([images, pixels], new Float64Array(images * pixels).fill(1), 'i32'),
    bankLabels: null,
  },
};

describe.for(Object.entries(cases))('segsortLoss %s', ([name, variant]) => {
  const args = [embedding, bankPrototypes];

  it('has the value of the formula', async () => {
    const { labels: l = labels, bankLabels: b = bankLabels, concentration = 10, numerator = 'nca' } = variant;
    const banks = b && { prototypes: bankPrototypes, labels: b };
    const expected = plainSegsortLoss(embedding, l, clusters, banks, { ...options, concentration, numerator });
    const exact = inFloat64(step(variant), args);
    expect(exact.loss!.data[0]).toBeCloseTo(expected.loss, 9);
    expect(exact.validPixels!.data[0]).toBe(expected.validPixels);
    const actual = await onGpu(step(variant), args);
    expect(Math.abs(actual.loss!.data[0]! - expected.loss)).toBeLessThanOrEqual(1e-5 * Math.max(1e-3, expected.loss));
    for (const key of ['validPixels', 'segmentCounts', 'prototypeLabels'])
      expectClose(actual[key]!, exact[key]!, 0, key);
    for (const key of ['prototypes', 'gradient']) expectClose(actual[key]!, exact[key]!, 2e-5, key);
  });

  if (name !== 'of one class')
    it('has the gradient of finite differences', () => {
      expectFiniteDifferences(step(variant), args);
    });
});

describe('segsortLoss', () => {
  it('of one class has neither value nor gradient, as nothing is to be told apart', async () => {
    const { loss, gradient } = await onGpu(step(cases['of one class']!), [embedding, bankPrototypes]);
    expect(loss!.data[0]).toBeLessThan(1e-30);
    expect(Math.max(...Array.from(gradient!.data, Math.abs))).toBeLessThan(1e-30);
  });

  it('is 0 with a gradient of 0 where all pixels are ignored', async () => {
    const ignored = ndarray([images, pixels], new Float64Array(images * pixels).fill(255), 'i32');
    const { loss, gradient, validPixels, segmentCounts } = await onGpu(step({ labels: ignored }), [
      embedding,
      bankPrototypes,
    ]);
    expect(loss!.data[0]).toBe(0);
    expect(validPixels!.data[0]).toBe(0);
    expect(Array.from(segmentCounts!.data)).toEqual([0, 0, 0]);
    expect(Array.from(gradient!.data).every((value) => value === 0)).toBe(true);
  });

  it('is not finite where the embedding is not', async () => {
    const broken = { ...embedding, data: embedding.data.slice() };
    const clustered = [...labels.data.keys()].find((p) => labels.data[p] !== 255 && clusters.data[p]! >= 0)!;
    broken.data[clustered * channels] = Number.NaN;
    for (const concentration of [10, 60]) {
      const { loss } = await onGpu(step({ concentration }), [broken, bankPrototypes]);
      expect(Number.isFinite(loss!.data[0])).toBe(false);
    }
  });

  it('takes a single pixel, whose own segment is all there is', async () => {
    const single = (x: Tensor) => {
      const map = (value: number) => constant([1, 1], [value], 'i32');
      const { loss } = segsortLoss({ embedding: x, labels: map(2), clusters: map(3) }, options);
      return { loss, gradient: grad(loss, [x])[0]! };
    };
    const { loss, gradient } = await onGpu(single, [sampleValues([1, 1, 4])]);
    expect(loss!.data[0]).toBeLessThan(1e-30);
    expect(Array.from(gradient!.data, Math.abs).every((value) => value < 1e-30)).toBe(true);
  });

  it('takes the embedding as images as well', () => {
    const asImages = (x: Tensor) => {
      const map = ({ data }: NdArray) => constant([images, 4, 5], data, 'i32');
      const flat = constant(clusters.shape, clusters.data, 'i32');
      return { loss: segsortLoss({ embedding: x, labels: map(labels), clusters: flat }, options).loss };
    };
    const reshaped = { ...embedding, shape: [images, 4, 5, channels] };
    const { loss } = inFloat64(asImages, [reshaped]);
    expect(loss!.data[0]).toBe(inFloat64(step({ bankLabels: null }), [embedding, bankPrototypes]).loss!.data[0]);
  });

  it('names arguments that do not fit', () => {
    const map = (shape: number[], dtype: 'i32' | 'f32' = 'i32') => ndarray(shape, undefined, dtype);
    const make = (array: NdArray) => constant(array.shape, array.data, array.dtype);
    const trace = (labelShape: number[], clusterShape: number[], dtype?: 'f32') => () =>
      traceStep(
        () =>
          segsortLoss(
            {
              embedding: constant([2, 6, 4], new Float32Array(48)),
              labels: make(map(labelShape, dtype)),
              clusters: make(map(clusterShape)),
            },
            options,
          ).loss,
        [],
      );
    expect(trace([2, 5], [2, 6])).toThrow(
      'segsortLoss: labels must be i32 for 2 images of 6 pixels, as the embedding has, got i32[2,5]',
    );
    expect(trace([2, 6], [2, 6], 'f32')).toThrow('labels must be i32');
    expect(trace([2, 6], [3, 4])).toThrow('clusters must be i32 for 2 images of 6 pixels');
  });
});

describe('the capacity', () => {
  it('is exceeded with an error that names image and count', async () => {
    const small = (x: Tensor) => {
      const map = ({ shape, data }: NdArray) => constant(shape, data, 'i32');
      const { loss, segmentCounts } = segsortLoss(
        { embedding: x, labels: map(labels), clusters: map(clusters) },
        { ...options, capacity: 4 },
      );
      return { loss, segmentCounts };
    };
    const { loss, segmentCounts } = await onGpu(small, [embedding]);
    expect(Number.isFinite(loss!.data[0])).toBe(true);
    const count = segmentCounts!.data[0]!;
    expect(count).toBeGreaterThan(4);
    expect(() => checkCapacity(segmentCounts!.data, 4)).toThrow(
      `more segments than capacity: image 0 of the batch has ${count} (cluster, label) pairs, the capacity is 4; raise the option \`capacity\``,
    );
    expect(() => checkCapacity(segmentCounts!.data, 12)).not.toThrow();
  });

  it('check also tells of labels that are none', () => {
    expect(() => checkCapacity([3, -38], 12)).toThrow('image 1 of the batch has the label 37, which is neither');
    expect(() => checkCapacity([-1], 12)).toThrow('image 0 of the batch has a negative label');
  });
});

describe('segsortUnsupervisedLoss', () => {
  const regions = sampleIntegers([images, pixels], -1, 6, 9);
  const unsupervised = (x: Tensor) => {
    const { loss, validPixels, segmentCounts } = segsortUnsupervisedLoss(
      { embedding: x, regions: constant(regions.shape, regions.data, 'i32') },
      { regions: 6, concentration: 10 },
    );
    return { loss, gradient: grad(loss, [x])[0]!, validPixels, segmentCounts };
  };

  it('has the value of the formula, padding left out', async () => {
    const expected = plainUnsupervisedLoss(embedding, regions, 10);
    const exact = inFloat64(unsupervised, [embedding]);
    expect(exact.loss!.data[0]).toBeCloseTo(expected.loss, 9);
    expect(exact.validPixels!.data[0]).toBe(regions.data.filter((region) => region >= 0).length);
    const actual = await onGpu(unsupervised, [embedding]);
    expectClose(actual.loss!, exact.loss!, 1e-5, 'loss');
    expectClose(actual.gradient!, exact.gradient!, 2e-5, 'gradient');
    expectClose(actual.segmentCounts!, exact.segmentCounts!, 0, 'counts');
  });

  it('has the gradient of finite differences', () => {
    expectFiniteDifferences(unsupervised, [embedding]);
  });

  it('takes ids of any size as names, in their order', () => {
    const scattered = regions.data.map((region) => (region < 0 ? -1 : [3, 255, 256, 257, 40000, 65534][region]!));
    const { loss, prototypes } = inFloat64(
      (x) =>
        segsortUnsupervisedLoss(
          { embedding: x, regions: constant(regions.shape, scattered, 'i32') },
          { regions: 65535, capacity: 6, concentration: 10 },
        ),
      [embedding],
    );
    const body = (x: Tensor) =>
      segsortUnsupervisedLoss(
        { embedding: x, regions: constant(regions.shape, regions.data, 'i32') },
        { regions: 6, concentration: 10 },
      );
    const expected = inFloat64(body, [embedding]);
    expect(loss!.data).toEqual(expected.loss!.data);
    expect(prototypes!.data).toEqual(expected.prototypes!.data);
  });
});

describe('ncaLoss', () => {
  it('has the gradient of well classified pixels to full relative precision, and the loss of badly classified ones', async () => {
    const body = (x: Tensor) => {
      const ints = (values: number[]) => constant([values.length], values, 'i32');
      const pixels = { labels: ints([0, 0]), own: ints([0, 0]) };
      const block = { similarities: x, labels: ints([0, 1, 0, 1]) };
      const losses = ncaLoss(pixels, { concentration: 10, numerator: 'nca' }, block);
      return { losses, gradient: grad(sum(losses), [x])[0]! };
    };
    const { losses, gradient } = await onGpu(body, [ndarray([2, 4], [1, -1, 1, -1, -1, 1, -1, 1])]);
    const share = Math.exp(-20) / (1 + 2 * Math.exp(-20));
    for (const [j, expected] of [0, share, -2 * share, share].entries())
      expect(Math.abs(gradient!.data[j]! - 10 * expected)).toBeLessThanOrEqual(1e-5 * Math.abs(10 * expected));
    expect(losses!.data[0]).toBeLessThan(1e-7);
    expect(losses!.data[1]! / (20 + Math.log(2 + Math.exp(-20)))).toBeCloseTo(1, 6);
  });
});
