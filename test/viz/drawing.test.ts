import { describe, expect, it } from 'vitest';
import { vocPalette } from '../../src/data/image.js';
import { glyphOf } from '../../src/viz/glyphs.js';
import {
  boundaries,
  colourIds,
  cropIds,
  cropImage,
  distinctColour,
  maskOf,
  overlayLabels,
  scaleIds,
  scaleImage,
} from '../../src/viz/maps.js';
import { fitText, Raster, textWidth } from '../../src/viz/raster.js';
import { viewSegment } from '../../src/viz/segment_view.js';

const pixel = (image: { width: number; data: Uint8Array }, x: number, y: number) => [
  ...image.data.subarray((y * image.width + x) * 3, (y * image.width + x) * 3 + 3),
];

describe('glyphs', () => {
  const printable = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));

  it('has a drawing for every printable character, and no two are alike', () => {
    const drawings = printable.map((character) => JSON.stringify(glyphOf(character).ink));
    expect(new Set(drawings).size).toBe(printable.length);
    for (const character of printable) {
      const { width, ink } = glyphOf(character);
      expect(ink.length, character).toBeGreaterThan(0);
      expect(width, character).toBeLessThanOrEqual(5);
      // Digits are of one width.
      if (/\d/.test(character)) expect(width).toBe(5);
      else expect(Math.min(...ink.map(([x]) => x)), `${character} starts at its left edge`).toBe(0);
    }
  });

  it('puts a question mark for what it does not have', () => {
    expect(glyphOf('\u00e9')).toBe(glyphOf('?'));
  });
});

describe('Raster', () => {
  it('writes text of the announced width', () => {
    const line = 'mIoU 0.67';
    const raster = new Raster(200, 30);
    expect(raster.text(line, 4, 3, [0, 0, 0])).toBe(textWidth(line));
    const inked = Array.from({ length: 200 }, (_, x) => x).filter((x) =>
      Array.from({ length: 30 }, (_, y) => y).some((y) => pixel(raster, x, y)[0] === 0),
    );
    expect(Math.min(...inked)).toBe(4);
    expect(Math.max(...inked)).toBe(4 + textWidth(line) - 3);
  });

  it('cuts text to a width', () => {
    expect(fitText('clusters', 500)).toBe('clusters');
    const cut = fitText('a very long name of an image', 100);
    expect(cut).toMatch(/^a very.*\.\.$/);
    expect(textWidth(cut)).toBeLessThanOrEqual(100);
  });

  it('cuts off what reaches past its edges', () => {
    const raster = new Raster(3, 2, [0, 0, 0]);
    raster.draw({ width: 2, height: 2, data: new Uint8Array(12).fill(9) }, 2, 1);
    raster.draw({ width: 2, height: 2, data: new Uint8Array(12).fill(7) }, -1, -1);
    raster.draw({ width: 2, height: 2, data: new Uint8Array(12).fill(5) }, 5, 0);
    expect(Array.from({ length: 6 }, (_, i) => raster.data[i * 3])).toEqual([7, 0, 0, 0, 0, 9]);
    raster.fill(-5, 1, 6, 9, [1, 2, 3]);
    expect(pixel(raster, 0, 1)).toEqual([1, 2, 3]);
    expect(pixel(raster, 1, 1)).toEqual([0, 0, 0]);
  });
});

describe('scaling', () => {
  const image = { width: 2, height: 2, data: Uint8Array.from([0, 0, 0, 90, 0, 0, 30, 0, 0, 120, 0, 0]) };

  it('enlarges by the nearest pixel', () => {
    const large = scaleImage(image, { width: 4, height: 6 });
    for (let y = 0; y < 6; y++)
      for (let x = 0; x < 4; x++)
        expect(pixel(large, x, y)).toEqual(pixel(image, Math.floor(x / 2), Math.floor(y / 3)));
  });

  it('shrinks by the mean', () => {
    expect([...scaleImage(image, { width: 1, height: 1 }).data]).toEqual([60, 0, 0]);
    expect([...scaleImage(image, { width: 2, height: 1 }).data]).toEqual([15, 0, 0, 105, 0, 0]);
  });

  it('shrinks by any factor without leaving a pixel out', () => {
    const ramp = { width: 7, height: 1, data: Uint8Array.from({ length: 21 }, (_, i) => 10 * Math.floor(i / 3)) };
    const small = scaleImage(ramp, { width: 3, height: 1 });
    expect([0, 1, 2].map((x) => pixel(small, x, 0)[0])).toEqual([5, 30, 55]);
  });

  it('scales ids by the nearest one, and crops', () => {
    const ids = { width: 2, height: 2, data: [1, 2, 3, 4] };
    expect([...(scaleIds(ids, { width: 4, height: 2 }).data as Int32Array)]).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
    expect([...(cropIds(ids, 1, 0, { width: 1, height: 2 }).data as Int32Array)]).toEqual([2, 4]);
    expect([...cropImage(image, 1, 0, { width: 1, height: 2 }).data]).toEqual([90, 0, 0, 120, 0, 0]);
  });
});

describe('colouring', () => {
  it('finds where ids change', () => {
    const ids = { width: 3, height: 2, data: [1, 1, 2, 1, 3, 3] };
    expect([...(boundaries(ids).data as Uint8Array)]).toEqual([0, 1, 1, 1, 0, 0]);
    expect([...(maskOf(ids, 3).data as Uint8Array)]).toEqual([0, 0, 0, 0, 1, 1]);
  });

  it('gives neighbouring clusters clearly different colours', () => {
    const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((value, i) => value - b[i]!));
    for (let id = 0; id < 60; id++)
      for (const step of [1, 4, 5]) expect(distance(distinctColour(id), distinctColour(id + step))).toBeGreaterThan(50);
    expect(distinctColour(-1)).toEqual([0, 0, 0]);
    expect([...colourIds({ width: 1, height: 1, data: [3] }, distinctColour).data]).toEqual([...distinctColour(3)]);
  });

  it('tints labels, and leaves the background as it is', () => {
    const grey = { width: 3, height: 1, data: new Uint8Array(9).fill(100) };
    const labels = { width: 3, height: 1, data: Uint8Array.from([0, 1, 1]) };
    const tinted = overlayLabels(grey, labels, vocPalette(), { opacity: 0.5 });
    expect(pixel(tinted, 0, 0)).toEqual([60, 60, 60]); // the outline
    expect(pixel(tinted, 1, 0)).toEqual([114, 50, 50]);
    const plain = overlayLabels(grey, { ...labels, data: new Uint8Array(3) }, vocPalette());
    expect([...plain.data]).toEqual([...grey.data]);
    expect(() => overlayLabels(grey, { width: 1, height: 1, data: new Uint8Array(1) }, [])).toThrow('3x1');
  });
});

describe('viewSegment', () => {
  const image = { width: 20, height: 10, data: new Uint8Array(600).fill(80) };
  const mask = (left: number, top: number, side: number) => ({
    width: 20,
    height: 10,
    data: Uint8Array.from({ length: 200 }, (_, i) => {
      const [x, y] = [i % 20, Math.floor(i / 20)];
      return x >= left && x < left + side && y >= top && y < top + side ? 1 : 0;
    }),
  });

  it('keeps the segment, fades the rest and outlines it', () => {
    const view = viewSegment({ image, mask: mask(8, 3, 4) }, 60, [255, 0, 0]);
    expect([view.width, view.height]).toEqual([60, 60]);
    expect(pixel(view, 30, 30)).toEqual([80, 80, 80]);
    expect(pixel(view, 2, 2)).toEqual([185, 185, 185]);
    expect([...view.data.keys()].some((i) => i % 3 === 0 && view.data[i] === 255 && view.data[i + 1] === 0)).toBe(true);
  });

  it('takes masks at the border, over the whole image, empty ones, and smaller maps', () => {
    const whole = { width: 5, height: 5, data: new Uint8Array(25).fill(1) };
    const none = { width: 20, height: 10, data: new Uint8Array(200) };
    for (const each of [mask(18, 8, 2), mask(0, 0, 3), whole, none])
      expect(viewSegment({ image, mask: each }, 40, [255, 0, 0]).data.length).toBe(4800);
    // Above and below a wide image the square is empty.
    expect(pixel(viewSegment({ image, mask: whole }, 40, [255, 0, 0]), 20, 2)).toEqual([236, 236, 234]);
  });
});
