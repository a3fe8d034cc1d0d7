/** Boundary F and trimaps against definitions written out pixel by pixel. */
import { describe, expect, it } from 'vitest';
import { BoundaryF } from '../../src/evaluation/boundary_f.js';
import { ConfusionMatrix } from '../../src/evaluation/confusion.js';
import type { LabelMap } from '../../src/evaluation/label_map.js';
import { Trimap } from '../../src/evaluation/trimap.js';
import { blobs, distance, drawn, neighbours, pixelsOf } from './maps.js';

const size = { width: 26, height: 21 };
const prediction = { lowest: -1, voids: 0 };

/** F of a class where nothing is void. */
function plainF(truth: LabelMap, predicted: LabelMap, label: number, reach: number): number | null {
  const contour = (map: LabelMap) =>
    pixelsOf(map).filter((i) => map.data[i] === label && neighbours(map, i).some((j) => map.data[j] !== label));
  const [a, b] = [contour(truth), contour(predicted)];
  if (a.length + b.length === 0) return null;
  const near = (from: number[], to: number[]) =>
    from.filter((i) => to.some((j) => distance(truth, i, j) <= reach)).length / from.length;
  if (a.length === 0 || b.length === 0) return 0;
  const [precision, recall] = [near(b, a), near(a, b)];
  return precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
}

describe('BoundaryF', () => {
  it.for([0, 0.02, 0.05, 0.1])('agrees with brute force at a tolerance of %f', (tolerance) => {
    const reach = tolerance * Math.hypot(26, 21);
    const score = new BoundaryF(4, { tolerance });
    const [one, other] = [new BoundaryF(4, { tolerance }), new BoundaryF(4, { tolerance })];
    const perImage: (number | null)[][] = [];
    for (const seed of [1, 2, 3, 4, 5]) {
      const truth = blobs(seed, size, { voids: 0, speckle: 0.02, cells: 5 });
      const predicted = blobs(seed + (seed % 2) * 50, size, { ...prediction, cells: 5, speckle: 0.04 });
      const expected = [0, 1, 2, 3].map((label) => plainF(truth, predicted, label, reach));
      const own = score.add(truth, predicted);
      (seed < 3 ? one : other).add(truth, predicted);
      for (const [label, value] of expected.entries())
        if (value === null) expect(own[label]).toBe(null);
        else expect(own[label]).toBeCloseTo(value, 12);
      perImage.push(expected);
    }
    const mean = (values: (number | null)[]) => {
      const present = values.filter((value) => value !== null);
      return present.reduce((a, b) => a + b, 0) / present.length;
    };
    const result = score.score();
    const classes = [0, 1, 2, 3].map((label) => mean(perImage.map((image) => image[label]!)));
    for (const [label, value] of classes.entries()) expect(result.classes[label]).toBeCloseTo(value, 12);
    expect(result.classMean).toBeCloseTo(mean(classes), 12);
    expect(result.imageMean).toBeCloseTo(mean(perImage.map(mean)), 12);
    expect(result.images).toBe(5);
    one.merge(other);
    expect(one.score().classMean).toBeCloseTo(result.classMean!, 12);
    expect(one.score().imageMean).toBeCloseTo(result.imageMean!, 12);
  });

  it('takes contours through the middle of a band of void', () => {
    const truth = drawn('00..11', '00..11', '00..11', '00..11');
    const exact = new BoundaryF(2, { tolerance: 0.15 }); // 1.08 pixels
    expect(exact.add(truth, drawn('000111', '000111', '000111', '000111'))).toEqual([1, 1]);
    // The contour may be anywhere in the void, but not 2 pixels off outside of it.
    expect(exact.add(truth, drawn('001111', '001111', '001111', '001111'))).toEqual([1, 1]);
    expect(exact.add(truth, drawn('011111', '011111', '011111', '011111'))[1]).toBe(0);
  });

  it('lets void count against nobody', () => {
    const score = new BoundaryF(3, { tolerance: 0.05 });
    // An object predicted within a wide void, and a true contour deep inside of one.
    const truth = drawn('0000000', '0.....0', '0.....0', '0.....0', '0000000');
    expect(score.add(truth, drawn('0000000', '0000000', '0002000', '0000000', '0000000'))).toEqual([null, null, null]);
    const wide = drawn('0......1', '0......1', '0......1');
    expect(score.add(wide, drawn('00000000', '00000000', '00000000'))).toEqual([null, null, null]);
    expect(score.score()).toEqual({ classes: [null, null, null], classMean: null, imageMean: null, images: 0 });
  });

  it('scores a missed and an invented class as 0, and nothing where there is no contour', () => {
    const score = new BoundaryF(3);
    const half = drawn('0011', '0011');
    expect(score.add(half, drawn('0000', '0000'))).toEqual([0, 0, null]);
    expect(score.add(drawn('0000', '0000'), half)).toEqual([0, 0, null]);
    expect(score.add(drawn('1111'), drawn('1111'))).toEqual([null, null, null]);
    expect(score.add(drawn('....'), drawn('0101'))).toEqual([null, null, null]);
    expect(score.add(half, half)).toEqual([1, 1, null]);
    expect(score.score()).toEqual({ classes: [1 / 3, 1 / 3, null], classMean: 1 / 3, imageMean: 1 / 3, images: 3 });
  });

  it('refuses maps that do not fit', () => {
    const score = new BoundaryF(2);
    expect(() => score.add(drawn('00'), drawn('0'))).toThrow('the predicted map is 1x1, the truth map 2x1');
    expect(() => score.add(drawn('03'), drawn('00'))).toThrow('pixel 1 has the label 3');
    expect(() => score.add(drawn('00'), drawn('02'))).toThrow('pixel 1 was given the label 2');
    expect(() => score.merge(new BoundaryF(2, { tolerance: 0.1 }))).toThrow('another tolerance');
  });
});

describe('Trimap', () => {
  it('agrees with brute force at every width, image by image and merged', () => {
    const trimap = new Trimap(4, { widest: 12 });
    const [one, other] = [new Trimap(4, { widest: 12 }), new Trimap(4, { widest: 12 })];
    const bands = Array.from({ length: 12 }, () => new ConfusionMatrix(4));
    for (const seed of [1, 2, 3]) {
      const truth = blobs(seed, size, { cells: 3, speckle: 0 });
      const predicted = blobs(seed + 50, size, prediction);
      trimap.add(truth, predicted);
      (seed === 2 ? one : other).add(truth, predicted);
      const contour = pixelsOf(truth).filter((i) => neighbours(truth, i).some((j) => truth.data[j] !== truth.data[i]));
      for (const i of pixelsOf(truth))
        for (const [index, band] of bands.entries())
          if (contour.some((j) => distance(truth, i, j) < index + 1)) band.add([truth.data[i]!], [predicted.data[i]!]);
    }
    const expected = bands.map((band, index) => ({ width: index + 1, ...band.score() }));
    expect(trimap.curve()).toEqual(expected);
    one.merge(other);
    expect(one.curve()).toEqual(expected);
    expect(expected.map(({ pixels }) => pixels)).toEqual(expected.map(({ pixels }) => pixels).sort((a, b) => a - b));
  });

  it('covers the pixels beside a contour first, and beside void', () => {
    const trimap = new Trimap(2, { widest: 3 });
    trimap.add(drawn('000.1111'), drawn('00011110'));
    const curve = trimap.curve();
    // Width 1: pixels 2 and 4, both right. Width 2 adds 1 and 5, width 3 adds 0 and 6. Pixel 7 is out of reach.
    expect(curve.map(({ pixels, meanIou }) => [pixels, meanIou])).toEqual([
      [2, 1],
      [4, 1],
      [6, 1],
    ]);
  });

  it('has no score without contours', () => {
    const trimap = new Trimap(2, { widest: 2 });
    trimap.add(drawn('00'), drawn('01'));
    expect(trimap.curve().map(({ meanIou, pixels }) => [meanIou, pixels])).toEqual([
      [null, 0],
      [null, 0],
    ]);
    expect(() => trimap.merge(new Trimap(2))).toThrow('40 bands into 2');
  });
});
