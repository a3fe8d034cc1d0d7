import { describe, expect, it } from 'vitest';
import { encodeGreyPng, encodePng, type RgbImage } from '../../src/data/codecs.js';
import { Dataset } from '../../src/data/dataset.js';
import { DataError } from '../../src/data/errors.js';
import { parseList } from '../../src/data/lists.js';
import { memoryFiles } from '../../src/platform/files.js';
import { encodeJpeg } from '../support/jpeg.js';

const image: RgbImage = { width: 3, height: 2, data: Uint8Array.from({ length: 18 }, (_, i) => i * 14) };
const labels = { width: 3, height: 2, data: Uint8Array.of(0, 1, 255, 20, 2, 3) };
const files = new Map([
  ['a.png', encodePng(image)],
  ['a_label.png', encodeGreyPng(labels)],
  ['tall_label.png', encodeGreyPng({ width: 2, height: 3, data: new Uint8Array(6) })],
  ['big.jpg', encodeJpeg({ width: 50, height: 9, data: new Uint8Array(1350) })],
  ['cut.jpg', encodeJpeg({ width: 50, height: 9, data: new Uint8Array(1350) }).subarray(0, -30)],
  ['head.jpg', encodeJpeg({ width: 50, height: 9, data: new Uint8Array(1350) }).subarray(0, 70)],
  ['train.txt', new TextEncoder().encode('a.png a_label.png\nbig.jpg\n')],
]);
const dataset = (list: string) => new Dataset(memoryFiles(files, '/data'), parseList(list, 'list.txt'));

describe('Dataset', () => {
  it('packs colour and label into a word', async () => {
    const sample = await dataset('a.png a_label.png').load(0);
    expect(sample).toMatchObject({ name: 'a.png', width: 3, height: 2 });
    expect(sample.pixels).toHaveLength(6);
    sample.pixels.forEach((word, i) => {
      const [r, g, b] = image.data.subarray(i * 3, i * 3 + 3);
      expect([word & 255, (word >> 8) & 255, (word >> 16) & 255, word >>> 24]).toEqual([r, g, b, labels.data[i]]);
    });
  });

  it('labels everything 255 where there is no label file', async () => {
    const { pixels } = await dataset('a.png').load(0);
    expect(pixels.every((word) => word >>> 24 === 255)).toBe(true);
  });

  it('opens a list inside its source, and finds the largest size from headers', async () => {
    const opened = await Dataset.open(memoryFiles(files), 'train.txt');
    expect(opened.length).toBe(2);
    expect(opened.names).toEqual(['a.png', 'big.jpg']);
    expect(await opened.largestSize()).toEqual({ width: 50, height: 9 });
  });

  it('reads on where a header is longer than the head of the file', async () => {
    const source = memoryFiles(files);
    const readHead = async (path: string) => (await source.read(path)).slice(0, 60);
    const list = parseList('big.jpg\ncut.jpg\nhead.jpg', 'list.txt');
    const short = new Dataset({ ...source, readHead }, list);
    expect(await short.sizeOf(0)).toEqual({ width: 50, height: 9 });
    expect(await short.sizeOf(1)).toEqual({ width: 50, height: 9 });
    await expect(short.sizeOf(2)).rejects.toThrow('head.jpg: truncated: it ends before its header gives a size');
  });

  it('names both files and sizes where a label is of another size than its image', async () => {
    const error = await dataset('a.png tall_label.png')
      .load(0)
      .catch((caught) => caught);
    expect(error).toBeInstanceOf(DataError);
    expect(error.file).toBe('tall_label.png');
    expect(error.message).toBe('tall_label.png: label is 2x3, its image a.png is 3x2 (width x height)');
  });

  it('names file, list, line and root where a file is missing', async () => {
    const missing = dataset('a.png a_label.png\n\nb.jpg b.png\na.png c.png');
    await expect(missing.load(1)).rejects.toThrow('b.jpg: image listed in line 3 of list.txt: no such file in /data');
    await expect(missing.load(2)).rejects.toThrow('c.png: label listed in line 4 of list.txt: no such file in /data');
    await expect(missing.largestSize()).rejects.toThrow(DataError);
    await expect(Dataset.open(memoryFiles(files, '/data'), 'val.txt')).rejects.toThrow(
      'val.txt: no such file in /data',
    );
  });

  it('names a truncated image', async () => {
    await expect(dataset('cut.jpg').load(0)).rejects.toThrow(/^cut\.jpg: truncated JPEG/);
  });

  it('refuses an empty list', () => {
    expect(() => new Dataset(memoryFiles(files), { file: 'none.txt', entries: [] })).toThrow(
      'none.txt: lists no images',
    );
  });
});
