/** Runs of several stages, with everything that is watched and kept of them; every objective. */
import { cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import type { StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { type PartialConfig, resolveConfig } from '../../src/cli/config/config.js';
import { networkOf, objectiveOf } from '../../src/cli/config/objective.js';
import { RunFolder } from '../../src/cli/run_folder.js';
import type { Session } from '../../src/cli/session.js';
import { checkClasses, openTrainingSet } from '../../src/cli/training/data.js';
import { photoRegions } from '../../src/cli/training/region_masks.js';
import { trainRun } from '../../src/cli/training/run.js';
import { Dataset } from '../../src/data/dataset.js';
import { parseDescription } from '../../src/data/description_file.js';
import { decodeIdPng, decodePng } from '../../src/data/png.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { readEvents } from '../support/event_reader.js';
import { testGpu } from '../support/gpu.js';
import { PLAIN_KERNELS } from '../support/plain_kernels.js';
import { readMetrics, readValidation } from '../support/run_lines.js';
import { SIDE, SQUARE_CLASSES, writeSquares } from '../support/squares.js';

let folder: string;
let session: Session;
const said: string[] = [];

beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  vi.spyOn(console, 'error').mockImplementation((text) => void said.push(String(text)));
  folder = await mkdtemp(join(tmpdir(), 'segsort-training-'));
  await writeSquares(join(folder, 'data'));
  const gpu = await testGpu();
  session = { gpu, runtime: new Runtime(gpu, { kernels: PLAIN_KERNELS }) };
});
afterAll(async () => {
  session.runtime[Symbol.dispose]();
  await rm(folder, { recursive: true, force: true });
});

function newRun(name: string, changes: PartialConfig = {}): Promise<RunFolder> {
  const flags: PartialConfig = {
    data: {
      root: join(folder, 'data'),
      train: 'train.txt',
      validation: 'val.txt',
      classes: SQUARE_CLASSES,
      ...changes.data,
    },
    network: { embedding: 8, ...changes.network },
    training: { steps: 3, batch: 2, crop: [16, 16], learningRate: 0.02, scale: [0.8, 1.2], ...changes.training },
    segments: { cells: [2, 2], kmeansIterations: 3, banks: 1, capacity: 12 },
    retrieval: { neighbours: 3, stride: 2, batch: 2, prototypeImages: null },
    run: { logEvery: 1, checkpointEvery: 2, workers: 0, ...changes.run },
  };
  return RunFolder.create(join(folder, name), resolveConfig({ preset: 'digits', file: null, flags }));
}

const start = { resume: false, debugNan: false };
const tensorsOf = async (file: string) => parseSafetensors(new Uint8Array(await readFile(file)), file);
/** The largest between numbers in the same places. */
const difference = (a: StoredTensor['data'] | Float32Array, b: StoredTensor['data'] | Float32Array) => {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(Number(a[i]) - Number(b[i])));
  return largest;
};
const metricsOf = async (run: RunFolder) => (await readMetrics(run)).map(({ seconds: _, ...line }) => line);

describe('a run of two stages', () => {
  let whole: RunFolder;
  const settings: PartialConfig = {
    training: { stages: [{ list: 'val.txt', steps: 4, learningRate: 1e-9, newHead: true }] },
    run: { validateEvery: 5, validateImages: 2, validatePrototypes: 4, keep: 2, tensorboard: true },
  };

  beforeAll(async () => {
    whole = await newRun('whole', settings);
    expect(await trainRun(session, { run: whole, ...start })).toMatchObject({ steps: 7, complete: true });
  });

  it('keeps the last checkpoints, that of the first stage, and the best', async () => {
    const files = await readdir(whole.folder);
    expect(files.filter((name) => !name.startsWith('events')).sort()).toEqual([
      'best.safetensors',
      'checkpoint.safetensors',
      'checkpoints',
      'config.json',
      'environment.json',
      'metrics.jsonl',
      'stage-1.safetensors',
      'validation.jsonl',
    ]);
    expect((await readdir(whole.path('checkpoints'))).sort()).toEqual(['step-6.safetensors', 'step-7.safetensors']);
    const stepOf = async (name: string) => (await tensorsOf(whole.path(name))).metadata.step;
    expect(await stepOf('checkpoint.safetensors')).toBe('7');
    expect(await stepOf('stage-1.safetensors')).toBe('3');
    expect(await stepOf('checkpoints/step-6.safetensors')).toBe('6');
    const scores = await readValidation(whole);
    const best = scores.reduce((a, b) => (b.meanIou! > a.meanIou! ? b : a));
    expect(await stepOf('best.safetensors')).toBe(`${best.step}`);
  });

  it('scores held-out images every so many steps, and at the end of each stage', async () => {
    const scores = await readValidation(whole);
    expect(scores.map(({ step }) => step)).toEqual([3, 5, 7]);
    for (const { meanIou, pixelAccuracy, oracleMeanIou, images, prototypes } of scores) {
      expect(images).toBe(2);
      expect(prototypes).toBeGreaterThanOrEqual(8);
      expect(meanIou).toBeGreaterThan(0);
      expect(oracleMeanIou).toBeGreaterThanOrEqual(meanIou!);
      expect(pixelAccuracy).toBeLessThanOrEqual(1);
    }
  });

  it('begins the second with the weights of the first, a new head, its own rate and no momenta', async () => {
    const lines = await readMetrics(whole);
    expect(lines.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const rates = lines.map(({ learningRate }) => learningRate);
    expect(rates[0]).toBe(0.02);
    expect(rates[3]).toBe(1e-9);
    expect(rates[4]).toBeCloseTo(1e-9 * 0.75 ** 0.9, 15);
    const first = await tensorsOf(whole.path('stage-1.safetensors'));
    const second = await tensorsOf(whole.checkpoint);
    const { parameters } = networkOf(whole.config);
    // At this rate weights stay as they were at the start of the stage.
    for (const [index, parameter] of parameters.entries()) {
      if (parameter.role === 'statistic') continue;
      const now = second.tensors.get(parameter.name)!.data;
      const before = first.tensors.get(parameter.name)!.data;
      const from = parameter.part === 'head' ? parameter.initialValues(whole.config.training.seed, index) : before;
      expect(difference(now, from), parameter.name).toBeLessThan(1e-7);
      if (parameter.part === 'head' && parameter.role === 'weights')
        expect(difference(now, before), parameter.name).toBeGreaterThan(1e-4);
    }
    expect(
      said.some((line) =>
        /^weights of \S+checkpoint\.safetensors \(.*\): \d+ tensors loaded\n {2}\d+ parameters of the head start anew/.test(
          line,
        ),
      ),
    ).toBe(true);
  });

  it.each([
    ['at the end of the first stage', 'stage-1.safetensors', 3],
    ['in the middle of the second', 'checkpoints/step-6.safetensors', 6],
  ])('goes on %s, bit for bit', async (_, name, step) => {
    const copy = join(folder, `copy-${step}`);
    await cp(whole.folder, copy, { recursive: true });
    const { run, checkpoint } = await RunFolder.find(join(copy, name));
    expect(run.folder).toBe(copy);
    const outcome = await trainRun(session, { run, checkpoint, resume: true, debugNan: false });
    expect(outcome).toMatchObject({ steps: 7, complete: true });
    expect((await readFile(run.checkpoint)).equals(await readFile(whole.checkpoint))).toBe(true);
    expect(await metricsOf(run)).toEqual(await metricsOf(whole));
    expect(await readValidation(run)).toEqual(await readValidation(whole));
    expect((await readdir(run.path('checkpoints'))).sort()).toEqual(['step-6.safetensors', 'step-7.safetensors']);
    // TensorBoard is told that the run was taken back.
    const files = (await readdir(copy)).filter((file) => file.startsWith('events')).sort();
    expect(files).toHaveLength(2);
    const again = await Promise.all(files.map(async (file) => readEvents(await readFile(join(copy, file)))));
    expect(again.flat().filter((event) => event.sessionStatus === 1)).toMatchObject([{ step: step + 1 }]);
  });

  it('scores what an earlier start did not get to', async () => {
    const copy = join(folder, 'unscored');
    await cp(whole.folder, copy, { recursive: true });
    const { run } = await RunFolder.find(copy);
    const lines = await readValidation(run, 5);
    await run.write('validation.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const outcome = await trainRun(session, { run, resume: true, debugNan: false });
    expect(outcome).toMatchObject({ steps: 7, complete: true });
    expect(await readValidation(run)).toEqual(await readValidation(whole));
    expect(await metricsOf(run)).toEqual(await metricsOf(whole));
  });

  it('writes scalars and pictures for TensorBoard', async () => {
    const [name] = (await readdir(whole.folder)).filter((file) => file.startsWith('events.out.tfevents.'));
    const [first, ...events] = readEvents(await readFile(whole.path(name!)));
    expect(first).toMatchObject({ fileVersion: 'brain.Event:2' });
    const scalars = (tag: string) =>
      events.flatMap(({ step, values }) =>
        values.filter((each) => each.tag === tag).map(({ scalar }) => [step, scalar]),
      );
    const float = Math.fround;
    const lines = await readMetrics(whole);
    expect(scalars('training/loss')).toEqual(lines.map(({ step, loss }) => [step, float(loss)]));
    expect(scalars('training/learning_rate').map(([, rate]) => rate)).toEqual(
      lines.map(({ learningRate }) => float(learningRate)),
    );
    const scores = await readValidation(whole);
    expect(scalars('validation/mean_iou')).toEqual(scores.map(({ step, meanIou }) => [step, float(meanIou!)]));
    expect(scalars('training/images_per_second').length).toBeGreaterThan(0);
    const images = events.flatMap(({ values }) => values.filter(({ image }) => image));
    expect(images.map(({ tag }) => tag)).toEqual(
      scores.flatMap(() => ['validation/1 images/6.png', 'validation/2 images/7.png']),
    );
    for (const { image } of images) {
      const { width, height, data } = decodePng(image!.png, 'picture');
      // Image, truth, prediction and embedding.
      expect([width, height]).toEqual([4 * SIDE + 12, SIDE]);
      expect([image!.width, image!.height, image!.colourSpace]).toEqual([width, height, 3]);
      expect(new Set(data).size).toBeGreaterThan(20);
    }
  });
});

describe('objectives', () => {
  it.each([
    ['softmax', { accumulate: 2, batchNorm: 'global' }, ['accuracy']],
    ['aaf', {}, ['accuracy', 'crossEntropy', 'affinity']],
  ] as const)('%s is trained, scored, and resumed bit for bit', async (objective, training, figures) => {
    const run = await newRun(objective, {
      training: { objective, steps: 2, ...training },
      run: { checkpointEvery: 1, keep: 2, validateEvery: 9, validateImages: 1, tensorboard: objective === 'aaf' },
    });
    await trainRun(session, { run, ...start });
    const lines = await readMetrics(run);
    for (const line of lines) {
      expect(Object.keys(line)).toEqual(['step', 'loss', 'learningRate', 'validPixels', ...figures, 'seconds']);
      expect(line.loss).toBeGreaterThan(0);
    }
    expect(await readValidation(run)).toMatchObject([{ step: 2, images: 1, prototypes: null, oracleMeanIou: null }]);
    const expected = await readFile(run.checkpoint);
    const checkpoint = run.path('checkpoints/step-1.safetensors');
    await trainRun(session, { run, checkpoint, resume: true, debugNan: false });
    expect((await readFile(run.checkpoint)).equals(expected)).toBe(true);
  });

  it.each([
    ['segsort', 'segsort', 8],
    ['segsort-unsupervised', 'segsort-unsupervised', 8],
    ['softmax', 'softmax', 3],
    ['affinity', 'affinity', 3],
    ['aaf', 'adaptive-affinity', 3],
  ] as const)('%s is %s, with %i outputs', async (objective, name, outputs) => {
    const { config } = await newRun(`name-${objective}`, { training: { objective } });
    expect(objectiveOf(config).name).toBe(name);
    expect(networkOf(config).spec.outputs).toBe(outputs);
  });

  it('segsort-unsupervised is trained on region masks', async () => {
    const run = await newRun('unsupervised', {
      data: { regions: 'labels=regions' },
      training: { objective: 'segsort-unsupervised', steps: 2 },
    });
    await trainRun(session, { run, ...start });
    for (const { segments, loss } of await readMetrics(run)) {
      // Of two crops, each with two or three.
      expect(segments).toBeGreaterThanOrEqual(2);
      expect(segments).toBeLessThanOrEqual(6);
      expect(loss).toBeGreaterThan(0);
    }
  });
});

describe('weights to start from', () => {
  it('are loaded before the first step, with or without the head', async () => {
    const weights = join(folder, 'whole', 'stage-1.safetensors');
    const one = { steps: 1, learningRate: 1e-9 };
    const given = await tensorsOf(weights);
    const earlier = said.length;
    for (const newHead of [false, true]) {
      const run = await newRun(`from-weights-${newHead}`, { network: { weights, newHead }, training: one });
      await trainRun(session, { run, ...start });
      const { tensors } = await tensorsOf(run.checkpoint);
      const same = (part: 'backbone' | 'head') =>
        networkOf(run.config)
          .parameters.filter((parameter) => parameter.part === part && parameter.role === 'weights')
          .every(({ name }) => difference(tensors.get(name)!.data, given.tensors.get(name)!.data) < 1e-6);
      expect(same('backbone')).toBe(true);
      expect(same('head')).toBe(!newHead);
    }
    const reports = said.slice(earlier).filter((line) => line.startsWith(`weights of ${weights}`));
    expect(reports.map((report) => /parameters of the head start anew/.test(report))).toEqual([false, true]);
  });
});

describe('the training set', () => {
  const config = async (name: string, data: PartialConfig['data']) =>
    (await newRun(name, { data, training: { objective: 'segsort-unsupervised' } })).config;

  it('names the first region mask that is not there', async () => {
    await expect(openTrainingSet(await config('no-masks', { regions: 'labels=hed' }))).rejects.toThrow(
      /no region mask hed\/0\.png in .* where labels=hed says .* --regions photo/,
    );
  });

  it('makes region masks of photos once, and keeps them', async () => {
    const options = { root: join(folder, 'data'), regionsPerImage: 6, workers: 0, cache: join(folder, 'cache') };
    const all = await openTrainingSet(await config('photo', { regions: 'labels=regions' }));
    const dataset = new Dataset(all.source, { ...all.list, entries: all.list.entries.slice(3, 4) });
    const rule = await photoRegions(dataset, options);
    const path = (rule as { template: string }).template.replace('{path}', 'images/3');
    const { width, height, data: ids } = decodeIdPng(await readFile(path), path);
    expect([width, height]).toEqual([SIDE, SIDE]);
    expect(new Set(ids).size).toBeGreaterThan(1);
    expect(Math.max(...ids)).toBeLessThan(6);
    const { mtimeMs } = await stat(path);
    expect(await photoRegions(dataset, options)).toEqual(rule);
    expect((await stat(path)).mtimeMs).toBe(mtimeMs);
    expect(await photoRegions(dataset, { ...options, regionsPerImage: 3 })).not.toEqual(rule);
  });

  it('refuses classes that are not those which the data set maps its labels to', () => {
    const classes = [
      { name: 'road', values: [7] },
      { name: 'car', values: [26] },
    ];
    const description = parseDescription({ classes }, 'dataset.json');
    expect(() => checkClasses(description, ['road', 'car'], 'streets')).not.toThrow();
    expect(() => checkClasses(description, ['road', 'car', 'sky'], 'streets')).toThrow(
      'the run has 3 (road, car, sky) classes, and the dataset.json in streets gives label values the meaning of 2 (road, car)',
    );
    // Values that are classes as they are may be told apart otherwise.
    const plain = parseDescription({ classes: ['road', 'car'] }, 'dataset.json');
    expect(() => checkClasses(plain, ['road', 'car', 'sky'], 'streets')).not.toThrow();
  });
});
