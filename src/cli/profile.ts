/** `segsort profile`: what a training step or a prediction takes, kernel by kernel. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command, Option } from 'commander';
import { writeFileAtomic } from '../platform/files.node.js';
import type { PartialConfig, RunConfig } from './config/config.js';
import { resolveConfig } from './config/config.js';
import { configure, readConfig, type StartOptions } from './config/configure.js';
import type { PlacedField } from './config/fields.js';
import { PRESETS, VOC_CLASSES } from './config/presets.js';
import { stagesOf } from './config/stages.js';
import { findClasses } from './data_folder.js';
import { UsageError } from './errors.js';
import { type AdapterOptions, addAdapterFlag, addConfigFlags, configFromFlags, wholeNumber } from './options.js';
import { type StepProfile, summarize } from './profiling/profile.js';
import { describeProfile, GROUPINGS, type Grouping } from './profiling/table.js';
import { traceEvents } from './profiling/trace_events.js';
import { type Profiled, profileInference, profileTraining } from './profiling/workload.js';
import { environmentOf, type Session, withGpu } from './session.js';

interface ProfileOptions extends AdapterOptions, StartOptions {
  readonly synthetic?: boolean;
  readonly inference?: boolean;
  readonly steps: number;
  readonly by: Grouping;
  readonly trace?: string;
  readonly json?: string;
}

const HELP = `
Examples:
  segsort profile --preset voc12-supervised
  segsort profile --preset small --by layer --trace step.json
  segsort profile --config runs/photos/config.json --batch 4
  segsort profile --preset voc12-supervised --inference --crop 480

The images are those of --data, else those of the run whose --config is given; with --preset alone, --synthetic or
--inference they are noise of the size of the crops: kernels take as long as with photographs. FLOPs are those of the
plain algorithms, bytes what there is to move if every operand moves once. The trace is opened by
https://ui.perfetto.dev and chrome://tracing.
`;

/** What changes neither a kernel nor what it is run on. */
const IRRELEVANT = [
  ...['steps', 'stages', 'weights', 'newHead'],
  ...['checkpointEvery', 'tensorboard', 'keep', 'prototypeImages'],
];
const isRelevant = ({ path }: PlacedField): boolean =>
  !IRRELEVANT.includes(path[1]!) && !path[1]!.startsWith('validate');

export function profileCommand(): Command {
  const command = new Command('profile').description('time a training step, or a prediction, kernel by kernel');
  const what = (flags: string, help: string) => new Option(flags, help).helpGroup('What to profile:');
  command
    .addOption(what('--preset <name>', 'settings to start from, as in train').choices(Object.keys(PRESETS)))
    .addOption(what('--config <file>', 'settings of a file, such as the config.json of a run'))
    .addOption(what('--inference', 'the prediction of a batch of noise, instead of a training step'))
    .addOption(
      what('--steps <n>', 'steps, or predictions, of which medians are taken').default(5).argParser(wholeNumber(1)),
    )
    .addOption(what('--by <what>', 'what makes a line').choices(Object.keys(GROUPINGS)).default('kernel'))
    .addOption(what('--trace <file>', 'write a trace of GPU and host, for Perfetto or chrome://tracing'))
    .addOption(what('--json <file>', 'write the profile of every kernel'));
  const data = (flags: string, help: string) => command.addOption(new Option(flags, help).helpGroup('Data:'));
  data('--data <folder>', "folder of the data set (default: that of --config's file, else noise)");
  data('--list <file>', 'list of training images (default: train.txt)');
  data('--classes <file or n>', 'class names, or their number');
  data('--synthetic', "noise, also where the configuration's file names a folder");
  addConfigFlags(command, isRelevant);
  return addAdapterFlag(command)
    .addHelpText('after', HELP)
    .action((options: ProfileOptions) => profile(options, configFromFlags(command)));
}

async function profile(options: ProfileOptions, flags: PartialConfig): Promise<void> {
  const { inference = false, steps: repeats, data, synthetic } = options;
  if (synthetic && data) throw new UsageError('--synthetic is noise instead of --data: give one of them');
  if (inference && data) throw new UsageError('--inference looks at noise: leave --data out, --crop gives its size');
  const noise = synthetic === true || inference || (!data && !options.config);
  if (noise && options.list)
    throw new UsageError('--list names images of a data set, and noise is profiled: leave it out, or give --data');
  // Before the work rather than after it.
  for (const file of [options.json, options.trace]) if (file) await mkdir(dirname(file), { recursive: true });
  const config = noise ? await noiseConfig(options, flags) : (await configure(options, flags)).config;
  await withGpu(options, async (session) => {
    const profiled = inference
      ? await profileInference(session, config, repeats)
      : await profileTraining(session, stagesOf(config)[0]!, { noise, repeats });
    const summary = summarize(profiled);
    const unit = inference ? 'prediction' : 'training step';
    console.log(describeProfile(summary, options.by, unit));
    if (options.json) await writeJson(options.json, profileFile(session, { config, summary, unit, noise }));
    if (options.trace) await writeJson(options.trace, traceFile(session, profiled));
  });
}

/** The configuration, without a folder. */
async function noiseConfig(options: ProfileOptions, flags: PartialConfig): Promise<RunConfig> {
  const { preset = null, config: path } = options;
  if (!preset && !path)
    throw new UsageError(`name what to profile: --preset (${Object.keys(PRESETS).join(', ')}) or --config`);
  const file = path ? { name: path, contents: await readConfig(path) } : null;
  const named = (file?.contents as PartialConfig | undefined)?.data?.classes;
  const classes = (options.classes && (await findClasses('.', options.classes))) || named;
  const known = preset === null ? undefined : (PRESETS[preset].config.data?.classes ?? undefined);
  const data = { root: 'noise', train: 'noise', validation: null, classes: classes || known || [...VOC_CLASSES] };
  return resolveConfig({ preset, file, flags: { ...flags, data: { ...flags.data, ...data } } }).config;
}

async function writeJson(file: string, contents: unknown): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(contents)}\n`);
  console.error(`written: ${file}`);
}

interface Subject {
  readonly config: RunConfig;
  readonly summary: StepProfile;
  readonly unit: string;
  readonly noise: boolean;
}

function profileFile(session: Session, { config, summary, unit, noise }: Subject): unknown {
  const { network, training, segments, retrieval } = config;
  const settings = { network, training, segments, retrieval };
  return { what: unit, noise, date: new Date().toISOString(), ...environmentOf(session), settings, ...summary };
}

function traceFile({ gpu }: Session, { recording }: Profiled): unknown {
  const { device, description, driver } = gpu.facts;
  const name = device || description;
  return { traceEvents: traceEvents(recording, name), displayTimeUnit: 'ms', otherData: { device: name, driver } };
}
