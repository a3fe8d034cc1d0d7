/** `segsort train`: trains a network on a folder of images and labels, or goes on with a run. */

import { Command, Option } from 'commander';
import type { Plan } from '../tensor/plan.js';
import { flaggedFields, type PartialConfig, type RunConfig, resolveConfig } from './config/config.js';
import { checkWeights, configure, requireValidationList, type StartOptions } from './config/configure.js';
import { flagOf } from './config/fields.js';
import { learnsEmbedding } from './config/objective.js';
import { PRESETS } from './config/presets.js';
import { stagesOf, totalSteps } from './config/stages.js';
import { EXIT, UsageError } from './errors.js';
import { type AdapterOptions, addAdapterFlag, addConfigFlags, configFromFlags } from './options.js';
import { formatDuration } from './progress.js';
import { defaultRunFolder, type ResumePoint, RunFolder } from './run_folder.js';
import { type SessionOptions, withGpu } from './session.js';
import { openTrainingSet } from './training/data.js';
import { startOf } from './training/environment.js';
import { type TrainingOutcome, trainRun } from './training/run.js';
import { setUpTraining } from './training/setup.js';
import { openValidation } from './training/validation.js';
import { tune } from './tune.js';

interface TrainOptions extends AdapterOptions, StartOptions {
  readonly out?: string;
  readonly resume?: string;
  readonly debugNan?: boolean;
  readonly plan?: boolean;
  readonly tune?: boolean;
}

const PRESET_LIST = Object.entries(PRESETS)
  .map(([name, { summary }]) => `  ${name.padEnd(20)}${summary}`)
  .join('\n');

const HELP = `
Presets (every setting can be changed by its flag):
${PRESET_LIST}

Examples:
  segsort train --data VOCdevkit --preset voc12-supervised --weights resnet_v1_101.ckpt
  segsort train --data photos --classes names.txt --preset small --steps 500 --out runs/photos
  segsort train --data photos --preset small --objective softmax --validate-every 200
  segsort train --data photos --preset small --stage "steps=500 learning-rate=0.005"
  segsort train --config runs/photos/config.json --weights runs/photos/best.safetensors --learning-rate 0.02
  segsort train --resume runs/photos

A list has a line \`image label\` for every image, with paths relative to the data folder. Labels are PNG files, grey
or with a palette, whose values are the classes; 255 is ignored.
`;

export function trainCommand(): Command {
  const command = new Command('train').description('train a network on a folder of images and labels');
  const start = (flags: string, help: string) => new Option(flags, help).helpGroup('What to train:');
  command
    .addOption(start('--preset <name>', 'settings to start from, see below').choices(Object.keys(PRESETS)))
    .addOption(start('--config <file>', 'settings of a file, such as the config.json of another run'))
    .addOption(start('--out <folder>', 'folder of the run (default: runs/NAME-DATE-TIME)'))
    .addOption(
      start('--resume <run>', 'go on with the run in this folder, or from one of its checkpoints, bit for bit'),
    )
    .addOption(new Option('--data <folder>', 'folder of the data set').helpGroup('Data:'))
    .addOption(new Option('--list <file>', 'list of training images (default: train.txt)').helpGroup('Data:'))
    .addOption(new Option('--val-list <file>', 'list of held-out images (default: val.txt)').helpGroup('Data:'))
    .addOption(
      new Option(
        '--classes <file or n>',
        "class names, or their number (default: the data folder's classes.json)",
      ).helpGroup('Data:'),
    );
  addConfigFlags(command, ({ path }) => path[0] !== 'retrieval');
  addConfigFlags(command, ({ path }) => path[0] === 'retrieval');
  const check = (flags: string, help: string) => new Option(flags, help).helpGroup('Looking inside:');
  command
    .addOption(check('--plan', 'print the plan of a step (kernels, shapes, memory) and stop'))
    .addOption(
      check('--tune', 'first measure how this machine computes the products of a step fastest, where it is not known'),
    )
    .addOption(check('--debug-nan', 'check every value of every step, and name the first op that gives NaN; slow'));
  return addAdapterFlag(command)
    .addHelpText('after', HELP)
    .action(async (options: TrainOptions) => {
      process.exitCode = await train(options, configFromFlags(command));
    });
}

async function train(options: TrainOptions, flags: PartialConfig): Promise<number> {
  if (options.plan) {
    const point = options.resume ? await reopen(options.resume, options, flags) : null;
    const { config } = point?.run.resolved ?? (await configure(options, flags));
    await printPlan(await choicesFor(options, point), config);
    return 0;
  }
  const point = options.resume ? await reopen(options.resume, options, flags) : null;
  const run = point?.run ?? (await start(options, flags));
  console.log(`${run.folder}: ${describeRun(run.config)}`);
  const choices = await choicesFor(options, point);
  if (options.tune && !choices.tuning) await tuneSteps(options, run.config);
  const { debugNan = false } = options;
  const request = { run, resume: point !== null, debugNan, ...(point ? { checkpoint: point.checkpoint } : {}) };
  const outcome = await withGpu(choices, (session) => trainRun(session, request));
  console.log(describeOutcome(run, outcome));
  return outcome.complete ? 0 : EXIT.interrupted;
}

/** How kernels are chosen: as by the start that a run goes on from, so that it goes on bit for bit. */
async function choicesFor({ adapter, tune }: TrainOptions, point: ResumePoint | null): Promise<SessionOptions> {
  const { tuning, kernelOverrides } = (point && (await startOf(point))) ?? {};
  return { adapter, tuned: tune, tuning, kernelOverrides };
}

/** What is trained, in a line a stage. */
function describeRun(config: RunConfig): string {
  const { network, data, training } = config;
  const { backbone, embedding } = network;
  const output = learnsEmbedding(training.objective) ? `${embedding} dimensions` : `${data.classes.length} classes`;
  const stages = stagesOf(config).map((stage) => {
    const { steps, batch, accumulate, crop } = stage.config.training;
    const images = accumulate > 1 ? `${accumulate} x ${batch}` : `${batch}`;
    return `${steps} steps of ${images} crops of ${crop[0]}x${crop[1]}`;
  });
  const objective = training.objective === 'segsort' ? '' : `, ${training.objective}`;
  return `${backbone}, ${output}${objective}, ${stages.join(', then ')}`;
}

export function describeOutcome({ folder, config }: RunFolder, { steps, complete, seconds }: TrainingOutcome): string {
  if (!complete)
    return `stopped after step ${steps} of ${totalSteps(config)}; \`segsort train --resume ${folder}\` goes on`;
  const next = learnsEmbedding(config.training.objective) ? 'prototypes' : 'evaluate';
  return `trained ${steps} steps in ${formatDuration(seconds)}; next: \`segsort ${next} ${folder}\``;
}

async function start(options: TrainOptions, flags: PartialConfig): Promise<RunFolder> {
  const resolved = await configure(options, flags);
  // What cannot be read leaves no folder behind.
  for (const { config } of stagesOf(resolved.config)) {
    await openTrainingSet(config);
    await openValidation(config);
  }
  await checkWeights(resolved);
  return RunFolder.create(options.out ?? defaultRunFolder(resolved.preset ?? 'run'), resolved);
}

/** What a run is started with besides settings. */
const FIXED = [
  ['preset', '--preset'],
  ['config', '--config'],
  ['out', '--out'],
  ['data', '--data'],
  ['list', '--list'],
  ['valList', '--val-list'],
  ['classes', '--classes'],
] as const satisfies readonly (readonly [keyof TrainOptions, string])[];

/** Settings that may differ when a run goes on: the result does not depend on them. */
const FREE_SECTION = 'run';

async function reopen(path: string, options: TrainOptions, flags: PartialConfig): Promise<ResumePoint> {
  const { run, checkpoint } = await RunFolder.find(path);
  const fixed: string[] = FIXED.flatMap(([name, flag]) => (options[name] === undefined ? [] : [flag]));
  for (const field of flaggedFields) {
    const [section, setting] = field.path as [keyof PartialConfig, string];
    if (section !== FREE_SECTION && Object.hasOwn(flags[section] ?? {}, setting)) fixed.push(flagOf(field));
  }
  if (fixed.length > 0)
    throw new UsageError(
      `--resume goes on with the run as it was started, so ${fixed.join(', ')} cannot be given; for other settings start a new run with --config ${run.path('config.json')}`,
    );
  const resolved = resolveConfig({ preset: run.resolved.preset, file: asFile(run), flags });
  requireValidationList(
    resolved.config,
    flags,
    `--val-list names one for a new run with --config ${run.path('config.json')}`,
  );
  return { run: run.with(resolved), checkpoint };
}

const asFile = (run: RunFolder) => ({ name: run.path('config.json'), contents: run.config });

/** Measures what the steps of all stages leave to tuning; the memory they take is free again afterwards. */
async function tuneSteps(options: TrainOptions, config: RunConfig): Promise<void> {
  await withGpu(options, async (session) => {
    const plans: Plan[] = [];
    for (const stage of stagesOf(config)) {
      await using setup = await setUpTraining(session, stage);
      const [batch] = await setup.batches(0);
      plans.push(setup.trainer.plan(batch!));
    }
    await tune(session.gpu, plans, (line) => console.log(line));
  });
}

/** Prints the plan of a step of the first stage. */
async function printPlan(choices: SessionOptions, config: RunConfig): Promise<void> {
  await withGpu(choices, async (session) => {
    await using setup = await setUpTraining(session, stagesOf(config)[0]!);
    const [batch] = await setup.batches(0);
    console.log(await setup.trainer.describe(batch!));
  });
}
