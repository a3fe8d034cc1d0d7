/** The confusion matrix and its scores. */
import { describe, expect, it } from 'vitest';
import { ConfusionMatrix } from '../../src/evaluation/confusion.js';
import { blobs } from './maps.js';

describe('ConfusionMatrix', () => {
  it('scores the pixels that count', () => {
    const matrix = new ConfusionMatrix(4);
    matrix.add([0, 0, 0, 1, 1, 255, 2, 0], [0, 0, 1, 1, 0, 3, -1, 0]);
    const score = matrix.score();
    // Class 2 is missed; class 3 is neither there nor predicted where it counts.
    expect(score.iou).toEqual([3 / 5, 1 / 3, 0, null]);
    expect(score.meanIou).toBeCloseTo((3 / 5 + 1 / 3) / 3, 12);
    expect(score.accuracy).toEqual([3 / 4, 1 / 2, 0, null]);
    expect(score.meanAccuracy).toBeCloseTo(5 / 12, 12);
    expect(score.frequencyWeightedIou).toBeCloseTo((4 * (3 / 5) + 2 * (1 / 3)) / 7, 12);
    expect(score.pixelAccuracy).toBeCloseTo(4 / 7, 12);
    expect(score.pixels).toBe(7);
  });

  it('counts a class that is only predicted as wrong', () => {
    const matrix = new ConfusionMatrix(3);
    matrix.add([0, 0], [0, 2]);
    expect(matrix.score().iou).toEqual([1 / 2, null, 0]);
    expect(matrix.score().accuracy).toEqual([1 / 2, null, null]);
  });

  it('agrees with counting sets of pixels, image by image and merged', () => {
    const size = { width: 23, height: 17 };
    const images = [1, 2, 3].map(
      (seed) => [blobs(seed, size), blobs(seed + 10, size, { lowest: -1, voids: 0 })] as const,
    );
    const streamed = new ConfusionMatrix(4);
    const merged = new ConfusionMatrix(4);
    for (const [truth, predicted] of images) {
      streamed.add(truth.data, predicted.data);
      const own = new ConfusionMatrix(4);
      own.add(truth.data, predicted.data);
      merged.merge(own);
    }
    expect(merged.counts).toEqual(streamed.counts);
    const pairs = images.flatMap(([truth, predicted]) =>
      Array.from(truth.data, (t, i) => [t, predicted.data[i]!] as const),
    );
    const counted = pairs.filter(([t]) => t !== 255);
    const classes = [0, 1, 2, 3].map((label) => {
      const both = counted.filter(([t, p]) => t === label && p === label).length;
      const either = counted.filter(([t, p]) => t === label || p === label).length;
      const there = counted.filter(([t]) => t === label).length;
      return { iou: both / either, accuracy: both / there, share: there / counted.length };
    });
    const mean = (of: (c: (typeof classes)[number]) => number) => classes.reduce((sum, c) => sum + of(c), 0) / 4;
    const score = streamed.score();
    expect(score.iou).toEqual(classes.map(({ iou }) => iou));
    expect(score.meanIou).toBeCloseTo(
      mean(({ iou }) => iou),
      12,
    );
    expect(score.meanAccuracy).toBeCloseTo(
      mean(({ accuracy }) => accuracy),
      12,
    );
    expect(score.frequencyWeightedIou).toBeCloseTo(4 * mean(({ iou, share }) => iou * share), 12);
  });

  it('knows what answering one label scores', () => {
    const matrix = new ConfusionMatrix(3);
    matrix.add([0, 0, 0, 1, 255], [1, 1, 1, 1, 1]);
    expect(matrix.commonestClassScore()).toEqual({
      label: 0,
      iou: [3 / 4, 0, null],
      meanIou: 3 / 8,
      accuracy: [1, 0, null],
      meanAccuracy: 1 / 2,
      frequencyWeightedIou: 9 / 16,
      pixelAccuracy: 3 / 4,
      pixels: 4,
    });
    expect(matrix.constantScore(2).meanIou).toBe(0);
  });

  it('has no score without pixels', () => {
    const matrix = new ConfusionMatrix(2);
    matrix.add([255, 255], [0, 1]);
    expect(matrix.score()).toEqual({
      iou: [null, null],
      meanIou: null,
      accuracy: [null, null],
      meanAccuracy: null,
      frequencyWeightedIou: null,
      pixelAccuracy: null,
      pixels: 0,
    });
  });

  it('refuses labels that are none, and to merge what differs', () => {
    const matrix = new ConfusionMatrix(3);
    expect(() => matrix.add([0, 7], [0, 0])).toThrow('pixel 1 has the label 7, with 3 classes');
    expect(() => matrix.add([0], [3])).toThrow('pixel 0 was given the label 3');
    expect(() => matrix.add([0, 1], [0])).toThrow('2 true labels and 1 predictions');
    expect(() => matrix.add([0], [Number.NaN])).toThrow('given the label NaN');
    expect(() => matrix.merge(new ConfusionMatrix(4))).toThrow('4 classes');
  });
});
