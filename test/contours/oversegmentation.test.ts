/** From an image to regions. */
import { describe, expect, it } from 'vitest';
import { detectContours } from '../../src/contours/detector.js';
import { oversegment } from '../../src/contours/oversegmentation.js';
import { decodeImage, decodeLabels, type RgbImage } from '../../src/data/codecs.js';
import { boundaryCounts } from '../../src/evaluation/boundaries.js';
import { regionAgreements } from '../../src/evaluation/boundaries_regions.js';
import { Random } from '../../src/tensor/random.js';
import { dataAvailable, readData } from '../support/files.js';

const SIZE = 72;
const random = new Random({ seed: 2, stream: 0 });
/** An image of a colour a pixel, with some noise. */
function paint(colour: (x: number, y: number) => readonly [number, number, number], noise = 6): RgbImage {
  const data = new Uint8Array(SIZE * SIZE * 3);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / 3);
    data[i] = colour(pixel % SIZE, Math.floor(pixel / SIZE))[i % 3]! + random.between(-noise, noise);
  }
  return { width: SIZE, height: SIZE, data };
}

/** Share of pixels on which two regions agree with `inside`, whichever is which. */
function agreement(image: RgbImage, inside: (x: number, y: number) => boolean): number {
  const { data, count } = oversegment(image).regions(2);
  expect(count).toBe(2);
  const same = data.reduce(
    (sum, region, i) => sum + Number((region === 1) === inside(i % SIZE, Math.floor(i / SIZE))),
    0,
  );
  return Math.max(same, data.length - same) / data.length;
}

describe('oversegment', () => {
  it('finds what differs in brightness', () => {
    const left = (x: number) => x < 30;
    expect(
      agreement(
        paint((x) => (left(x) ? [90, 90, 90] : [150, 150, 150])),
        left,
      ),
    ).toBeGreaterThan(0.98);
  });

  it('finds what differs in colour alone', () => {
    const disc = (x: number, y: number) => (x - 36) ** 2 + (y - 34) ** 2 < 22 ** 2;
    // Of about the same lightness.
    expect(
      agreement(
        paint((x, y) => (disc(x, y) ? [176, 96, 96] : [80, 128, 96])),
        disc,
      ),
    ).toBeGreaterThan(0.97);
  });

  it('finds what differs in texture alone', () => {
    const top = (_: number, y: number) => y < 40;
    const grey = (value: number) => [value, value, value] as const;
    // Upright stripes above, lying ones below; half of the pixels dark in either.
    const image = paint((x, y) => grey((top(x, y) ? x : y) % 2 ? 115 : 145), 3);
    expect(agreement(image, top)).toBeGreaterThan(0.9);
  });

  it('gives strength in the direction of a contour', () => {
    const { planes } = detectContours(paint((x, y) => (x + y < SIZE ? [60, 60, 60] : [170, 170, 170])));
    const at = (k: number) => planes[k]![30 * SIZE + SIZE - 31]!;
    // The contour runs up to the right, which is 6 pi / 8 with y downwards.
    expect(at(6)).toBeGreaterThan(20 * planes[6]![12 * SIZE + 12]!);
    for (let k = 0; k < 8; k++) expect(at(k)).toBeLessThanOrEqual(at(6));
    expect(at(2)).toBeLessThan(at(6) / 2);
  });

  it('takes images of any size', () => {
    for (const [width, height] of [
      [1, 1],
      [2, 7],
      [33, 5],
    ] as const) {
      const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37) % 256);
      const { finest, leaves } = oversegment({ width, height, data });
      expect(finest).toHaveLength(width * height);
      expect(leaves).toBeGreaterThanOrEqual(1);
    }
    const flat = oversegment({ width: 20, height: 20, data: new Uint8Array(1200).fill(77) });
    expect(flat.leaves).toBe(1);
  });
});

/** The start of a digest, to compare bits. */
async function digest(...arrays: (Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer>)[]): Promise<string> {
  const bytes = new Uint8Array(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const { buffer, byteLength } of arrays) {
    bytes.set(new Uint8Array(buffer), at);
    at += byteLength;
  }
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

it('gives the same bits in every engine', async () => {
  const own = new Random({ seed: 9, stream: 0 });
  const data = Uint8Array.from({ length: 48 * 40 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 48, Math.floor(i / 144)];
    return 40 + ((x * y) % 97) + (x > 20 ? 60 : 0) + own.integerIn(0, 20);
  });
  const { finest, merges } = oversegment({ width: 48, height: 40, data });
  const levels = Float64Array.from(merges.flatMap(({ first, second, level }) => [first, second, level]));
  expect(await digest(Int32Array.from(finest), levels)).toBe('f5feaac910e18b58');
});

describe.skipIf(!dataAvailable)('on a photograph of BSDS500 (skipped without ../shared/data)', () => {
  it('agrees with humans in the main', async () => {
    const id = '100075';
    const file = decodeImage(await readData(`bsds500/images/${id}.jpg`), id);
    const maps = await Promise.all(
      [0, 1, 2].map(async (a) => decodeLabels(await readData(`bsds500/human/${id}_${a}.png`), id).data),
    );
    // A part, for the time it takes.
    const [left, top, width, height] = [190, 80, 200, 150];
    const cut = (data: Uint8Array, channels: number) =>
      Uint8Array.from({ length: width * height * channels }, (_, i) => {
        const pixel = Math.floor(i / channels);
        const [x, y] = [left + (pixel % width), top + Math.floor(pixel / width)];
        return data[(y * file.width + x) * channels + (i % channels)]!;
      });
    const hierarchy = oversegment({ width, height, data: cut(file.data, 3) });
    const humans = maps.map((data) => cut(data, 1));
    const grid = hierarchy.grid();
    const scores = boundaryCounts(grid, humans, [0.1, 0.2, 0.3]).map(({ truth, recalled, detected, confirmed }) => {
      const [precision, recall] = [confirmed / detected, recalled / truth];
      return (2 * precision * recall) / (precision + recall);
    });
    expect(Math.max(...scores)).toBeGreaterThan(0.6);
    const { bestCovering } = regionAgreements(grid, humans, [0.1, 0.2, 0.3, 0.4]);
    expect(bestCovering).toBeGreaterThan(0.55);
    expect(hierarchy.regions(40).count).toBe(40);
  });
});
