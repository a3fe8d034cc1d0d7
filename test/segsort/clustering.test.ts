/** Clustering: the grid, and k-means against a plain float64 one. */
import { describe, expect, it } from 'vitest';
import { clusterImages, clusteringFeatures, fullSizes, sphericalKMeans } from '../../src/segsort/clustering.js';
import { initialClusters, locations } from '../../src/segsort/ops/grid.js';
import { constant } from '../../src/tensor/graph.js';
import { l2Normalize } from '../../src/tensor/ops/normalize.js';
import { sampleValues } from '../../src/tensor/ops/sample_values.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { traceStep } from '../../src/tensor/trace.js';
import { hostTensor, type NdArray } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';
import { objective, plainGrid, plainKMeans, unit, vectors } from './plain.js';

const runtime = async () => new Runtime(await testGpu());
const host = ({ shape, data, dtype }: NdArray) => hostTensor(shape, data, dtype);

/** An embedding of soft blobs, so that clusters have something to find, with noise that leaves no ties. */
function blobs(images: number, height: number, width: number, channels: number): NdArray {
  const noise = sampleValues([images, height, width, channels], 4);
  const centres = sampleValues([images, 5, channels], 8);
  const places = sampleValues([images, 5, 2], 9);
  const data = noise.data.map((value, i) => {
    const c = i % channels;
    const x = Math.floor(i / channels) % width;
    const y = Math.floor(i / (channels * width)) % height;
    const n = Math.floor(i / (channels * width * height));
    let nearest = 0;
    let least = Infinity;
    for (let b = 0; b < 5; b++) {
      const dy = y / height - (places.data[(n * 5 + b) * 2]! + 1) / 2;
      const dx = x / width - (places.data[(n * 5 + b) * 2 + 1]! + 1) / 2;
      if (dy * dy + dx * dx < least) [nearest, least] = [b, dy * dy + dx * dx];
    }
    return centres.data[(n * 5 + nearest) * channels + c]! + 0.4 * value;
  });
  return { ...noise, data };
}

/** Unit vectors of embedding and location, as the clustering sees them. */
function plainFeatures(embedding: NdArray, image: number, [validHeight, validWidth]: [number, number]): number[][] {
  const [, height, width] = embedding.shape as [number, number, number];
  return vectors(embedding)
    .slice(image * height * width, (image + 1) * height * width)
    .map((v, p) => unit([...unit(v), Math.floor(p / width) / validHeight, (p % width) / validWidth]));
}

describe('the initial grid', () => {
  const gridOf = async (height: number, width: number, cells: readonly [number, number]) => {
    const canvas = { height, width };
    const { data } = await (await runtime()).evaluate(() =>
      initialClusters(fullSizes(2, canvas), { ...canvas, cells }),
    );
    expect(data.slice(0, height * width)).toEqual(data.slice(height * width));
    return Array.from(data.slice(0, height * width));
  };

  it('numbers ceil-sized cells down the columns', async () => {
    expect(await gridOf(5, 4, [2, 2])).toEqual([0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 2, 1, 1, 3, 3, 1, 1, 3, 3]);
    expect(await gridOf(13, 17, [5, 4])).toEqual(plainGrid(13, 17, [5, 4]));
  });

  it('uses fewer cells than asked for where rounding up covers the image early', async () => {
    expect(Math.max(...(await gridOf(6, 6, [4, 4])))).toBe(8);
    expect(new Set(await gridOf(2, 3, [5, 5])).size).toBe(6);
  });
});

describe('initialClusters and locations', () => {
  it('are those of the image alone, whatever canvas it is padded to', async () => {
    const step = () => {
      const sizes = constant([1, 2], [6, 5]);
      const canvas = { height: 9, width: 8 };
      return {
        clusters: initialClusters(sizes, { ...canvas, cells: [2, 2] }),
        places: locations(sizes, { ...canvas, channels: 2 }),
      };
    };
    const { clusters, places } = await (await runtime()).evaluate(step);
    const ids = plainGrid(6, 5, [2, 2]);
    for (let y = 0; y < 9; y++)
      for (let x = 0; x < 8; x++) {
        const inside = y < 6 && x < 5;
        const p = y * 8 + x;
        expect(clusters.data[p]).toBe(inside ? ids[y * 5 + x] : -1);
        expect(places.data[p * 2]).toBe(inside ? Math.fround(y / 6) : 0);
        expect(places.data[p * 2 + 1]).toBe(inside ? Math.fround(x / 5) : 0);
      }
  });

  it('name what is wrong with their arguments', () => {
    const canvas = { height: 4, width: 4 };
    const trace = (cells: [number, number], sizes: number[]) => () =>
      traceStep(() => initialClusters(constant([sizes.length / 2, 2], sizes), { ...canvas, cells }), []);
    expect(trace([0, 2], [4, 4])).toThrow('initialClusters: cells must be two positive integers');
    expect(() => traceStep(() => locations(constant([2], [4, 4]), { ...canvas, channels: 2 }), [])).toThrow(
      'locations: sizes must be f32 [N,2]',
    );
  });
});

describe('k-means', () => {
  const [images, height, width, channels] = [3, 12, 10, 6] as const;
  const embedding = blobs(images, height, width, channels);
  const sizes: [number, number][] = [
    [12, 10],
    [7, 9],
    [0, 0],
  ];
  const clusterOn = async (iterations: number) =>
    (await runtime()).evaluate(
      () =>
        clusterImages(
          { embedding: constant(embedding.shape, embedding.data), sizes: constant([3, 2], sizes.flat()) },
          { cells: [3, 3], iterations },
        ).clusters,
    );

  it('agrees with a plain float64 k-means, padding left out', async () => {
    const { data } = await clusterOn(10);
    for (const [n, [validHeight, validWidth]] of sizes.entries()) {
      const initial = new Array<number>(height * width).fill(-1);
      const grid = plainGrid(validHeight, validWidth, [3, 3]);
      for (let y = 0; y < validHeight; y++)
        for (let x = 0; x < validWidth; x++) initial[y * width + x] = grid[y * validWidth + x]!;
      const features = plainFeatures(embedding, n, [Math.max(1, validHeight), Math.max(1, validWidth)]);
      const { ids } = plainKMeans(features, initial, 9, 10);
      expect(Array.from(data.subarray(n * height * width, (n + 1) * height * width))).toEqual(ids);
      // It did something: the result is not the grid.
      if (n < 2) expect(ids).not.toEqual(initial);
    }
  });

  it('never decreases its objective', async () => {
    const features = plainFeatures(embedding, 0, [height, width]);
    let before = -Infinity;
    for (let iterations = 0; iterations <= 6; iterations++) {
      const { data } = await clusterOn(iterations);
      const now = objective(features, Array.from(data.subarray(0, height * width)), 9);
      expect(now).toBeGreaterThanOrEqual(before - 1e-6);
      if (iterations === 1) expect(now).toBeGreaterThan(before + 0.1);
      before = now;
    }
  });

  it('leaves masked pixels out', async () => {
    const mask = Float32Array.from({ length: images * height * width }, (_, p) => (p % 7 === 0 ? 0 : 1));
    const { data } = await (await runtime()).evaluate(
      () =>
        clusterImages(
          { embedding: constant(embedding.shape, embedding.data), mask: constant([images, height, width], mask) },
          { cells: [3, 3], iterations: 4 },
        ).clusters,
    );
    const features = plainFeatures(embedding, 1, [height, width]);
    const grid = plainGrid(height, width, [3, 3]);
    const size = height * width;
    const initial = Array.from(grid, (id, p) => (mask[size + p] ? id : -1));
    expect(Array.from(data.subarray(size, 2 * size))).toEqual(plainKMeans(features, initial, 9, 4).ids);
  });

  it('keeps empty clusters empty and takes images with a single pixel', async () => {
    const features = sampleValues([2, 5, 4], 3);
    const initial = [3, 3, 1, 1, 3, -1, -1, 2, -1, -1];
    const { data } = await (await runtime()).evaluate(() =>
      sphericalKMeans(l2Normalize(constant([2, 5, 4], features.data)), constant([2, 5], initial, 'i32'), {
        clusters: 5,
        iterations: 3,
      }),
    );
    const units = vectors(features).map(unit);
    expect(Array.from(data.subarray(0, 5))).toEqual(plainKMeans(units.slice(0, 5), initial.slice(0, 5), 5, 3).ids);
    expect(Array.from(data.subarray(5))).toEqual([-1, -1, 2, -1, -1]);
  });

  it('clusters by features of unit length, filled up to a multiple of four channels', async () => {
    const step = () => {
      const flat = l2Normalize(constant([images, height * width, channels], embedding.data));
      return clusteringFeatures(flat, fullSizes(images, { height, width }), { height, width });
    };
    const { shape, data } = await (await runtime()).evaluate(step);
    expect(shape).toEqual([images, height * width, 8]);
    const expected = plainFeatures(embedding, 0, [height, width]);
    for (const p of [0, 57, 119])
      for (let c = 0; c < 8; c++) expect(data[p * 8 + c]).toBeCloseTo(expected[p]![c] ?? 0, 6);
  });

  it('gives the same clusters on every run, with every kernel', async () => {
    const gpu = await testGpu();
    const results: number[][] = [];
    const choices: Record<string, string>[] = [{}, {}, { assignClusters: 'naive', segmentSum: 'naive' }];
    for (const kernels of choices) {
      const other = new Runtime(gpu, { kernels });
      const step = other.compile((x) => clusterImages({ embedding: x }, { cells: [3, 3], iterations: 8 }).clusters);
      const result = await step.run(host(embedding));
      results.push(Array.from((await result.read()).data));
      step[Symbol.dispose]();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});
