import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import { serializeSafetensors } from '../../src/checkpoints/safetensors_writer.js';
import { type PartialConfig, resolveConfig } from '../../src/cli/config/config.js';
import { openList } from '../../src/cli/data_folder.js';
import { evaluateRun } from '../../src/cli/evaluate.js';
import { predictImages } from '../../src/cli/predict.js';
import { extractPrototypes, openPrototypes, savePrototypes } from '../../src/cli/prototypes.js';
import { RunFolder } from '../../src/cli/run_folder.js';
import { imagesOf } from '../../src/cli/segmenting/inputs.js';
import { weightsOf } from '../../src/cli/segmenting/segmentation.js';
import type { Session } from '../../src/cli/session.js';
import type { Start } from '../../src/cli/training/environment.js';
import { trainRun } from '../../src/cli/training/run.js';
import { decodeLabels } from '../../src/data/codecs.js';
import { decodePng } from '../../src/data/png.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { run as command } from '../support/command.js';
import { testGpu } from '../support/gpu.js';
import { readMetrics } from '../support/run_lines.js';
import { SIDE, SQUARE_CLASSES, writeSquares } from '../support/squares.js';

/** The naive kernels compile in a fraction of the time, and these images are tiny. */
const KERNELS = { matmul: 'naive', conv2d: 'naive', conv2dInputGrad: 'naive', conv2dFilterGrad: 'naive' };

let folder: string;
let session: Session;
let whole: RunFolder;

beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  folder = await mkdtemp(join(tmpdir(), 'segsort-run-'));
  await writeSquares(join(folder, 'data'));
  const gpu = await testGpu();
  session = { gpu, runtime: new Runtime(gpu, { kernels: KERNELS }) };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function newRun(
  name: string,
  training: PartialConfig['training'] = {},
  logging: PartialConfig['run'] = {},
): Promise<RunFolder> {
  const flags: PartialConfig = {
    data: {
      root: join(folder, 'data'),
      train: 'train.txt',
      validation: 'val.txt',
      classes: SQUARE_CLASSES,
    },
    network: { embedding: 8 },
    training: { steps: 6, batch: 2, crop: [16, 16], learningRate: 0.02, scale: [0.8, 1.2], mirror: true, ...training },
    segments: { cells: [2, 2], kmeansIterations: 3, banks: 2, capacity: 12 },
    retrieval: { neighbours: 3, stride: 2, batch: 2, prototypeImages: null },
    run: { logEvery: 1, checkpointEvery: 2, workers: 0, ...logging },
  };
  return RunFolder.create(join(folder, name), resolveConfig({ preset: 'digits', file: null, flags }));
}

const start = { resume: false, debugNan: false };
const bytesOf = (run: RunFolder) => readFile(run.checkpoint);
const metricsOf = async (run: RunFolder) => (await readMetrics(run)).map(({ seconds: _, ...line }) => line);
const readStarts = async (run: RunFolder): Promise<Start[]> =>
  JSON.parse(await readFile(run.path('environment.json'), 'utf8')).starts;
const stepOf = async (run: RunFolder) =>
  parseSafetensors(new Uint8Array(await bytesOf(run)), run.checkpoint).metadata.step;

const again = ({ folder }: RunFolder) => `\`segsort train --resume ${folder}\` begins again with the first step.`;

/** Lets something happen in place of writing the checkpoint for the `count`-th time. */
function atCheckpoint(run: RunFolder, count: number, instead: (write: () => Promise<string>) => Promise<string>): void {
  const write = run.write.bind(run);
  let seen = 0;
  run.write = (name, contents) => {
    const own = () => write(name, contents);
    return name === 'checkpoint.safetensors' && ++seen === count ? instead(own) : own();
  };
}

describe('training', () => {
  it('writes configuration, environment, metrics and checkpoint', async () => {
    whole = await newRun('whole');
    const outcome = await trainRun(session, { run: whole, ...start });
    expect(outcome).toMatchObject({ steps: 6, complete: true });
    expect((await readdir(whole.folder)).sort()).toEqual([
      'checkpoint.safetensors',
      'config.json',
      'environment.json',
      'metrics.jsonl',
    ]);
    const metrics = await readMetrics(whole);
    expect(metrics.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    for (const { loss, learningRate, validPixels, segments, seconds } of metrics) {
      expect(loss).toBeGreaterThan(0);
      expect(learningRate).toBeGreaterThan(0);
      expect(validPixels).toBeGreaterThan(0);
      expect(segments).toBeGreaterThan(0);
      expect(seconds).toBeGreaterThan(0);
    }
    expect(await stepOf(whole)).toBe('6');
    const { starts } = JSON.parse(await readFile(whole.path('environment.json'), 'utf8'));
    expect(starts).toMatchObject([{ step: 0, kernelOverrides: KERNELS, adapter: { cpu: session.gpu.facts.cpu } }]);
    expect(starts[0].kernels.conv2d.length).toBeGreaterThan(0);
  });

  it('cut short by a full disk leaves the old checkpoint, and goes on from it bit for bit', async () => {
    const run = await newRun('cut');
    atCheckpoint(run, 2, async () => {
      throw new Error('ENOSPC: no space left on device');
    });
    const error = await trainRun(session, { run, ...start }).catch((caught: Error) => caught);
    expect((error as Error).message).toBe(
      `ENOSPC: no space left on device\nThe checkpoint of step 2, ${run.checkpoint}, is intact; \`segsort train --resume ${run.folder}\` continues from it.`,
    );
    expect(await stepOf(run)).toBe('2');
    expect((await readMetrics(run)).map(({ step }) => step)).toEqual([1, 2, 3, 4]);

    const resumed = await RunFolder.open(run.folder);
    const before = (await readMetrics(run, 2))[1]!.seconds;
    const outcome = await trainRun(session, { run: resumed, resume: true, debugNan: false });
    expect(outcome).toMatchObject({ steps: 6, complete: true });
    expect((await bytesOf(run)).equals(await bytesOf(whole))).toBe(true);
    expect(await metricsOf(run)).toEqual(await metricsOf(whole));
    const seconds = (await readMetrics(run)).map((line) => line.seconds);
    expect(seconds[2]).toBeGreaterThan(before);
    const { starts } = JSON.parse(await readFile(run.path('environment.json'), 'utf8'));
    expect(starts.map(({ step }: { step: number }) => step)).toEqual([0, 2]);
  });

  it('that has not come to a checkpoint begins again, bit for bit', async () => {
    const run = await newRun('early');
    atCheckpoint(run, 1, async () => {
      throw new Error('ENOSPC: no space left on device');
    });
    await expect(trainRun(session, { run, ...start })).rejects.toThrow(again(run));
    const { run: resumed, checkpoint } = await RunFolder.find(run.folder);
    const outcome = await trainRun(session, { run: resumed, checkpoint, resume: true, debugNan: false });
    expect(outcome).toMatchObject({ steps: 6, complete: true });
    expect((await bytesOf(run)).equals(await bytesOf(whole))).toBe(true);
    expect(await metricsOf(run)).toEqual(await metricsOf(whole));
  });

  it('does not begin again where only the last checkpoint is gone', async () => {
    const run = await newRun('gone');
    await run.write('best.safetensors', await bytesOf(whole));
    await expect(trainRun(session, { run, ...start, resume: true })).rejects.toThrow(
      `${run.folder} has no checkpoint.safetensors; name one of its other checkpoints`,
    );
  });

  it('changes nothing where it cannot go on from what was named', async () => {
    const run = await newRun('refused');
    await cp(whole.folder, run.folder, { recursive: true });
    const contents = () => Promise.all(FILES.map((name) => readFile(run.path(name), 'utf8')));
    const FILES = ['checkpoint.safetensors', 'metrics.jsonl', 'environment.json'];
    const before = await contents();
    const metadata = { step: '2', seed: '7', objective: 'segsort' };
    const checkpoint = await run.write('other.safetensors', serializeSafetensors([], metadata));
    const request = { run, checkpoint, resume: true, debugNan: false };
    await expect(trainRun(session, request)).rejects.toThrow(`${checkpoint} was made with seed 7`);
    expect(await contents()).toEqual(before);
  });

  it('goes on with the kernels and the tuning it began with, and says what is another', async () => {
    const run = await newRun('tuned', { steps: 2 }, { checkpointEvery: 1, keep: 2 });
    const tuning = { 'quads matmul 64x64x1024': '64x32/2' };
    using runtime = new Runtime(session.gpu, { kernels: KERNELS, tuning });
    await trainRun({ gpu: session.gpu, runtime }, { run, ...start });
    const expected = await bytesOf(run);
    const environment = await readStarts(run);
    const { adapter } = environment[0]!;
    await run.writeJson('environment.json', {
      starts: [{ ...environment[0], adapter: { ...adapter, driver: 'old' } }],
    });

    const { code, err } = await command('train', '--resume', run.path('checkpoints/step-1.safetensors'));
    expect(code).toBe(0);
    expect(err).toMatch(/^the last bits may differ from those of a run without a break: the driver is .+, was old$/m);
    expect((await bytesOf(run)).equals(expected)).toBe(true);
    expect(await readStarts(run)).toMatchObject([{ step: 0 }, { step: 1, tuning, kernelOverrides: KERNELS }]);
  });

  it('keeps a checkpoint under a name that it has already', async () => {
    await whole.keepCheckpoint('kept.safetensors');
    await whole.keepCheckpoint('kept.safetensors');
    expect((await readdir(whole.folder)).filter((name) => name.startsWith('kept'))).toEqual(['kept.safetensors']);
    await rm(whole.path('kept.safetensors'));
  });

  it('has nothing to do where it is complete', async () => {
    const before = await bytesOf(whole);
    const outcome = await trainRun(session, { run: whole, resume: true, debugNan: false });
    expect(outcome).toMatchObject({ steps: 6, complete: true });
    expect((await bytesOf(whole)).equals(before)).toBe(true);
    expect((await readMetrics(whole)).length).toBe(6);
  });

  it('stops at a loss that is not finite', async () => {
    const run = await newRun('diverged', { learningRate: 1e30, steps: 9 }, { checkpointEvery: 9 });
    const error = await trainRun(session, { run, ...start }).catch((caught: Error) => caught);
    const [problem, advice] = (error as Error).message.split('\n');
    expect(problem).toMatch(/^the loss is (NaN|-?Infinity).*--debug-nan/);
    expect(advice).toBe(`No checkpoint had been written yet; ${again(run)}`);
  });

  it('does not save weights that are not finite, though the loss before them was', async () => {
    const run = await newRun('overflown', { learningRate: 1e30, steps: 9 });
    const error = await trainRun(session, { run, ...start }).catch((caught: Error) => caught);
    const [problem, advice] = (error as Error).message.split('\n');
    expect(problem).toMatch(/^resnet_v1_digits\/\S+ holds (NaN|-?Infinity) after step 2: lower the learning rate/);
    expect(advice).toBe(`No checkpoint had been written yet; ${again(run)}`);
    expect(await readdir(run.folder)).not.toContain('checkpoint.safetensors');
  });

  it('names the first op that gave NaN when asked', async () => {
    const run = await newRun('debugged', { learningRate: 1e30, steps: 4 });
    const error = await trainRun(session, { run, ...start, debugNan: true }).catch((caught: Error) => caught);
    expect((error as Error).message).toMatch(/\[kernel \w+:[\w-]+\] is the first value that is not finite/);
  });

  it('names the image that is missing', async () => {
    const run = await newRun('missing');
    const hidden = join(folder, 'data', 'labels', '3.png');
    const label = await readFile(hidden);
    await rm(hidden);
    const error = await trainRun(session, { run, ...start }).catch((caught: Error) => caught);
    await writeFile(hidden, label);
    expect((error as Error).message).toContain('labels/3.png: label listed in line 4 of');
  });
});

describe('after training', () => {
  it('prototypes are extracted, written and read back', async () => {
    const work = { session, config: whole.config };
    const weights = await weightsOf(whole);
    const { table, dataset } = await extractPrototypes(work, weights);
    expect(dataset.length).toBe(6);
    expect(table.size).toBeGreaterThan(6);
    await savePrototypes(whole, table, weights);
    const again = (await openPrototypes(whole, weights)).table;
    expect(again.features).toEqual(table.features);
    expect(again.labels).toEqual(table.labels);
    expect(again.entry(0)).toEqual(table.entry(0));
  });

  it('held-out images are scored and shown', async () => {
    const heldOut = await openList(whole.config.data.root, 'val.txt', 'list');
    const weights = await weightsOf(whole);
    const { report, scores, files } = await evaluateRun({ session, config: whole.config }, whole, {
      weights,
      table: (await openPrototypes(whole, weights)).table,
      heldOut,
      list: 'val.txt',
      sheet: { rows: 2, title: 'Test' },
    });
    expect(files).toEqual(['evaluation.json', 'confusion.csv', 'contact-sheet.png'].map((name) => whole.path(name)));
    expect(JSON.parse(await readFile(files[0]!, 'utf8'))).toEqual(report);
    expect(report).toMatchObject({ list: 'val.txt', images: 2, neighbours: 3 });
    expect(scores.score.pixels).toBe(2 * SIDE * SIDE);
    expect(report.oracle!.pixelAccuracy).toBeGreaterThanOrEqual(report.pixelAccuracy!);
    expect(report.commonestClass.name).toBe('background');
    const { width, height } = decodePng(await readFile(files[2]!), 'contact-sheet.png');
    expect(width).toBeGreaterThan(1000);
    expect(height).toBeGreaterThan(400);
  });

  it('images are segmented into files of their own size', async () => {
    const { root } = whole.config.data;
    const dataset = await imagesOf(
      whole,
      ['6', '7'].map((name) => join(root, 'images', `${name}.png`)),
      undefined,
    );
    expect(dataset.names).toEqual(['6.png', '7.png']);
    const out = join(folder, 'out');
    const weights = await weightsOf(whole);
    const { table } = await openPrototypes(whole, weights);
    const request = { weights, table, dataset, out, colour: true, overlay: true };
    await predictImages({ session, config: whole.config }, request);
    const files = ['6', '7'].flatMap((name) => [`${name}-colour.png`, `${name}-overlay.png`, `${name}.png`]);
    expect((await readdir(out)).sort()).toEqual(files);
    const labels = decodeLabels(await readFile(join(out, '6.png')), '6.png');
    expect([labels.width, labels.height]).toEqual([SIDE, SIDE]);
    for (const label of new Set(labels.data)) expect(label).toBeLessThan(3);
    const overlay = decodePng(await readFile(join(out, '6-overlay.png')), '6-overlay.png');
    expect([overlay.width, overlay.height]).toEqual([SIDE, SIDE]);
  });

  it('folders stand for the images in them', async () => {
    const { root } = whole.config.data;
    const { names } = await imagesOf(whole, [join(root, 'images')], undefined);
    expect(names).toHaveLength(8);
    await expect(imagesOf(whole, [], undefined)).rejects.toThrow('name either images and folders, or a --list');
    await expect(imagesOf(whole, [join(root, 'none.png')], undefined)).rejects.toThrow('there is no image or folder');
    await expect(imagesOf(whole, [whole.folder], undefined)).resolves.toMatchObject({ length: 1 }); // its contact sheet
  });
});

// The last one: the device is gone after it.
it('says which checkpoint is intact where the device is lost', async () => {
  const run = await newRun('lost');
  atCheckpoint(run, 1, async (write) => {
    const path = await write();
    session.gpu.device.destroy();
    return path;
  });
  const error = await trainRun(session, { run, ...start }).catch((caught: Error) => caught);
  expect((error as Error).message).toMatch(/the GPU device was lost/);
  expect((error as Error).message).toContain(`The checkpoint of step 2, ${run.checkpoint}, is intact`);
  expect(await stepOf(run)).toBe('2');
});
