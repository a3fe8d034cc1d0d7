/** `segsort demo`: the whole of SegSort on scenes that every installation can make for itself, in minutes. */
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { HARD_SCENES } from '../data/digits.js';
import { DEFAULT_DIGIT_SCENES, type DigitSceneFolder, writeDigitScenes } from '../data/digits.node.js';
import { type PartialConfig, type ResolvedConfig, resolveConfig } from './config/config.js';
import { openList } from './data_folder.js';
import { EXIT } from './errors.js';
import { evaluateRun } from './evaluate.js';
import { type AdapterOptions, addAdapterFlag, addConfigFlags, configFromFlags, wholeNumber } from './options.js';
import { formatDuration, Progress } from './progress.js';
import { extractPrototypes, savePrototypes } from './prototypes.js';
import { defaultRunFolder, RunFolder } from './run_folder.js';
import { scoreTable } from './segmenting/report.js';
import { type Scores, scoreDataset } from './segmenting/scoring.js';
import { openSegmenter, type Work, weightsOf } from './segmenting/segmentation.js';
import { type Session, withGpu } from './session.js';
import { describeOutcome } from './train.js';
import { trainRun } from './training/run.js';

export interface DemoOptions extends AdapterOptions {
  readonly hard?: boolean;
  readonly out?: string;
  readonly scenes: string;
  readonly trainScenes?: number;
  readonly valScenes?: number;
}

const HELP = `
Composes scenes of handwritten digits (10 classes and background) in VOC's folder layout, trains on them, extracts
prototypes, segments held-out scenes of digits never seen in training, and compares with the untrained network and with
answering the commonest class. Writes a run folder with config.json, environment.json, metrics.jsonl,
checkpoint.safetensors, prototypes.safetensors, evaluation.json and contact-sheet.png.
`;

export function demoCommand(): Command {
  const command = new Command('demo')
    .description('train on scenes of handwritten digits and show the result')
    .addOption(new Option('--hard', 'larger scenes of several overlapping digits, bright and dark: for a GPU'))
    .addOption(new Option('--out <folder>', 'folder of the run (default: runs/demo-DATE-TIME)'))
    .addOption(new Option('--scenes <folder>', 'where the scenes are kept').default(join('runs', 'data')))
    .addOption(new Option('--train-scenes <n>', 'scenes to train on (default: 4000)').argParser(wholeNumber(1)))
    .addOption(new Option('--val-scenes <n>', 'scenes held out (default: 200)').argParser(wholeNumber(1)));
  addConfigFlags(command, ({ path: [section, setting] }) =>
    [
      'training.steps',
      'training.batch',
      'training.learningRate',
      'training.seed',
      'retrieval.prototypeImages',
      'run.workers',
    ].includes(`${section}.${setting}`),
  );
  return addAdapterFlag(command)
    .addHelpText('after', HELP)
    .action(async (options: DemoOptions) => {
      process.exitCode = await demo(options, configFromFlags(command));
    });
}

async function demo(options: DemoOptions, flags: PartialConfig): Promise<number> {
  const start = performance.now();
  const scenes = await makeScenes(options);
  const run = await RunFolder.create(options.out ?? defaultRunFolder('demo'), configure(options, scenes, flags));
  const { steps, batch, crop } = run.config.training;
  console.log(`${run.folder}: ${steps} steps of ${batch} scenes of ${crop[0]}x${crop[1]}`);
  return withGpu(options, async (session) => {
    const outcome = await trainRun(session, { run, resume: false, debugNan: false });
    if (!outcome.complete) {
      console.log(describeOutcome(run, outcome));
      return EXIT.interrupted;
    }
    await show(session, run, scenes, start);
    return 0;
  });
}

/** Extracts, segments and prints, for the trained and the untrained network. */
async function show(session: Session, run: RunFolder, scenes: DigitSceneFolder, start: number): Promise<void> {
  const work = { session, config: run.config };
  const heldOut = await openList(scenes.folder, scenes.valList, 'list');
  const untrained = await scoreUntrained(work, heldOut);
  const weights = await weightsOf(run);
  const { table } = await extractPrototypes(work, weights);
  await savePrototypes(run, table, weights);
  const { scores, files } = await evaluateRun(work, run, {
    weights,
    table,
    heldOut,
    list: scenes.valList,
    sheet: {
      rows: 6,
      title: 'SegSort: scenes of handwritten digits',
      note: `, ${run.config.training.steps} steps of training`,
    },
  });
  const columns = [
    { title: 'trained', score: scores.score },
    { title: 'oracle', score: scores.oracle },
    { title: 'untrained', score: untrained.score },
    { title: 'commonest class', score: scores.commonest },
  ];
  console.log(`\n${scoreTable(scenes.classes, columns)}\n`);
  console.log('oracle: the best that the clusters allow, each given its commonest true label');
  console.log(`${scores.images} held-out scenes, ${table.size} prototypes`);
  console.log(`look at ${files.find((file) => file.endsWith('.png'))}`);
  console.log(`done in ${formatDuration((performance.now() - start) / 1000)}`);
}

/** The same pipeline with the network as it was before the first step. */
async function scoreUntrained(trained: Work, heldOut: Parameters<typeof scoreDataset>[2]): Promise<Scores> {
  const work = { ...trained, prefix: 'untrained network: ' };
  const { table } = await extractPrototypes(work, null);
  using segmenter = await openSegmenter(work, null, [heldOut]);
  segmenter.usePrototypes(table);
  return await scoreDataset(work, segmenter, heldOut);
}

/** Composes the scenes, unless they are there. */
export async function makeScenes({ hard, scenes, trainScenes, valScenes }: DemoOptions): Promise<DigitSceneFolder> {
  let progress: Progress | undefined;
  const { train, val } = DEFAULT_DIGIT_SCENES;
  const numbers = { train: trainScenes ?? train, val: valScenes ?? val };
  // Scenes of other numbers have a folder of their own: earlier runs go on from theirs.
  const usual = numbers.train === train && numbers.val === val;
  const name = `${hard ? 'digits-hard' : 'digits'}${usual ? '' : `-${numbers.train}-${numbers.val}`}`;
  try {
    return await writeDigitScenes(resolve(scenes, name), {
      ...(hard ? HARD_SCENES : {}),
      ...numbers,
      onProgress(written, all) {
        progress ??= new Progress({ label: 'composing scenes', total: all, each: { count: 1, unit: 'scenes' } });
        progress.update(written);
      },
    });
  } finally {
    progress?.stop();
  }
}

function configure({ hard }: DemoOptions, scenes: DigitSceneFolder, flags: PartialConfig): ResolvedConfig {
  const { folder, trainList, valList, classes } = scenes;
  const data = { root: folder, train: trainList, validation: valList, classes: [...classes] };
  return resolveConfig({ preset: hard ? 'digits-hard' : 'digits', file: null, flags: { ...flags, data } });
}
