import { describe, expect, it } from 'vitest';
import {
  epochOrder,
  evaluationPlacements,
  packPlacements,
  randomPlacement,
  SEGSORT_AUGMENTATION,
  trainingPlacements,
  wholePlacement,
} from '../../src/data/augment.js';
import { DataError } from '../../src/data/errors.js';
import { resizedExtent } from '../../src/tensor/ops/image.js';
import { Random } from '../../src/tensor/random.js';

const crop = { height: 48, width: 64 };
const image = { height: 60, width: 80 };

describe('training placements', () => {
  it('depend on seed, step and place in the batch alone', () => {
    const images = [image, { height: 30, width: 90 }, image];
    const at = (seed: number, step: number, n = 3) =>
      trainingPlacements(images.slice(0, n), crop, SEGSORT_AUGMENTATION, { seed, step });
    expect(at(1, 5)).toEqual(at(1, 5));
    expect(at(1, 5).data.slice(0, 16)).toEqual(at(1, 5, 2).data);
    expect(at(1, 6).data).not.toEqual(at(1, 5).data);
    expect(at(2, 5).data).not.toEqual(at(1, 5).data);
    expect(at(1, 5).data.slice(2, 8)).not.toEqual(at(1, 5).data.slice(18, 24));
    expect(at(1, 5).shape).toEqual([3, 8]);
  });

  it('cover the range of scales, both mirrorings, and every offset that keeps the crop inside', () => {
    const scales: number[] = [];
    let mirrored = 0;
    let atStart = 0;
    let atEnd = 0;
    let larger = 0;
    for (let step = 0; step < 4000; step++) {
      const p = randomPlacement(new Random({ seed: 3, stream: 9, step }), image, crop, SEGSORT_AUGMENTATION);
      expect(p.scaleY).toBe(p.scaleX);
      scales.push(p.scaleX);
      if (p.mirror) mirrored++;
      for (const [extent, scale, offset, size] of [
        [image.height, p.scaleY, p.offsetY, crop.height],
        [image.width, p.scaleX, p.offsetX, crop.width],
      ] as const) {
        const spare = Math.max(0, resizedExtent(extent, scale) - size);
        expect(Number.isInteger(offset) && offset >= 0 && offset <= spare).toBe(true);
        if (spare === 0) continue;
        larger++;
        if (offset === 0) atStart++;
        if (offset === spare) atEnd++;
      }
    }
    expect(Math.min(...scales)).toBeGreaterThanOrEqual(0.5);
    expect(Math.min(...scales)).toBeLessThan(0.505);
    expect(Math.max(...scales)).toBeLessThan(2);
    expect(Math.max(...scales)).toBeGreaterThan(1.99);
    expect(Math.abs(scales.reduce((a, b) => a + b) / scales.length - 1.25)).toBeLessThan(0.03);
    expect(Math.abs(mirrored - 2000)).toBeLessThan(160);
    // Both ends are reached, and about as often.
    expect(atStart).toBeGreaterThan(larger / 100);
    expect(Math.abs(atStart - atEnd)).toBeLessThan(larger / 50);
  });

  it('change in scale alone when mirroring is switched off', () => {
    const random = () => new Random({ seed: 3, stream: 9, step: 1 });
    const both = randomPlacement(random(), image, crop, { scale: [0.5, 2], mirror: true });
    const still = randomPlacement(random(), image, crop, { scale: [0.5, 2], mirror: false });
    expect(still).toEqual({ ...both, mirror: false });
    expect(randomPlacement(random(), image, crop, { scale: [1, 1], mirror: true }).scaleX).toBe(1);
  });

  it('refuse impossible scales', () => {
    for (const scale of [
      [0, 1],
      [2, 1],
      [1, Number.NaN],
    ] as const)
      expect(() => randomPlacement(new Random({ seed: 1, stream: 1 }), image, crop, { scale, mirror: true })).toThrow(
        'scale must be',
      );
  });
});

describe('evaluation placements', () => {
  it('show whole images as they are, and nothing in the places left over', () => {
    const placements = evaluationPlacements([{ name: 'a', height: 48, width: 20 }], crop, 2);
    expect(placements.shape).toEqual([2, 8]);
    expect(Array.from(placements.data)).toEqual([48, 20, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('name an image that does not fit', () => {
    expect(() => wholePlacement({ name: 'big.jpg', height: 49, width: 20 }, crop)).toThrow(DataError);
    expect(() => wholePlacement({ name: 'big.jpg', height: 49, width: 20 }, crop)).toThrow(
      'big.jpg: is 49x20 (height x width) and does not fit a crop of 48x64',
    );
  });
});

it('packs placements in the order sampleCrop reads them', () => {
  const placement = { imageHeight: 1, imageWidth: 2, scaleY: 3, scaleX: 4, offsetY: 5, offsetX: 6, mirror: true };
  expect(Array.from(packPlacements([placement]).data)).toEqual([1, 2, 3, 4, 5, 6, 1, 0]);
});

it('visits every sample once an epoch, in another order each time', () => {
  const orders = [epochOrder(1, 0, 50), epochOrder(1, 1, 50), epochOrder(2, 0, 50)];
  for (const order of orders) expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect(orders[0]).toEqual(epochOrder(1, 0, 50));
  expect(orders[1]).not.toEqual(orders[0]);
  expect(orders[2]).not.toEqual(orders[0]);
});

it('resizes to whole pixels, halves upwards', () => {
  expect([1, 0.5, 1.5, 0.1, 0].map((scale) => resizedExtent(5, scale))).toEqual([5, 3, 8, 1, 0]);
  expect(resizedExtent(320, 0.7)).toBe(224);
});
