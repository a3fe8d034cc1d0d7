/**
 * The configuration of a new run, from flags, preset and file: with paths made absolute, and lists and classes found.
 */
import { resolve } from 'node:path';
import { matchWeights } from '../../models/weights.js';
import { isWithin } from '../../platform/files.node.js';
import { openCheckpoint } from '../checkpoint_file.js';
import { findClasses, findList } from '../data_folder.js';
import { UsageError } from '../errors.js';
import { exists, readJson } from '../run_folder.js';
import { type PartialConfig, type ResolvedConfig, type RunConfig, resolveConfig } from './config.js';
import { networkOf } from './objective.js';
import { PRESETS, type PresetName } from './presets.js';

/** What a run is started with, beside the flags of single settings. */
export interface StartOptions {
  readonly data?: string;
  readonly list?: string;
  readonly valList?: string;
  readonly classes?: string;
  readonly preset?: PresetName;
  readonly config?: string;
}

/** Reports what is not as the preset would have it. */
export type Notice = (text: string) => void;

/** @throws UsageError that says what is missing or wrong, and what to do */
export async function configure(
  options: StartOptions,
  flags: PartialConfig,
  notice: Notice = console.error,
): Promise<ResolvedConfig> {
  const file = options.config ? { name: options.config, contents: await readConfig(options.config) } : null;
  if (!options.preset && !file)
    throw new UsageError(`name what to start from: --preset (${Object.keys(PRESETS).join(', ')}) or --config`);
  const given = (file?.contents as PartialConfig | undefined)?.data;
  const rootOfFile = typeof given?.root === 'string' ? resolve(given.root) : undefined;
  const root = options.data ? resolve(options.data) : rootOfFile;
  if (!root) throw new UsageError('--data names the folder of the data set');
  // What the file says of a folder holds for that one alone.
  const known = rootOfFile === undefined || rootOfFile === root ? given : undefined;
  const preset = options.preset ?? null;
  const presetData = presetNamed(preset ?? (file?.contents as { preset?: unknown } | null)?.preset)?.data;

  const train = options.list
    ? await namedList(root, options.list)
    : (known?.train ?? (await trainingList(root, presetData?.train ?? 'train', notice)));
  const validation = options.valList
    ? await namedList(root, options.valList)
    : (known?.validation ?? (await findList(root, 'val')));
  const classes = options.classes || !known?.classes ? await findClasses(root, options.classes) : known.classes;
  if (!classes && !presetData?.classes && !given?.classes)
    throw new UsageError(`${root} has no classes.json; --classes names a file with the class names, or their number`);
  const data = { root, train, validation, ...(classes ? { classes } : {}), ...flags.data };
  const resolved = resolveConfig({ preset, file, flags: { ...flags, data } });
  requireValidationList(resolved.config, flags, '--val-list names a list of labelled images');
  return { ...resolved, config: await withPathsFound(resolved.config, notice) };
}

/** @throws UsageError where scores are asked for and there is nothing to score; `remedy` says what to do */
export function requireValidationList({ data }: RunConfig, flags: PartialConfig, remedy: string): void {
  if (flags.run?.validateEvery && data.validation === null)
    throw new UsageError(`--validate-every: ${data.root} has no val.txt to score; ${remedy}`);
}

/** The settings of a preset; nothing where there is none of this name, which `resolveConfig` refuses. */
const presetNamed = (name: unknown): PartialConfig | undefined =>
  Object.entries(PRESETS).find(([each]) => each === name)?.[1].config;

/** @throws UsageError where there is no such file, or it is not JSON */
export async function readConfig(file: string): Promise<unknown> {
  return readJson(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new UsageError(`--config: there is no file ${file}`);
    throw error;
  });
}

/** A list as it was named: by its path in the data folder, by any other, which is made absolute, or by what it is for. */
async function namedList(root: string, name: string): Promise<string> {
  const own = resolve(root, name);
  if (await exists(own)) return isWithin(root, own) ? name : own;
  if (await exists(resolve(name))) return resolve(name);
  return (await findList(root, name)) ?? name;
}

/** The list that a preset trains on; `train` where the folder has no such list. */
async function trainingList(root: string, name: string, notice: Notice): Promise<string> {
  const found = await findList(root, name);
  if (found) return found;
  const instead = name === 'train' ? null : await findList(root, 'train');
  if (!instead) throw new UsageError(`${root} has no ${name}.txt; --list names the list of training images`);
  notice(`${root} has no list ${name}: training on ${instead}`);
  return instead;
}

async function withPathsFound(config: RunConfig, notice: Notice): Promise<RunConfig> {
  const { network, training, data } = config;
  const stages = await Promise.all(
    training.stages.map(async ({ list, ...stage }, index) => {
      if (list === undefined) return stage;
      const found = await namedList(data.root, list);
      if (await exists(resolve(data.root, found))) return { list: found, ...stage };
      notice(`${data.root} has no list ${list}: stage ${index + 2} trains on ${data.train}, too`);
      return stage;
    }),
  );
  const weights = network.weights === null ? null : resolve(network.weights);
  return { ...config, network: { ...network, weights }, training: { ...training, stages } };
}

/**
 * Makes sure that the weights to start from are there and fit the network, before anything is written.
 *
 * @throws UsageError, CheckpointFormatError or WeightsError saying what is wrong with them
 */
export async function checkWeights({ preset, config }: ResolvedConfig, notice: Notice = console.error): Promise<void> {
  const { weights, newHead } = config.network;
  if (weights === null) {
    if (preset?.startsWith('voc12-'))
      notice(
        `${preset}: no --weights, so the network starts from random ones; the released runs start from ImageNet's (resnet_v1_101.ckpt), and from random ones 30,000 steps are too few`,
      );
    return;
  }
  await using file = await openCheckpoint(weights);
  matchWeights(networkOf(config), file, { head: !newHead });
}
