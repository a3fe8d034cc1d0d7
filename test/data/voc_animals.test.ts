/** Real photographs and masks (PASCAL VOC 2012); skipped where `../shared/data` is not there. */
import { describe, expect, it } from 'vitest';
import { Dataset } from '../../src/data/dataset.js';
import { Loader } from '../../src/data/loader.js';
import type { FileSource } from '../../src/platform/files.js';
import { dataAvailable, readData } from '../support/files.js';

const source: FileSource = {
  root: 'voc-animals',
  read: (path) => readData(`voc-animals/${path}`),
  readHead: (path) => readData(`voc-animals/${path}`),
};

describe.skipIf(!dataAvailable)('voc-animals (skipped without ../shared/data)', () => {
  it('decodes photographs and masks of equal size', async () => {
    const dataset = await Dataset.open(source, 'train.txt');
    expect(dataset.length).toBe(437);
    const seen = new Set<number>();
    for (let index = 0; index < dataset.length; index += 60) {
      const { name, width, height, pixels } = await dataset.load(index);
      expect(name).toMatch(/^JPEGImages\/\d{4}_\d{6}\.jpg$/);
      expect(Math.max(width, height)).toBe(320);
      expect(pixels).toHaveLength(width * height);
      expect(await dataset.sizeOf(index)).toEqual({ width, height });
      for (const word of pixels) seen.add(word >>> 24);
      // A photograph uses most of the range, and its channels go together.
      const red = pixels.map((word) => word & 255);
      expect(Math.max(...red) - Math.min(...red)).toBeGreaterThan(120);
    }
    for (const label of [0, 255]) expect(seen.has(label)).toBe(true);
    expect([...seen].every((label) => label <= 20 || label === 255)).toBe(true);
  });

  it('gives the same pixels as in every other engine', async () => {
    const dataset = await Dataset.open(source, 'val.txt');
    const hashes: string[] = [];
    for (const index of [0, 100]) {
      const { pixels } = await dataset.load(index);
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', pixels));
      hashes.push(Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(''));
    }
    expect(hashes).toEqual(['52e7cd225c0d5d81', '127eec4657a4072f']);
  });

  it('is loaded in batches', async () => {
    const dataset = await Dataset.open(source, 'val.txt');
    const crop = { height: 160, width: 160 };
    const canvas = { height: 320, width: 320 };
    const training = { scale: [0.5, 2], mirror: true, seed: 1 } as const;
    await using loader = await Loader.open(dataset, { batch: 2, crop, canvas, training, workers: 0, prefetch: 0 });
    const batch = await loader.batch(0);
    expect(batch.canvas.shape).toEqual([2, 320, 320]);
    for (const [place, index] of batch.indices.entries()) {
      const { width, height, pixels } = await dataset.load(index);
      expect(Array.from(batch.placement.data.slice(place * 8, place * 8 + 2))).toEqual([height, width]);
      const row = (place * 320 + height - 1) * 320;
      expect(batch.canvas.data.slice(row, row + width)).toEqual(pixels.slice(-width));
    }
  });
});
