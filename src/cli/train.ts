/** `segsort train`: trains a network on a folder of images and labels, or goes on with a run. */

import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { type PartialConfig, type ResolvedConfig, resolveConfig } from './config.js';
import { findClasses, findList, openList } from './data_folder.js';
import { EXIT, UsageError } from './errors.js';
import { addCommonFlags, addConfigFlags, type CommonOptions, configFromFlags } from './options.js';
import { PRESET_SUMMARIES, PRESETS, type PresetName } from './presets.js';
import { profileTable } from './profile.js';
import { formatDuration } from './progress.js';
import { defaultRunFolder, RunFolder, readJson } from './run_folder.js';
import { withGpu } from './session.js';
import { setUpTraining, type TrainingOutcome, trainRun } from './training_run.js';

interface TrainOptions extends CommonOptions {
  readonly data?: string;
  readonly list?: string;
  readonly valList?: string;
  readonly classes?: string;
  readonly preset?: PresetName;
  readonly config?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly debugNan?: boolean;
  readonly plan?: boolean;
  readonly profile?: boolean;
}

const PRESET_LIST = Object.entries(PRESET_SUMMARIES)
  .map(([name, summary]) => `  ${name.padEnd(18)}${summary}`)
  .join('\n');

const HELP = `
Presets (every setting can be changed by its flag):
${PRESET_LIST}

Examples:
  segsort train --data VOC2012 --list train.txt --preset voc12-supervised
  segsort train --data photos --classes names.txt --preset small --steps 500 --out runs/photos
  segsort train --config runs/photos/config.json --learning-rate 0.02
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
    .addOption(start('--resume <run>', 'go on with the run in this folder from its checkpoint, bit for bit'))
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
    .addOption(check('--profile', 'time every kernel of one step, print the slowest and stop'))
    .addOption(check('--debug-nan', 'check every value of every step, and name the first op that gives NaN; slow'));
  return addCommonFlags(command)
    .addHelpText('after', HELP)
    .action(async (options: TrainOptions) => {
      process.exitCode = await train(options, configFromFlags(command));
    });
}

async function train(options: TrainOptions, flags: PartialConfig): Promise<number> {
  if (options.plan || options.profile) {
    const resolved = options.resume ? (await RunFolder.open(options.resume)).resolved : await configure(options, flags);
    await inspect(options, resolved);
    return 0;
  }
  const run = options.resume ? await reopen(options, flags) : await start(options, flags);
  const { steps, batch, crop } = run.config.training;
  const { backbone, embedding } = run.config.network;
  console.log(
    `${run.folder}: ${backbone}, ${embedding} dimensions, ${steps} steps of ${batch} crops of ${crop[0]}x${crop[1]}`,
  );
  const outcome = await withGpu(options, (session) =>
    trainRun(session, { run, resume: options.resume !== undefined, debugNan: options.debugNan ?? false }),
  );
  console.log(describeOutcome(run, outcome));
  return outcome.complete ? 0 : EXIT.interrupted;
}

export function describeOutcome({ folder, config }: RunFolder, { steps, complete, seconds }: TrainingOutcome): string {
  if (!complete)
    return `stopped after step ${steps} of ${config.training.steps}; \`segsort train --resume ${folder}\` goes on`;
  return `trained ${steps} steps in ${formatDuration(seconds)}; next: \`segsort prototypes ${folder}\``;
}

async function start(options: TrainOptions, flags: PartialConfig): Promise<RunFolder> {
  const resolved = await configure(options, flags);
  // A list that cannot be read leaves no folder behind.
  await openList(resolved.config.data.root, resolved.config.data.train, 'training list');
  return RunFolder.create(options.out ?? defaultRunFolder(resolved.preset ?? 'run'), resolved);
}

/** Settings that may differ when a run goes on: the result does not depend on them. */
const FREE_SECTION = 'run';

async function reopen(options: TrainOptions, flags: PartialConfig): Promise<RunFolder> {
  const fixed: string[] = (['preset', 'config', 'out', 'data', 'list', 'valList', 'classes'] as const).filter(
    (name) => options[name] !== undefined,
  );
  for (const [section, settings] of Object.entries(flags))
    if (section !== FREE_SECTION) fixed.push(...Object.keys(settings).map((name) => `${section}.${name}`));
  if (fixed.length > 0)
    throw new UsageError(
      `--resume goes on with the run as it was started, so ${fixed.join(', ')} cannot be given; for other settings start a new run with --config ${options.resume}/config.json`,
    );
  const run = await RunFolder.open(options.resume!);
  return run.with(resolveConfig({ preset: run.resolved.preset, file: asFile(run), flags }));
}

const asFile = (run: RunFolder) => ({ name: run.path('config.json'), contents: run.config });

/** The configuration of a new run, with paths made absolute and lists and classes found. */
async function configure(options: TrainOptions, flags: PartialConfig): Promise<ResolvedConfig> {
  const file = options.config ? { name: options.config, contents: await readConfig(options.config) } : null;
  if (!options.preset && !file)
    throw new UsageError(`name what to start from: --preset (${Object.keys(PRESETS).join(', ')}) or --config`);
  const given = (file?.contents as { data?: PartialConfig['data'] } | undefined)?.data;
  const root = options.data ? resolve(options.data) : given?.root;
  if (!root) throw new UsageError('--data names the folder of the data set');
  // What the file says holds for its own folder.
  const known = options.data && resolve(given?.root ?? '') !== root ? undefined : given;
  const train = options.list ?? known?.train ?? (await findList(root, 'train'));
  if (!train) throw new UsageError(`${root} has no train.txt; --list names the list of training images`);
  const validation = options.valList ?? known?.validation ?? (await findList(root, 'val'));
  const classes = options.classes || !known?.classes ? await findClasses(root, options.classes) : known.classes;
  const data = { root, train, validation, ...(classes ? { classes } : {}), ...flags.data };
  const preset = options.preset ?? null;
  if (!classes && !(preset && PRESETS[preset].data?.classes) && !given?.classes)
    throw new UsageError(`${root} has no classes.json; --classes names a file with the class names, or their number`);
  return resolveConfig({ preset, file, flags: { ...flags, data } });
}

async function readConfig(file: string): Promise<unknown> {
  return readJson(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new UsageError(`--config: there is no file ${file}`);
    throw error;
  });
}

/** Prints the plan of a step, or the times of its kernels. */
async function inspect(options: TrainOptions, { config }: ResolvedConfig): Promise<void> {
  await withGpu(options, async (session) => {
    await using setup = await setUpTraining(session, config);
    const batch = await setup.loader.batch(0);
    if (options.plan) console.log(await setup.trainer.describe(batch));
    if (!options.profile) return;
    // The first run also waits for shaders and memory.
    await (await setup.trainer.step(batch, 0)).read();
    console.log(profileTable(await setup.trainer.profile(batch)));
  });
}
