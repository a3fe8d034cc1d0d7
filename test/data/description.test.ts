import { describe, expect, it } from 'vitest';
import { CAMVID, CITYSCAPES, DESCRIPTIONS, VOC2012 } from '../../src/data/builtin_descriptions.js';
import { vocPalette } from '../../src/data/codecs.js';
import {
  backgroundOf,
  classNames,
  datasetOptions,
  encodeLabels,
  paletteOf,
  thingClasses,
} from '../../src/data/description.js';
import { formatDescription, openDescription, parseDescription } from '../../src/data/description_file.js';
import { DataError } from '../../src/data/errors.js';
import { memoryFiles } from '../../src/platform/files.js';

const folder = (files: Record<string, string>) =>
  memoryFiles(new Map(Object.entries(files).map(([name, text]) => [name, new TextEncoder().encode(text)])), '/data');
const values = (...data: number[]) => ({ width: 2, height: data.length / 2, data: Uint8Array.from(data) });

describe('a description', () => {
  it('needs no more than names', () => {
    const description = parseDescription({ classes: ['background', 'cat'] }, 'dataset.json');
    expect(description).toEqual({
      name: 'data',
      classes: [
        { name: 'background', colour: [0, 0, 0], values: [0], thing: false },
        { name: 'cat', colour: [128, 0, 0], values: [1], thing: false },
      ],
      ignore: [255],
      lists: {},
      instances: 'index',
      labels: 'classes',
      regions: null,
    });
    expect(datasetOptions(description)).toEqual({
      reading: { classes: null, instances: 'index', labels: 'classes' },
      regions: null,
    });
  });

  it('maps values to classes and back', () => {
    const description = parseDescription(
      {
        classes: [
          { name: 'road', values: [7, 8] },
          { name: 'car', colour: '#00008E', values: 26, thing: true },
        ],
        ignore: [0, 255],
        regions: 'hed/{name}.png',
      },
      'dataset.json',
    );
    const { reading, regions } = datasetOptions(description);
    expect([0, 7, 8, 26, 255, 1].map((value) => reading!.classes![value])).toEqual([255, 0, 0, 1, 255, -1]);
    expect(regions).toEqual({ template: 'hed/{name}.png' });
    expect(Array.from(encodeLabels(description, values(0, 1, 1, 255), 'p.png').data)).toEqual([7, 26, 26, 0]);
    expect(() => encodeLabels(description, values(0, 1, 0, 2), 'p.png')).toThrow(
      'p.png: holds class 2 at row 1, column 1; there are 2 classes',
    );
    expect(paletteOf(description)[1]).toEqual([0, 0, 142]);
    expect(paletteOf(description)[255]).toEqual(vocPalette()[255]);
    expect(thingClasses(description)).toEqual([false, true]);
    expect([backgroundOf(description), backgroundOf(VOC2012)]).toEqual([null, 0]);
  });

  it.each<[string, unknown, string[]]>([
    ['no object', 7, ['dataset.json: the file:']],
    ['no classes', {}, ['dataset.json: classes:']],
    ['an unknown field', { classes: [], colors: [] }, ['colors']],
    ['an unknown field of a class', { classes: [{ name: 'a', color: '#fff' }] }, ['classes[0]', 'color']],
    ['a colour', { classes: [{ name: 'a', colour: 'red' }] }, ['classes[0].colour: must be a colour']],
    ['a value', { classes: [{ name: 'a', values: [256] }] }, ['classes[0].values[0]']],
    ['a name twice', { classes: ['a', 'b', 'a'] }, ['classes[2].name: "a" is the name of class 0 too']],
    [
      'a value twice',
      { classes: ['a', { name: 'b', values: 3 }], ignore: 3 },
      ['classes[1].values: the value 3 belongs to ignore too', 'classes: 1 of 2 classes have values'],
    ],
    ['an encoding', { classes: [], instances: 'coco' }, ['instances:', 'cityscapes']],
    ['a rule', { classes: [], regions: 'hed' }, ['regions:', '{name}']],
    ['too many classes', { classes: Array.from({ length: 256 }, (_, i) => `${i}`) }, ['classes:', '255']],
  ])('names the field that is wrong: %s', (_, contents, messages) => {
    const parse = () => parseDescription(contents, 'dataset.json');
    expect(parse).toThrow(DataError);
    for (const message of messages) expect(parse).toThrow(message);
  });

  it('is written and read back unchanged', () => {
    const quoting = parseDescription({ name: 'a "b": c', classes: ['x,"y":z', 'line\nbreak'] }, 'q');
    for (const description of [...Object.values(DESCRIPTIONS), quoting])
      expect(parseDescription(JSON.parse(formatDescription(description)), 'again')).toEqual(description);
  });
});

describe('openDescription', () => {
  it('prefers dataset.json, takes classes.json, and makes do without', async () => {
    const simple = '{"classes": ["background", "cat"], "ignore": 255, "note": "older files may hold more"}';
    const both = await openDescription(
      folder({ 'dataset.json': '{"name": "x", "classes": ["a"]}', 'classes.json': simple }),
    );
    expect(classNames(both!)).toEqual(['a']);
    expect(classNames((await openDescription(folder({ 'classes.json': simple })))!)).toEqual(['background', 'cat']);
    expect(classNames((await openDescription(folder({ 'classes.json': '["p", "q"]' })))!)).toEqual(['p', 'q']);
    expect(await openDescription(folder({}))).toBeNull();
  });

  it('says what is wrong, and in which file', async () => {
    await expect(openDescription(folder({ 'dataset.json': '{' }))).rejects.toThrow('dataset.json: is not JSON');
    await expect(openDescription(folder({ 'classes.json': '{"classes": "cat"}' }))).rejects.toThrow(
      'classes.json: classes:',
    );
  });
});

describe('built-in descriptions', () => {
  it('have the classes and things that the benchmarks have', () => {
    const figures = Object.entries(DESCRIPTIONS).map(([name, description]) => [
      name,
      description.classes.length,
      thingClasses(description).filter(Boolean).length,
    ]);
    expect(figures).toEqual([
      ['voc2012', 21, 20],
      ['cityscapes', 19, 8],
      ['cityscapes-train-ids', 19, 8],
      ['camvid', 11, 3],
      ['bsds500', 0, 0],
      ['digits', 11, 10],
    ]);
  });

  it('use the colours of VOC for VOC', () => {
    expect(VOC2012.classes.map(({ colour }) => colour)).toEqual(vocPalette().slice(0, 21));
  });

  it('know every id of Cityscapes, and give the train ids', () => {
    const { classes } = datasetOptions(CITYSCAPES).reading!;
    // The ids from 0 to 33, as the benchmark numbers them for training.
    const trainIds = [
      ...[255, 255, 255, 255, 255, 255, 255, 0, 1, 255, 255, 2, 3, 4, 255, 255, 255],
      ...[5, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255, 255, 16, 17, 18],
    ];
    expect(Array.from(classes!.slice(0, 34))).toEqual(trainIds);
    expect(Array.from(classes!.slice(34, 255))).toEqual(Array(221).fill(-1));
    expect(Array.from(encodeLabels(CITYSCAPES, values(0, 18, 255, 13), 'p').data)).toEqual([7, 33, 0, 26]);
  });

  it("read CamVid's void both as it was and as 255", () => {
    const { classes } = datasetOptions(CAMVID).reading!;
    expect([0, 10, 11, 12, 255].map((value) => classes![value])).toEqual([0, 10, 255, -1, 255]);
  });
});
