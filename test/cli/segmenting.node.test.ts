/** What is done with a run once it is trained: prototypes, scores, predictions, explanations, through the commands. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type PartialConfig, resolveConfig } from '../../src/cli/config/config.js';
import { networkOf, objectiveOf } from '../../src/cli/config/objective.js';
import { openList } from '../../src/cli/data_folder.js';
import { openPrototypes } from '../../src/cli/prototypes.js';
import { RunFolder } from '../../src/cli/run_folder.js';
import type { SegmentExplanation } from '../../src/cli/segmenting/explanation.js';
import { outputNames } from '../../src/cli/segmenting/inputs.js';
import { objectsOf } from '../../src/cli/segmenting/objects.js';
import { Outlines } from '../../src/cli/segmenting/outlines.js';
import { readPrototypes } from '../../src/cli/segmenting/prototype_files.js';
import type { EvaluationReport } from '../../src/cli/segmenting/report.js';
import { openSegmenter, weightsOf } from '../../src/cli/segmenting/segmentation.js';
import { decodeImage, decodeLabels, encodeGreyPng, encodePalettePng, encodePng } from '../../src/data/codecs.js';
import { Dataset } from '../../src/data/dataset.js';
import { decodeLabelsAndPalette } from '../../src/data/png.js';
import { folderFiles } from '../../src/platform/files.node.js';
import { PrototypeTable } from '../../src/segsort/prototype_table.js';
import { Trainer } from '../../src/segsort/trainer.js';
import { Random } from '../../src/tensor/random.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { parseKernelOverrides } from '../../src/tensor/select.js';
import { run } from '../support/command.js';
import { testGpu } from '../support/gpu.js';

const SIDE = 24;
const CLASSES = ['background', 'green', 'blue'];
/** They compile in a fraction of the time. */
const KERNELS = ['matmul', 'conv2d', 'assignClusters', 'segmentSum', 'reduce'].map((op) => `${op}:naive`).join();

let folder: string;
const path = (...parts: string[]) => join(folder, ...parts);
const json = async (file: string) => JSON.parse(await readFile(file, 'utf8'));

beforeAll(async () => {
  vi.stubEnv('KERNEL', KERNELS);
  folder = await mkdtemp(join(tmpdir(), 'segsort-segmenting-'));
  await writeScenes(path('data'));
  await newRun('run', {});
  await newRun('pixels', { objective: 'softmax' });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** Two squares on noise, with classes and instances; the last image is broken. */
async function writeScenes(root: string): Promise<void> {
  for (const part of ['images', 'labels', 'objects']) await mkdir(join(root, part), { recursive: true });
  const size = { width: SIDE, height: SIDE };
  const lines: string[] = [];
  for (let index = 0; index < 5; index++) {
    const random = new Random({ seed: 3, stream: 50, index });
    const image = new Uint8Array(SIDE * SIDE * 3);
    const labels = new Uint8Array(SIDE * SIDE);
    const objects = new Uint8Array(SIDE * SIDE);
    for (let p = 0; p < SIDE * SIDE; p++) {
      const [y, x] = [Math.floor(p / SIDE), p % SIDE];
      const object = y < 10 && x < 10 ? 1 : y >= 13 && x >= 11 ? 2 : 0;
      objects[p] = object;
      labels[p] = object === 0 ? 0 : 1 + ((object + index) % 2);
      for (let c = 0; c < 3; c++) image[p * 3 + c] = (object > 0 && c === labels[p] ? 190 : 50) + random.integer(40);
    }
    await writeFile(join(root, 'images', `${index}.png`), encodePng({ ...size, data: image }));
    await writeFile(join(root, 'labels', `${index}.png`), encodePalettePng({ ...size, data: labels }));
    await writeFile(join(root, 'objects', `${index}.png`), encodeGreyPng({ ...size, data: objects }));
    lines.push(`images/${index}.png labels/${index}.png objects/${index}.png\n`);
  }
  const whole = await readFile(join(root, 'images', '0.png'));
  await writeFile(join(root, 'images', 'cut.png'), whole.subarray(0, whole.length - 200));
  await writeFile(join(root, 'images', 'none.jpg'), 'nothing');
  await writeFile(join(root, 'train.txt'), lines.slice(0, 3).join(''));
  await writeFile(join(root, 'val.txt'), lines.slice(3).join(''));
  await writeFile(join(root, 'plain.txt'), 'images/3.png labels/3.png\n');
  await writeFile(join(root, 'unlabelled.txt'), 'images/3.png\n');
  const classes = CLASSES.map((name, i) => ({ name, thing: i > 0, colour: ['#101010', '#00ff00', '#0000ff'][i] }));
  await writeFile(join(root, 'dataset.json'), JSON.stringify({ name: 'squares', classes }));
}

/** A run as training leaves it, but for the training: its network is as it was made. */
async function newRun(name: string, training: PartialConfig['training']): Promise<void> {
  const flags: PartialConfig = {
    data: { root: path('data'), train: 'train.txt', validation: 'val.txt', classes: CLASSES },
    network: { embedding: 8 },
    training: { steps: 1, batch: 2, crop: [16, 16], ...training },
    segments: { cells: [3, 2], kmeansIterations: 2 },
    retrieval: { neighbours: 4, stride: 2, batch: 2, prototypeImages: null },
    run: { workers: 0 },
  };
  const folder = await RunFolder.create(path(name), resolveConfig({ preset: 'digits', file: null, flags }));
  const { config } = folder;
  const runtime = new Runtime(await testGpu());
  const options = { ...config.training, mean: config.data.mean, accumulate: 1 };
  using trainer = new Trainer(runtime, networkOf(config), objectiveOf(config), options);
  await folder.write('checkpoint.safetensors', await trainer.checkpoint(1));
}

describe('segsort prototypes', () => {
  it('writes the table, and the files of the reference with instances', async () => {
    const { code, out, err } = await run('prototypes', path('run'), '--panoptic', '--npy', '--window', '16');
    expect([code, err]).toEqual([0, expect.not.stringContaining('segsort: p')]);
    const { table, list } = await readPrototypes(path('run'), 'train.txt');
    expect(out).toContain(`${table.size} prototypes of 3 images`);
    expect(list).toBe('train.txt');
    const objects = Array.from({ length: table.size }, (_, row) => table.entry(row));
    expect(new Set(objects.map(({ label, instance }) => `${label} ${instance}`))).toEqual(
      new Set(['0 -1', '1 1', '1 2', '2 1', '2 2']),
    );
    expect(new Set(objects.map(({ origin }) => origin?.image))).toEqual(
      new Set(['images/0.png', 'images/1.png', 'images/2.png']),
    );
    const pair = await readPrototypes(path('run', 'prototype_features.npy'), 'train.txt');
    expect(pair.table.features).toEqual(table.features);
    expect(pair.table.labels).toEqual(table.labels);
    expect(pair.table.entry(0)).toEqual({ label: table.entry(0).label, instance: null, origin: null });
    expect(await readdir(path('run'))).toContain('prototype_instance_labels.npy');
  });

  it.each([
    ['of a list without instances', ['run', '--panoptic', '--list', 'plain.txt'], 'has no instance maps'],
    ['of images without labels', ['run', '--list', 'unlabelled.txt'], 'unlabelled.txt has no labels to take'],
    ['of a network that gives classes', ['pixels'], 'was trained for softmax: its network gives classes'],
    ['through windows that do not fit', ['run', '--window', '15'], '--window: 15x15 does not fit this network'],
    ['through windows too far apart', ['run', '--window', '16', '--window-stride', '17'], 'must be 1 to 16x16 pixels'],
  ])('refuses those %s', async (_, [name, ...flags], message) => {
    const { code, err } = await run('prototypes', path(name!), ...flags);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });
});

describe('segsort evaluate', () => {
  it('measures everything, in one file and a table', async () => {
    const views = ['--window', '16', '--scales', '1,0.75', '--flip'];
    const { code, out } = await run('evaluate', path('run'), '--boundaries', '--panoptic', '--sheet', '0', ...views);
    expect(code).toBe(0);
    const report: EvaluationReport = await json(path('run', 'evaluation.json'));
    expect(report).toMatchObject({
      ...{ images: 2, classifier: 'retrieval', neighbours: 4, stride: 2 },
      views: { scales: [1, 0.75], mirror: true, window: [16, 16], windowStride: null },
    });
    const counted = report.confusion.flat().reduce((a, b) => a + b, 0);
    expect(counted).toBe(2 * SIDE * SIDE);
    const right = CLASSES.reduce((sum, _, i) => sum + report.confusion[i]![i]!, 0);
    expect(report.pixelAccuracy).toBeCloseTo(right / counted, 12);
    expect(report.oracle!.pixelAccuracy!).toBeGreaterThanOrEqual(report.commonestClass.pixelAccuracy!);
    expect(report.regions!.segmentsPerImage).toBeGreaterThan(1);
    expect(report.boundaries!.trimap.at(-1)!.pixelAccuracy).toBeCloseTo(report.pixelAccuracy!, 12);
    for (const { boundaryF, panoptic } of report.classes) {
      expect(boundaryF).toBeDefined();
      expect(panoptic).toBeDefined();
    }
    for (const title of ['IoU in %', 'clusters', 'boundary F in %', 'near contours, in %', 'panoptic, in %'])
      expect(out).toContain(title);
    const csv = (await readFile(path('run', 'confusion.csv'), 'utf8')).split('\r\n');
    expect(csv[0]).toBe('true class / predicted,background,green,blue,none');
    expect(csv[2]).toBe(['green', ...report.confusion[1]!].join());
    expect(await readdir(path('run'))).not.toContain('contact-sheet.png');
  });

  it('shows the best and the worst images', async () => {
    const flags = ['--list', 'train.txt', '--sheet', '2', '--sheet-of', 'extremes', '--json'];
    const { code, out } = await run('evaluate', path('run'), ...flags);
    expect(code).toBe(0);
    const { perImage, sheet }: EvaluationReport = JSON.parse(out);
    const names = perImage.map(({ name }) => name);
    expect(names).toEqual(['images/0.png', 'images/1.png', 'images/2.png']);
    const scores = perImage.map(({ meanIou }) => meanIou!);
    expect(sheet.map(({ meanIou }) => meanIou)).toEqual([Math.max(...scores), Math.min(...scores)]);
    for (const { image, meanIou, segment } of sheet) {
      expect(scores[names.indexOf(image)]).toBe(meanIou);
      expect(segment!.nearest).toHaveLength(4);
      expect(CLASSES).toContain(segment!.nearest[0]!.class);
    }
    expect(await readdir(path('run'))).toContain('contact-sheet.png');
  });

  it('takes a checkpoint other than the last, and keeps what is made with it apart', async () => {
    const best = path('run', 'best.safetensors');
    await copyFile(path('run', 'checkpoint.safetensors'), best);
    const early = await run('evaluate', best, '--sheet', '0');
    expect([early.code, early.err]).toEqual([2, expect.stringContaining(`segsort prototypes ${best}`)]);
    expect((await run('prototypes', best)).code).toBe(0);
    expect((await run('evaluate', best, '--sheet', '0')).code).toBe(0);
    expect((await readdir(path('run', 'best'))).sort()).toEqual([
      'confusion.csv',
      'evaluation.json',
      'prototypes.safetensors',
    ]);
    const missing = await run('predict', path('run', 'none.safetensors'), path('data', 'images'));
    expect([missing.code, missing.err]).toEqual([2, expect.stringContaining('none.safetensors')]);
  });

  it('searches prototypes of the very weights and classes alone', async () => {
    const folder = await RunFolder.open(path('run'));
    const found = folder.at(path('run', 'best.safetensors'));
    const weights = await weightsOf(found);
    const { table } = await openPrototypes(found, weights);
    const own = found.prototypes;
    const bytes = await readFile(own);

    // The best of later steps, under the same name.
    const later = Uint8Array.from(weights.bytes);
    later[later.length - 1]! ^= 1;
    await writeFile(weights.file, later);
    const stale = await run('evaluate', weights.file, '--sheet', '0');
    expect([stale.code, stale.err]).toEqual([
      2,
      expect.stringContaining(
        `${own} was made by other weights of step 1, and ${weights.file} holds those of step 1: extract them anew with \`segsort prototypes ${weights.file}\``,
      ),
    ]);
    // Whoever names them is told, no more.
    const said = vi.spyOn(console, 'error').mockReturnValue();
    const changed = await weightsOf(found);
    expect((await openPrototypes(found, changed, own)).table.size).toBe(table.size);
    expect(said).toHaveBeenCalledWith(expect.stringContaining('was made by other weights'));
    said.mockRestore();
    await writeFile(weights.file, weights.bytes);

    const problems: [Uint8Array, string][] = [
      [table.serialize(), 'does not say which weights made it: extract them anew with'],
      [table.serialize({ classes: '["a", "b"]' }), 'is of 2 classes, and the run has 3 classes'],
      [table.serialize({ classes: '{' }), 'is of unknown classes, and the run has 3 classes'],
    ];
    for (const [contents, message] of problems) {
      await writeFile(own, contents);
      await expect(openPrototypes(found, weights)).rejects.toThrow(`${own} ${message}`);
    }
    await writeFile(own, bytes);
    const foreign = new PrototypeTable(table.channels);
    foreign.push(table.feature(0), { ...table.entry(0), label: 30 });
    await writeFile(path('foreign.safetensors'), foreign.serialize());
    await expect(openPrototypes(found, weights, path('foreign.safetensors'))).rejects.toThrow(
      'foreign.safetensors holds the label 30, and the run has 3 classes: it is of another data set',
    );
  });

  it('scores a network that classifies pixels, without prototypes', async () => {
    const { code, out } = await run('evaluate', path('pixels'), '--json', '--sheet', '0', '--scales', '1,0.75');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      ...{ classifier: 'softmax', prototypes: null, neighbours: null, oracle: null, regions: null, images: 2 },
    });
  });

  it('names the label file that holds what is no class', async () => {
    const labels = { width: SIDE, height: SIDE, data: new Uint8Array(SIDE * SIDE).fill(9, 5) };
    await writeFile(path('data', 'labels', 'stray.png'), encodeGreyPng(labels));
    await writeFile(path('data', 'stray.txt'), 'images/3.png labels/3.png\nimages/4.png labels/stray.png\n');
    const { code, err } = await run('evaluate', path('pixels'), '--list', 'stray.txt', '--sheet', '0');
    expect([code, err]).toEqual([1, expect.stringContaining('labels/stray.png: holds the label 9, which is none of')]);
  });

  it.each([
    ['images without labels', ['--list', 'unlabelled.txt'], 'unlabelled.txt has no labels to score by'],
    ['objects that the list does not have', ['--panoptic', '--list', 'plain.txt'], 'has no instance maps'],
    ['scales without the image as it is', ['--scales', '0.5,2'], 'scales must include 1'],
    ['prototypes that are not there', ['--prototypes', 'nowhere'], 'there are no prototypes at nowhere'],
  ])('refuses %s', async (_, flags, message) => {
    const { code, err } = await run('evaluate', path('run'), ...flags);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });
});

describe('segsort predict', () => {
  it('goes on past images that cannot be read, and names them at the end', async () => {
    const out = path('out');
    const patterns = [path('data', 'images', '{3,4,cut}.png'), path('data', 'images', 'none.jpg')];
    const found = await run('predict', path('run'), ...patterns, '--out', out, '--panoptic', '--colour', '--overlay');
    expect(found.code).toBe(1);
    expect(found.out).toContain('2 images segmented');
    expect(found.err).toContain('segsort: 2 of 4 images could not be read:');
    expect(found.err).toMatch(/\n {2}none.jpg: /);
    expect(found.err).toMatch(/\n {2}cut.png: /);
    const files = ['3', '4'].flatMap((name) =>
      ['-colour', '-overlay', '-panoptic', ''].map((end) => `${name}${end}.png`),
    );
    expect((await readdir(out)).sort()).toEqual([...files, 'panoptic.json'].sort());

    const { labels, palette } = decodeLabelsAndPalette(await readFile(join(out, '3.png')), '3.png');
    expect([labels.width, labels.height]).toEqual([SIDE, SIDE]);
    expect(palette!.slice(0, 3).map((colour) => colour.slice(0, 3))).toEqual([
      [16, 16, 16],
      [0, 255, 0],
      [0, 0, 255],
    ]);
    const { annotations, images, categories } = await json(join(out, 'panoptic.json'));
    expect(images.map(({ file_name }: { file_name: string }) => file_name)).toEqual(['3.png', '4.png']);
    expect(categories).toMatchObject([{ isthing: 0 }, { name: 'green', isthing: 1, color: [0, 255, 0] }, { id: 2 }]);
    const picture = decodeImage(await readFile(join(out, '3-panoptic.png')), 'panoptic');
    const areas = new Map<number, number>();
    for (let p = 0; p < SIDE * SIDE; p++) {
      const id = picture.data[p * 3]! + 256 * picture.data[p * 3 + 1]! + 65536 * picture.data[p * 3 + 2]!;
      expect(Math.floor(id / 1000)).toBe(labels.data[p]);
      areas.set(id, (areas.get(id) ?? 0) + 1);
    }
    for (const { id, area, category_id } of annotations[0].segments_info) {
      expect(area).toBe(areas.get(id));
      expect(category_id).toBe(Math.floor(id / 1000));
    }
    expect(annotations[0].segments_info).toHaveLength(areas.size);
  });

  it('writes grey labels, and takes the prototypes of the reference', async () => {
    // Labels are not looked at: those of this list don't exist.
    await writeFile(path('data', 'bare.txt'), 'images/3.png labels/none.png\n');
    const flags = ['--list', 'bare.txt', '--out', path('grey'), '--grey'];
    const features = path('run', 'prototype_features.npy');
    const { code } = await run('predict', path('run'), ...flags, '--prototypes', features);
    expect(code).toBe(0);
    const { labels, palette } = decodeLabelsAndPalette(await readFile(path('grey', 'images', '3.png')), '3.png');
    expect(palette).toBeNull();
    expect(labels.data).toEqual(decodeLabels(await readFile(path('out', '3.png')), '3.png').data);
  });

  it('gives the results of images that are named alike names of their own', async () => {
    const entries = ['a.jpg', 'a-overlay.png', 'b.png'].map((image, i) => ({ image, label: null, line: i + 1 }));
    const dataset = new Dataset(folderFiles(path('data')), { file: 'list', entries });
    const { config } = await RunFolder.open(path('run'));
    const names = (...suffixes: string[]) => outputNames(dataset, config, { folder: path('names'), suffixes });
    expect(await names('.png')).toEqual(['a', 'a-overlay', 'b']);
    expect(await names('.png', '-overlay.png')).toEqual(['a.jpg', 'a-overlay.png', 'b']);
  });

  it('counts the pixels of the least object in the image', async () => {
    const flags = { panoptic: true, objects: 'touching', objectSimilarity: -1, leastObject: 36 } as const;
    const { config } = await RunFolder.open(path('run'));
    expect(await objectsOf(flags, config, null)).toMatchObject({ things: [1, 2], leastPixels: 9 });
  });

  it('does not overwrite the images that it reads', async () => {
    const images = path('data', 'images');
    const { code, err } = await run('predict', path('run'), join(images, '3.png'), '--out', images);
    expect([code, err]).toEqual([2, expect.stringContaining('is an image of the data set; name another folder')]);
    const { err: nothing } = await run('predict', path('run'), join(images, '*.bmp'));
    expect(nothing).toContain('no .jpg, .jpeg or .png matches');
  });

  it('does not overwrite labels, nor what it was not told to', async () => {
    await mkdir(path('data', 'flat'));
    await copyFile(path('data', 'images', '3.png'), path('data', 'flat', 'a.jpg'));
    await copyFile(path('data', 'labels', '3.png'), path('data', 'flat', 'a.png'));
    await writeFile(path('data', 'flat.txt'), 'flat/a.jpg flat/a.png\n');
    await writeFile(path('data', 'outside.txt'), '../data/flat/a.jpg\n');
    const truth = await readFile(path('data', 'labels', '3.png'));
    const predict = (...args: string[]) => run('predict', path('pixels'), ...args);

    const labels = await predict('--list', 'flat.txt', '--out', path('data'), '--force');
    expect([labels.code, labels.err]).toEqual([
      2,
      expect.stringContaining('flat/a.png is a label file of the data set'),
    ]);
    const outside = await predict('--list', 'outside.txt', '--out', path('elsewhere'));
    expect([outside.code, outside.err]).toEqual([2, expect.stringContaining('data/flat/a.png would lie outside')]);
    const image = path('data', 'images', '3.png');
    const named = await predict(image, '--out', path('data', 'labels'));
    expect([named.code, named.err]).toEqual([2, expect.stringContaining('labels has 3.png already')]);
    for (const file of [path('data', 'labels', '3.png'), path('data', 'flat', 'a.png')])
      expect(await readFile(file)).toEqual(truth);

    expect((await predict(image, '--out', path('own'))).code).toBe(0);
    const again = await predict(image, '--out', path('own'));
    expect([again.code, again.err]).toEqual([2, expect.stringContaining('or write over them with --force')]);
    expect((await predict(image, '--out', path('own'), '--force')).code).toBe(0);
    // The run's own folder is always written anew.
    for (let time = 0; time < 2; time++) expect((await predict(image)).code).toBe(0);
  });
});

describe('segsort explain', () => {
  it('writes over no file unless told to', async () => {
    await mkdir(path('told', 'images'), { recursive: true });
    await writeFile(path('told', 'images', '3.json'), '{}');
    const { code, err } = await run('explain', path('run'), '--list', 'plain.txt', '--out', path('told'));
    expect([code, err]).toEqual([2, expect.stringContaining('told has images/3.json already')]);
  });

  it('draws the training segments behind every segment, and writes them as JSON', async () => {
    const { code, out } = await run('explain', path('run'), '--list', 'plain.txt', '--nearest', '2');
    expect(code).toBe(0);
    expect(out).toContain('1 images explained');
    const base = path('run', 'explanations', 'images', '3');
    const explained = await json(`${base}.json`);
    expect(explained).toMatchObject({ image: 'images/3.png', height: SIDE, width: SIDE });
    const segments: SegmentExplanation[] = explained.segments;
    expect(segments.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
    const { table } = await readPrototypes(path('run'), 'train.txt');
    for (const { label, nearest, votes, box } of segments) {
      expect(nearest).toHaveLength(4);
      expect(votes.reduce((sum, { count }) => sum + count, 0)).toBe(4);
      expect(votes[0]!.label).toBe(label);
      expect(box.bottom).toBeLessThanOrEqual(SIDE);
      for (const [i, { prototype, similarity, image, box: own }] of nearest.entries()) {
        expect({ image, box: own }).toMatchObject({
          image: table.entry(prototype).origin!.image,
          box: table.entry(prototype).origin!.box,
        });
        if (i > 0) expect(similarity).toBeLessThanOrEqual(nearest[i - 1]!.similarity);
      }
    }
    const picture = decodeImage(await readFile(`${base}.png`), 'explanation');
    expect(picture.height).toBeGreaterThan(segments.length * 128);
  });
});

it('finds the very segments again that prototypes were made from', async () => {
  const found = await RunFolder.open(path('run'));
  const { table } = await readPrototypes(path('run'), 'train.txt');
  const source = await openList(path('data'), 'train.txt', 'list');
  const gpu = await testGpu();
  const session = { gpu, runtime: new Runtime(gpu, { kernels: parseKernelOverrides(KERNELS) }) };
  const views = { scales: [1], mirror: false, window: [16, 16] } as const;
  using segmenter = await openSegmenter({ session, config: found.config, views }, await weightsOf(found), [source]);
  const outlines = new Outlines(segmenter, source, table);
  for (let row = 0; row < table.size; row++) {
    const { origin } = table.entry(row);
    const { width, height, data } = (await outlines.of(row, source.names.indexOf(origin!.image)))!;
    // The segmentation has one pixel for two of the image each way.
    const even = Array.from(data).filter((inside, p) => inside && p % 2 === 0 && Math.floor(p / width) % 2 === 0);
    expect([width, height, even.length]).toEqual([SIDE, SIDE, origin!.pixels]);
  }
  const strange = new PrototypeTable(table.channels);
  strange.push(
    table.feature(0).map((value) => -value),
    table.entry(0),
  );
  expect(await new Outlines(segmenter, source, strange).of(0, 0)).toBeNull();
});
