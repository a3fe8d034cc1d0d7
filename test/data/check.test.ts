/** `checkDataset` on a data set with one of every fault. */
import { describe, expect, it } from 'vitest';
import { CITYSCAPES, VOC2012 } from '../../src/data/builtin_descriptions.js';
import { checkDataset, type ListReport } from '../../src/data/check.js';
import { encodeGreyPng, encodeIdPng, encodePalettePng, encodePng, vocPalette } from '../../src/data/codecs.js';
import { Dataset, type DatasetOptions } from '../../src/data/dataset.js';
import { type DataDescription, datasetOptions } from '../../src/data/description.js';
import { parseDescription } from '../../src/data/description_file.js';
import { parseList } from '../../src/data/lists.js';
import { memoryFiles } from '../../src/platform/files.js';
import { encodeJpeg } from '../support/jpeg.js';

const size = { width: 4, height: 2 };
const rgb = { ...size, data: new Uint8Array(24).fill(90) };
const labels = (...data: number[]) => ({ ...size, data: Uint8Array.from(data) });
const ids = (...data: number[]) => encodeIdPng({ ...size, data: Uint16Array.from(data) });
const cats = labels(0, 0, 1, 1, 0, 255, 1, 1);
const swapped = vocPalette();
[swapped[1], swapped[2]] = [swapped[2]!, swapped[1]!];
const files = new Map<string, Uint8Array>([
  ['a.jpg', encodeJpeg(rgb)],
  ['b.png', encodePng(rgb)],
  ['wide.png', encodePng({ width: 5, height: 2, data: new Uint8Array(30) })],
  ['cut.jpg', encodeJpeg(rgb).subarray(0, -30)],
  ['page.jpg', new TextEncoder().encode('<html>')],
  ['a_l.png', encodeGreyPng(cats)],
  ['b_l.png', encodePalettePng(cats)],
  ['stray.png', encodeGreyPng(labels(0, 1, 9, 9, 7, 0, 9, 255))],
  ['void.png', encodeGreyPng(labels(255, 255, 255, 255, 255, 255, 255, 255))],
  ['swapped.png', encodePalettePng(labels(0, 1, 1, 2, 2, 0, 0, 0), swapped)],
  ['rgb.png', encodePng(rgb)],
  ['objects.png', encodeGreyPng(labels(0, 0, 1, 1, 0, 255, 2, 2))],
  ['mixed.png', encodeGreyPng(labels(0, 3, 3, 3, 0, 255, 0, 0))],
  ['a_r.png', ids(0, 0, 1, 1, 0, 300, 300, 65535)],
]);
const description = parseDescription(
  { name: 'pets', classes: ['background', { name: 'cat', thing: true }, 'dog'] },
  'dataset.json',
);

async function check(
  list: string,
  described: DataDescription | null = description,
  options: DatasetOptions = {},
): Promise<ListReport> {
  const base = described ? datasetOptions(described) : {};
  const dataset = new Dataset(memoryFiles(files, '/data'), parseList(list, 'list.txt'), { ...base, ...options });
  return checkDataset(dataset, { description: described, workers: 0 });
}
const told = ({ findings }: ListReport) =>
  findings.map(({ severity, line, file, reason }) => `${severity} ${line} ${file}: ${reason}`);

describe('checkDataset', () => {
  it('finds nothing wrong with what is right, and counts it', async () => {
    let calls = 0;
    const dataset = new Dataset(
      memoryFiles(files, '/data'),
      parseList('a.jpg a_l.png\nb.png b_l.png\na.jpg\n', 'list.txt'),
    );
    const report = await checkDataset(dataset, { description: null, workers: 0, onProgress: () => calls++ });
    expect(calls).toBe(3);
    expect(told(report)).toEqual(['warning 3 a.jpg: this image is listed in line 1 too']);
    expect(report).toMatchObject({
      list: 'list.txt',
      samples: 3,
      labelled: 2,
      palettes: 1,
      unlabelled: 1,
      heights: { least: 2, most: 2 },
      widths: { least: 4, most: 4 },
      instances: null,
      regions: null,
    });
    expect(report.classes).toEqual([
      { label: 0, name: '0', pixels: 6, images: 2 },
      { label: 1, name: '1', pixels: 8, images: 2 },
      { label: null, name: 'ignored', pixels: 2, images: 2 },
    ]);
  });

  it('finds every kind of broken file, and goes on', async () => {
    const list =
      'a.jpg a_l.png\ncut.jpg\npage.jpg\nnone.jpg none.png\nb.png rgb.png\nb.png cut.jpg\nwide.png a_l.png\n';
    const found = told(await check(list)).filter((line) => line.startsWith('error'));
    expect(found.map((line) => line.replace(/(truncated JPEG|which is no format|is RGB|is a JPEG).*/, '$1'))).toEqual([
      'error 2 cut.jpg: truncated JPEG',
      'error 3 page.jpg: starts with the bytes 3c 68 74 6d, which is no format',
      'error 4 none.jpg: image: no such file in /data',
      'error 4 none.png: label: no such file in /data',
      'error 5 rgb.png: is RGB',
      'error 6 cut.jpg: is a JPEG',
      'error 7 a_l.png: label is 4x2, but its image 5x2 asks for 5x2 (width x height)',
    ]);
  });

  it('names stray values with their first pixel', async () => {
    const report = await check('a.jpg stray.png\n');
    expect(told(report).slice(1)).toEqual([
      'error 1 stray.png: holds the value 9, which is none of the 3 classes and not ignored, in 3 pixels, first at row 0, column 2',
      'error 1 stray.png: holds the value 7, which is none of the 3 classes and not ignored, in 1 pixel, first at row 1, column 0',
    ]);
    expect(report.classes.map(({ pixels }) => pixels)).toEqual([2, 1, 0, 5]);
    // By the values of the data set, where they are not the classes.
    const high = new Map([...files, ['high.png', encodeGreyPng(labels(7, 7, 7, 7, 40, 7, 7, 7))] as const]);
    const dataset = new Dataset(memoryFiles(high), parseList('a.jpg high.png', 'l'), datasetOptions(CITYSCAPES));
    const { findings } = await checkDataset(dataset, { description: CITYSCAPES, workers: 0 });
    expect(findings.find(({ severity }) => severity === 'error')?.reason).toMatch(
      /^holds the value 40, .* row 1, column 0$/,
    );
  });

  it('warns of what may be meant', async () => {
    const list = 'a.jpg a_l.png\nb.png a_l.png\na.jpg void.png\n';
    expect(told(await check(list))).toEqual([
      'warning 0 list.txt: no image has any pixel of dog',
      'warning 2 a_l.png: line 1 gives this label to another image',
      'warning 3 a.jpg: this image is listed in line 1 too',
      'warning 3 void.png: all pixels are ignored, so nothing is learnt from this image',
    ]);
    const [, palette] = told(await check('a.jpg swapped.png\n', VOC2012));
    expect(palette).toMatch(/^warning 1 swapped\.png: the palette gives the value 1 the colour of 2/);
    expect(told(await check('b.png b_l.png\n')).filter((line) => line.includes('palette'))).toEqual([]);
  });

  it('checks instances against labels', async () => {
    const good = await check('a.jpg a_l.png objects.png\n');
    expect(good.instances).toEqual({ least: 2, most: 2 });
    expect(told(good)).toEqual(['warning 0 list.txt: no image has any pixel of dog']);
    const [, ...bad] = told(await check('a.jpg a_l.png mixed.png\n'));
    expect(bad).toEqual([
      'warning 1 mixed.png: the object 3 lies on several classes',
      'warning 1 mixed.png: the object 3 lies on class 0, which is no thing',
    ]);
  });

  it('checks region masks, and where they lie', async () => {
    const regions = { replace: ['_l', '_r'] } as const;
    const report = await check('a.jpg a_l.png\nwide.png a_l.png\nb.png stray.png\n', null, { regions });
    expect(report.regions).toEqual({ least: 3, most: 3 });
    expect(told(report).filter((line) => !line.includes('label'))).toEqual([
      'error 2 a_r.png: region mask is 4x2, but its image 5x2 asks for 5x2 (width x height)',
      expect.stringMatching(/^error 3 stray\.png: line 3 of list\.txt: "_l", to be replaced by "_r"/),
    ]);
  });

  it('wants contour maps of twice the size where labels are ucm2', async () => {
    const ucm2 = parseDescription({ classes: [], labels: 'ucm2' }, 'd');
    files.set('ucm2.png', encodeGreyPng({ width: 9, height: 5, data: new Uint8Array(45) }));
    expect(told(await check('a.jpg ucm2.png\n', ucm2))).toEqual([]);
    expect(told(await check('a.jpg a_l.png\n', ucm2))).toEqual([
      'error 1 a_l.png: contour map is 4x2, but its image 4x2 asks for 9x5 (width x height)',
    ]);
    const dataset = new Dataset(memoryFiles(files), parseList('a.jpg ucm2.png', 'l'), datasetOptions(ucm2));
    expect(new Set(Array.from((await dataset.load(0)).pixels, (word) => word >>> 24))).toEqual(new Set([255]));
  });

  it('reads 16-bit labels as the encoding says', async () => {
    const panoptic = parseDescription(
      { classes: ['background', { name: 'cat', thing: true }], instances: 'panoptic' },
      'd',
    );
    files.set('panoptic.png', ids(0, 257, 257, 258, 0, 0, 65280, 1024));
    const report = await check('a.jpg panoptic.png panoptic.png\n', panoptic);
    expect(report.classes.map(({ pixels }) => pixels)).toEqual([3, 3, 2]);
    expect(report.instances).toEqual({ least: 2, most: 2 });
    expect(told(report)).toEqual([expect.stringContaining('holds the value 4, which is none of the 2 classes')]);
  });
});
