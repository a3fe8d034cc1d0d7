/** `sampleCrop` against values worked out by hand, through the reference and on the adapter. */
import { describe, expect, it } from 'vitest';
import { packPlacements } from '../../src/data/augment.js';
import type { Tensor } from '../../src/tensor/graph.js';
import { sampleCrop, sampleCropOp, sampleIds } from '../../src/tensor/ops/image.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { type HostTensor, hostTensor, type NdArray, ndarray } from '../../src/tensor/types.js';
import { expectClose, rounded } from '../support/compare.js';
import { testGpu } from '../support/gpu.js';

const word = (grey: number, label: number) => (grey | (grey << 8) | (grey << 16) | (label << 24)) >>> 0;
const placed = { imageHeight: 2, imageWidth: 3, scaleY: 1, scaleX: 1, offsetY: 0, offsetX: 0, mirror: false };
const none = [0, 0, 0] as const;
/** A 2x3 image in a 3x4 canvas whose other pixels are garbage. */
const canvas = hostTensor(
  [1, 3, 4],
  [word(10, 1), word(20, 2), word(40, 3), 99, word(50, 4), word(60, 5), word(80, 255), 99, 99, 99, 99, 99],
  'u32',
);

async function crops(placements: HostTensor, height: number, width: number, mean: readonly [number, number, number]) {
  const params = { height, width, mean };
  const toNd = (t: HostTensor): NdArray => ndarray(t.shape, t.data, t.dtype);
  const [image, labels] = sampleCropOp.reference([toNd(canvas), toNd(placements)], params);
  using runtime = new Runtime(await testGpu());
  using step = runtime.compile((c: Tensor, p: Tensor) => ({ ...sampleCrop(c, p, params) }));
  const results = await step.run(canvas, placements);
  expectClose(await results.image.read(), image!, 1e-6, 'image');
  expectClose(await results.labels.read(), labels!, 0, 'labels');
  const red = Array.from(
    image!.data.filter((_, i) => i % 3 === 0),
    (value) => Math.round(value * 1e4) / 1e4,
  );
  return { red, rgb: Array.from(image!.data), labels: Array.from(labels!.data) };
}

describe('sampleCrop', () => {
  it('pads with 0 and 255, and subtracts the mean inside alone', async () => {
    const { rgb, labels } = await crops(packPlacements([placed]), 2, 4, [1, 2, 3]);
    expect(rgb).toEqual([9, 8, 7, 19, 18, 17, 39, 38, 37, 0, 0, 0, 49, 48, 47, 59, 58, 57, 79, 78, 77, 0, 0, 0]);
    expect(labels).toEqual([1, 2, 3, 255, 4, 5, 255, 255]);
  });

  it('doubles an image without half-pixel offsets', async () => {
    // TF1: source = destination / 2, so odd pixels lie between two, and the last repeats the edge.
    const { red, labels } = await crops(packPlacements([{ ...placed, scaleY: 2, scaleX: 2 }]), 4, 6, none);
    expect(red.slice(0, 6)).toEqual([10, 15, 20, 30, 40, 40]);
    expect(red.slice(6, 12)).toEqual([30, 35, 40, 50, 60, 60]);
    expect(red.slice(18, 24)).toEqual([50, 55, 60, 70, 80, 80]);
    expect(labels).toEqual([1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 255, 255, 4, 4, 5, 5, 255, 255]);
  });

  it('mirrors before it crops', async () => {
    const placement = packPlacements([{ ...placed, scaleX: 2, offsetX: 1, mirror: true }]);
    const { red, labels } = await crops(placement, 1, 6, none);
    expect(red).toEqual([40, 30, 20, 15, 10, 0]);
    expect(labels).toEqual([3, 2, 2, 1, 1, 255]);
  });

  it('shrinks by taking the nearest pixel above and to the left', async () => {
    const { red, labels } = await crops(packPlacements([{ ...placed, scaleX: 2 / 3 }]), 1, 3, none);
    expect(red).toEqual([10, 30, 0]); // source columns 0 and 1.5
    expect(labels).toEqual([1, 2, 255]);
  });

  it('agrees with its reference on its samples', async () => {
    const { device, facts } = await testGpu();
    using runtime = new Runtime({ device, facts });
    for (const { inputs, params } of sampleCropOp.samples()) {
      const arrays = inputs.map(rounded);
      const expected = sampleCropOp.reference(arrays, params);
      using step = runtime.compile((c: Tensor, p: Tensor) => ({ ...sampleCrop(c, p, params) }));
      const results = await step.run(...arrays.map((array) => hostTensor(array.shape, array.data, array.dtype)));
      expectClose(await results.image.read(), expected[0]!, 1e-6, 'image');
      expectClose(await results.labels.read(), expected[1]!, 0, 'labels');
    }
  });

  it('samples ids where it samples labels, past 255, and -1 where there is none', async () => {
    const { device, facts } = await testGpu();
    using runtime = new Runtime({ device, facts });
    const params = { height: 9, width: 13 };
    const seen = new Set<number>();
    // The ids of each pixel are its label, so both ops must agree on every pixel of every sample, outside by default 255.
    for (const { inputs } of sampleCropOp.samples()) {
      const [packed, placement] = inputs.map(({ shape, data, dtype }) => hostTensor(shape, data, dtype));
      const ids = hostTensor(
        packed!.shape,
        Array.from(packed!.data, (pixel) => {
          const label = pixel >>> 24;
          return ((label === 20 ? 65535 : label * 300) | ((label === 3 ? 65535 : label) << 16)) >>> 0;
        }),
        'u32',
      );
      using step = runtime.compile((c: Tensor, i: Tensor, p: Tensor) => ({
        ...sampleCrop(c, p, { ...params, mean: none }),
        ...sampleIds(i, p, params),
      }));
      const results = await step.run(packed!, ids, placement!);
      const labels = Array.from((await results.labels.read()).data);
      for (const label of labels) seen.add(label);
      const outside = (label: number) => label === 255;
      expect(Array.from((await results.regions.read()).data)).toEqual(
        labels.map((label) => (outside(label) || label === 20 ? -1 : label * 300)),
      );
      expect(Array.from((await results.instances.read()).data)).toEqual(
        labels.map((label) => (outside(label) || label === 3 ? -1 : label)),
      );
    }
    for (const label of [3, 19, 20, 255]) expect(seen).toContain(label);
  });

  it('says what is wrong with its inputs', () => {
    const infer = (shapes: number[][], params: object) =>
      sampleCropOp.infer(
        [
          { shape: shapes[0]!, dtype: 'u32' },
          { shape: shapes[1]!, dtype: 'f32' },
        ],
        { height: 4, width: 4, mean: none, ...params },
      );
    expect(() =>
      infer(
        [
          [2, 3],
          [2, 8],
        ],
        {},
      ),
    ).toThrow('sampleCrop: canvas must be u32 [N,H,W]');
    expect(() =>
      infer(
        [
          [2, 3, 4],
          [3, 8],
        ],
        {},
      ),
    ).toThrow('placement must be f32 [2,8] for canvas [2,3,4], got f32[3,8]');
    expect(() =>
      infer(
        [
          [2, 3, 4],
          [2, 8],
        ],
        { width: 0 },
      ),
    ).toThrow('crop size must be positive integers, got 4x0');
  });
});
