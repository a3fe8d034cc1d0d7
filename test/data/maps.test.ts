/** Labels, instances and regions of a sample: what their files mean, and how they reach a batch. */
import { describe, expect, it } from 'vitest';
import { encodeGreyPng, encodeIdPng, encodePng, NO_ID } from '../../src/data/codecs.js';
import { Dataset, type DatasetOptions } from '../../src/data/dataset.js';
import { classValueOf, type InstanceEncoding, isInstance } from '../../src/data/label_reading.js';
import { parseList } from '../../src/data/lists.js';
import { Loader } from '../../src/data/loader.js';
import { parseRegionRule, regionPath } from '../../src/data/region_rule.js';
import { memoryFiles } from '../../src/platform/files.js';

const size = { width: 3, height: 2 };
const image = encodePng({ ...size, data: new Uint8Array(18) });
const grey = (...values: number[]) => encodeGreyPng({ ...size, data: Uint8Array.from(values) });
const deep = (...values: number[]) => encodeIdPng({ ...size, data: Uint16Array.from(values) });
const files = new Map<string, Uint8Array>([
  ['img/a.png', image],
  ['img/b.png', image],
  ['segcls/a.png', grey(0, 1, 2, 7, 8, 255)],
  ['segobj/a.png', grey(0, 1, 2, 2, 254, 255)],
  ['hed/a.png', deep(0, 1, 256, 300, 65534, 65535)],
  ['hed/b.png', grey(0, 1, 2, 3, 254, 255)],
  ['panoptic/a.png', deep(0, 256, 513, 1793, 514, 65280)],
  ['narrow.png', encodeGreyPng({ width: 2, height: 3, data: new Uint8Array(6) })],
]);
const dataset = (list: string, options?: DatasetOptions) =>
  new Dataset(memoryFiles(files, '/data'), parseList(list, 'list.txt'), options);
const labelsOf = (pixels: Uint32Array) => Array.from(pixels, (word) => word >>> 24);
const halves = (ids: Uint32Array | null) =>
  [0, 16].map((shift) => Array.from(ids!, (word) => (word >>> shift) & 0xffff));
/** Classes of the values 0, 1, ...; -1 for all others. */
const classes = (...known: number[]) => Int16Array.from({ length: 256 }, (_, value) => known[value] ?? -1);

describe('label values', () => {
  it('become classes', async () => {
    const reading = {
      classes: classes(255, 4, 3, -1, -1, -1, -1, 0, 1),
      instances: 'index',
      labels: 'classes',
    } as const;
    reading.classes[255] = 255;
    const { pixels, ids } = await dataset('img/a.png segcls/a.png', { reading }).load(0);
    expect(labelsOf(pixels)).toEqual([255, 4, 3, 0, 1, 255]);
    expect(ids).toBeNull();
  });

  it('that no file may hold are named, with file and pixel', async () => {
    const reading = { classes: classes(0, 1, 2, 3), instances: 'index', labels: 'classes' } as const;
    await expect(dataset('img/a.png segcls/a.png', { reading }).load(0)).rejects.toThrow(
      'segcls/a.png: holds 7 at row 1, column 0, which is neither a class nor ignored',
    );
  });

  it('are those of the panoptic labels where the file has 16 bits', async () => {
    const list = 'img/a.png panoptic/a.png panoptic/a.png';
    const reading = { classes: null, instances: 'panoptic', labels: 'classes' } as const;
    const { pixels, ids } = await dataset(list, { reading }).load(0);
    expect(labelsOf(pixels)).toEqual([0, 1, 2, 7, 2, 255]);
    expect(halves(ids)[1]).toEqual([NO_ID, NO_ID, 513, 1793, 514, NO_ID]);
    await expect(dataset(list).load(0)).rejects.toThrow('panoptic/a.png: has 16-bit labels');
    const wide = { classes: null, instances: 'cityscapes', labels: 'classes' } as const;
    await expect(dataset('img/a.png hed/a.png', { reading: wide }).load(0)).rejects.toThrow('class 256 is above 255');
  });
});

describe('instances', () => {
  it('come from the third column, without background and void', async () => {
    const { ids } = await dataset('img/a.png segcls/a.png segobj/a.png').load(0);
    expect(halves(ids)).toEqual([Array(6).fill(NO_ID), [NO_ID, 1, 2, 2, 254, NO_ID]]);
  });

  it.each<[InstanceEncoding, number, boolean, number | null]>([
    ['index', 0, false, null],
    ['index', 1, true, null],
    ['index', 255, false, null],
    ['cityscapes', 26, false, 26],
    ['cityscapes', 26000, true, 26],
    ['cityscapes', 33012, true, 33],
    ['panoptic', 5 * 256, false, 5],
    ['panoptic', 15 * 256 + 3, true, 15],
    ['panoptic', 255 * 256 + 1, false, 255],
  ])('as %s number %i: an object %s, of class %s', (encoding, value, object, label) => {
    expect(isInstance(value, encoding)).toBe(object);
    expect(classValueOf(value, encoding)).toBe(label);
  });
});

describe('regions', () => {
  const regions = parseRegionRule('segcls=hed');

  it('are read beside the labels, past 255, together with instances', async () => {
    const { pixels, ids } = await dataset('img/a.png segcls/a.png segobj/a.png', { regions }).load(0);
    expect(labelsOf(pixels)).toEqual([0, 1, 2, 7, 8, 255]);
    expect(halves(ids)).toEqual([
      [0, 1, 256, 300, 65534, 65535],
      [NO_ID, 1, 2, 2, 254, NO_ID],
    ]);
  });

  it('are found without labels, and in 8 bits have no value for none', async () => {
    const { pixels, ids } = await dataset('img/b.png', { regions: parseRegionRule('hed/{name}.png') }).load(0);
    expect(labelsOf(pixels)).toEqual(Array(6).fill(255));
    expect(halves(ids)[0]).toEqual([0, 1, 2, 3, 254, 255]);
  });

  it('reach the batch, each at the top left, with none around', async () => {
    const options = { batch: 2, crop: { height: 3, width: 4 }, canvas: { height: 3, width: 4 }, workers: 0 };
    const list = 'img/a.png segcls/a.png\nimg/b.png segcls/b.png\n';
    files.set('segcls/b.png', grey(1, 1, 1, 1, 1, 1));
    await using loader = await Loader.open(dataset(list, { regions }), options);
    const { ids } = await loader.batch(0);
    expect(ids).toMatchObject({ shape: [2, 3, 4], dtype: 'u32' });
    const none = [NO_ID, NO_ID, NO_ID, NO_ID];
    expect(halves(ids!.data as Uint32Array)[0]).toEqual(
      [[0, 1, 256, NO_ID], [300, 65534, 65535, NO_ID], none, [0, 1, 2, NO_ID], [3, 254, 255, NO_ID], none].flat(),
    );
    await using plain = await Loader.open(dataset(list), options);
    expect((await plain.batch(0)).ids).toBeNull();
  });

  it('are refused where they differ from the image in size, or lie nowhere', async () => {
    const rule = (template: string) => ({ regions: { template } });
    await expect(dataset('img/a.png', rule('narrow.png')).load(0)).rejects.toThrow(
      'narrow.png: region mask is 2x3, its image img/a.png is 3x2 (width x height)',
    );
    await expect(dataset('img/a.png', rule('none/{path}.png')).load(0)).rejects.toThrow(
      'none/img/a.png: region mask of the image listed in line 1 of list.txt: no such file',
    );
  });
});

describe('a region rule', () => {
  const entry = { image: 'leftImg8bit/train/x_1.5.jpg', label: 'segcls/sub/x.png', line: 7 };

  it('replaces in the label, or else in the image, or fills a template', () => {
    const path = (rule: string, label: string | null = entry.label) =>
      regionPath(parseRegionRule(rule), { ...entry, label }, 'list');
    expect(path('segcls=hed')).toBe('hed/sub/x.png');
    expect(path('leftImg8bit=hed', null)).toBe('hed/train/x_1.5.jpg');
    expect(path('masks/{path}.png')).toBe('masks/leftImg8bit/train/x_1.5.png');
    expect(path('masks/{name}_0.png')).toBe('masks/x_1.5_0.png');
  });

  it('takes names as they are, with what patterns would mean in them', () => {
    const odd = { image: 'a/$&{name}.jpg', label: 'segcls/$$.png', line: 1 };
    expect(regionPath(parseRegionRule('masks/{path}.png'), odd, 'list')).toBe('masks/a/$&{name}.png');
    expect(regionPath(parseRegionRule('segcls=$&'), odd, 'list')).toBe('$&/$$.png');
  });

  it('never takes the label itself for the regions', () => {
    expect(() => regionPath(parseRegionRule('hed=x'), entry, 'train+.txt')).toThrow(
      'segcls/sub/x.png: line 7 of train+.txt: "hed", to be replaced by "x" for the region mask, is not in this path',
    );
  });

  it.each(['hed', 'a=b=c', '=x', ''])('refuses %j', (text) => {
    expect(() => parseRegionRule(text)).toThrow('region masks');
  });
});
