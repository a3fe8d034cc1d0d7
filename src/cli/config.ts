/** The configuration of a run: every setting that decides what it computes, checked, and written into its folder. */
import { z } from 'zod';
import { BACKBONES, type BackboneName } from '../models/designs.js';
import { buildNetwork } from '../models/network.js';
import {
  choice,
  classNames,
  colour,
  extents,
  fieldsOf,
  integer,
  orNull,
  type PlacedField,
  problemsOf,
  range,
  real,
  text,
  unlessSwitchedOff,
  valueAt,
} from './config_fields.js';
import { UsageError } from './errors.js';
import { PRESETS, type PresetName } from './presets.js';

const ANY = Number.MAX_SAFE_INTEGER;
const FOREVER = Number.POSITIVE_INFINITY;
const described = (group: string) => (flag: string | null, help: string) => ({ flag, group, help });

const data = described('Data');
const network = described('Network');
const training = described('Training');
const segments = described('Segments and loss');
const retrieval = described('Prototypes and retrieval');
const run = described('Logging and speed (the result does not depend on these)');

const networkNames = BACKBONES as [BackboneName, ...BackboneName[]];

export const retrievalSchema = z.strictObject({
  neighbours: integer(1, 64, retrieval('--neighbours <k>', 'nearest prototypes that vote on a segment')),
  stride: integer(1, 32, retrieval('--stride <n>', 'pixels of the image for one of the segmentation, each way')),
  batch: integer(1, 1024, retrieval('--eval-batch <n>', 'images at a time when segmenting')),
  prototypeImages: orNull(
    integer(1, ANY, retrieval('--prototype-images <n>', 'take prototypes from the first n training images; none: all')),
  ),
});

export const configSchema = z.strictObject({
  data: z.strictObject({
    root: text(data(null, 'folder of the data set')),
    train: text(data(null, 'list of training images')),
    validation: orNull(text(data(null, 'list of held-out images'))),
    classes: classNames(data(null, 'names of the classes, by index')),
    mean: colour(data('--mean <r,g,b>', 'colour that is subtracted from every pixel')),
  }),
  network: z.strictObject({
    backbone: choice(networkNames, network('--backbone <name>', `network: ${networkNames.join(', ')}`)),
    embedding: integer(2, 1024, network('--embedding <n>', 'dimensions of the embedding')),
  }),
  training: z.strictObject({
    steps: integer(1, ANY, training('--steps <n>', 'training steps')),
    batch: integer(1, 1024, training('--batch <n>', 'images a step')),
    crop: extents(8, 8192, training('--crop <HxW>', 'size of the crops, in pixels')),
    scale: range(0.05, 20, training('--scale <low,high>', 'images are resized by a random factor between these')),
    mirror: unlessSwitchedOff(training('--no-mirror', 'do not mirror images at random')),
    learningRate: real(0, FOREVER, false, training('--learning-rate <x>', 'learning rate of the first step')),
    warmup: integer(0, ANY, training('--warmup <n>', 'steps over which the rate rises from 0')),
    power: real(0, 10, true, training('--power <x>', 'the rate falls as (1 - step / steps) to this power')),
    momentum: real(0, 0.9999, true, training('--momentum <x>', 'momentum of the gradient descent')),
    weightDecay: real(0, 1, true, training('--weight-decay <x>', 'factor of the L2 loss on the weights')),
    headRateFactor: real(0, 1000, false, training('--head-rate <x>', "factor on the head's learning rate")),
    seed: integer(0, ANY, training('--seed <n>', 'seed of everything random')),
  }),
  segments: z.strictObject({
    cells: extents(1, 64, segments('--cells <YxX>', 'cells of the grid that clustering starts from')),
    kmeansIterations: integer(0, 100, segments('--kmeans <n>', 'iterations of spherical k-means')),
    concentration: real(0, 1000, false, segments('--concentration <x>', 'concentration of the von Mises-Fisher loss')),
    banks: integer(0, 64, segments('--banks <n>', 'past batches whose prototypes are kept in memory banks')),
    capacity: integer(1, 65536, segments('--capacity <n>', 'most segments an image may have in training')),
    numerator: choice(
      ['nca', 'self'],
      segments('--numerator <which>', 'a pixel is drawn to the other segments of its label (nca) or its own (self)'),
    ),
  }),
  retrieval: retrievalSchema,
  run: z.strictObject({
    logEvery: integer(1, ANY, run('--log-every <n>', 'steps between lines of metrics.jsonl')),
    checkpointEvery: integer(1, ANY, run('--checkpoint-every <n>', 'steps between checkpoints')),
    workers: orNull(integer(0, 64, run('--workers <n>', 'threads that decode images; none: as the machine has'))),
    cacheMegabytes: integer(0, ANY, run('--cache <MB>', 'memory for decoded images')),
  }),
});

export type RunConfig = z.infer<typeof configSchema>;

/** A configuration in part, section by section. */
export type PartialConfig = { readonly [S in keyof RunConfig]?: Partial<RunConfig[S]> };

/** What a configuration is put together from; later ones count more, setting by setting. */
export interface ConfigSources {
  readonly preset: PresetName | null;
  /** The contents of a configuration file, and its name for messages. */
  readonly file: { readonly name: string; readonly contents: unknown } | null;
  readonly flags: PartialConfig;
}

export interface ResolvedConfig {
  readonly preset: PresetName | null;
  readonly config: RunConfig;
}

/**
 * Preset, then file, then flags. A file names the preset that stands behind it unless `sources` does.
 *
 * @throws UsageError that names every field that is wrong, its flag and what it may hold
 */
export function resolveConfig({ preset, file, flags }: ConfigSources): ResolvedConfig {
  const written = file ? parseConfigFile(file.contents, file.name) : { preset: null, config: {} };
  const base = preset ?? written.preset;
  const merged = mergeConfigs(base ? PRESETS[base] : {}, written.config, flags);
  return { preset: base, config: checkConfig(merged, file ? `${file.name} and flags` : 'the configuration') };
}

/** Checks a whole configuration, also that the crop fits the network. */
export function checkConfig(input: unknown, origin: string): RunConfig {
  const result = configSchema.safeParse(input);
  const lines = result.success ? [] : problemsOf(result.error, configSchema, input);
  const { shape } = configSchema;
  const network = shape.network.safeParse(valueAt(input, ['network']));
  const crop = shape.training.shape.crop.safeParse(valueAt(input, ['training', 'crop']));
  const misfit = network.success && crop.success ? cropProblem(network.data, crop.data) : null;
  if (misfit) lines.push(misfit);
  if (!result.success || misfit) throw problems(origin, lines);
  return result.data;
}

function problems(origin: string, lines: readonly string[]): UsageError {
  const [only] = lines;
  if (lines.length === 1) return new UsageError(`${origin}: ${only}`);
  return new UsageError(`${origin}: ${lines.length} settings are wrong:${lines.map((line) => `\n  ${line}`).join('')}`);
}

/** Says which crops the network can take, where the configured one is none of them. */
function cropProblem(network: RunConfig['network'], crop: readonly [number, number]): string | null {
  const { inputMultiple } = buildNetwork({ backbone: network.backbone, outputs: network.embedding });
  if (crop.every((side) => side % inputMultiple === 0)) return null;
  const nearest = (side: number) => {
    const below = Math.floor(side / inputMultiple) * inputMultiple;
    return below > 0 && side % inputMultiple !== 0
      ? `${below} or ${below + inputMultiple}`
      : `${below || inputMultiple}`;
  };
  const [height, width] = crop;
  const instead = height === width ? nearest(height) : `${nearest(height)} high and ${nearest(width)} wide`;
  return `training.crop (--crop): ${height}x${width} does not fit ${network.backbone}, whose input sides must be multiples of ${inputMultiple}; use ${instead}`;
}

/** Sections of later configurations laid over earlier ones, setting by setting. */
export function mergeConfigs(...configs: readonly PartialConfig[]): PartialConfig {
  const merged: Record<string, Record<string, unknown>> = {};
  for (const config of configs)
    for (const [section, settings] of Object.entries(config)) {
      const isSection = typeof settings === 'object' && settings !== null && !Array.isArray(settings);
      merged[section] = isSection ? { ...merged[section], ...settings } : (settings as never);
    }
  return merged as PartialConfig;
}

const FORMAT = 1;

/** The text of `config.json`; `resolveConfig` takes it back unchanged. */
export function formatConfigFile({ preset, config }: ResolvedConfig): string {
  return `${JSON.stringify({ format: FORMAT, preset, ...config }, null, 2)}\n`;
}

/** Takes a configuration file apart, without checking its settings. */
function parseConfigFile(contents: unknown, name: string): { preset: PresetName | null; config: PartialConfig } {
  if (typeof contents !== 'object' || contents === null || Array.isArray(contents))
    throw new UsageError(`${name}: a configuration is a JSON object, as in the config.json of a run`);
  const { format = FORMAT, preset = null, ...config } = contents as Record<string, unknown>;
  if (format !== FORMAT)
    throw new UsageError(
      `${name}: format ${JSON.stringify(format)} is not known to this version, which writes ${FORMAT}`,
    );
  if (preset !== null && !(typeof preset === 'string' && Object.hasOwn(PRESETS, preset)))
    throw new UsageError(`${name}: preset ${JSON.stringify(preset)} is none of ${Object.keys(PRESETS).join(', ')}`);
  return { preset: preset as PresetName | null, config: config as PartialConfig };
}

/** The settings that have a flag. */
export const flaggedFields: readonly PlacedField[] = fieldsOf(configSchema).filter(({ flag }) => flag !== null);
