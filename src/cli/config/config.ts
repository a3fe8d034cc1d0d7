/** The configuration of a run: put together from preset, file and flags, checked, and written into its folder. */
import type { Network } from '../../models/network.js';
import { UsageError } from '../errors.js';
import { problemsOf, valueAt } from './fields.js';
import { networkWith } from './objective.js';
import { PRESETS, type PresetName } from './presets.js';
import { allFields, configSchema, type PartialConfig, type RunConfig } from './schema.js';
import { type Stage, stagesOf } from './stages.js';

export { configSchema, flaggedFields, type PartialConfig, type RunConfig } from './schema.js';

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
  // A file that was written whole by an earlier version lacks settings that its preset may have had changed since.
  const former = isWhole(written.config) ? formerSettings : {};
  const merged = mergeConfigs(formerSettings, base ? PRESETS[base].config : {}, former, written.config, flags);
  return { preset: base, config: checkConfig(merged, file ? `${file.name} and flags` : 'the configuration') };
}

/** Checks a whole configuration, also that the crops fit the network. */
export function checkConfig(input: unknown, origin: string): RunConfig {
  const result = configSchema.safeParse(input);
  const lines = result.success ? [] : problemsOf(result.error, configSchema, input);
  lines.push(...(result.success ? stagesOf(result.data).flatMap(stageProblems) : misfits(input)));
  if (!result.success || lines.length > 0) throw problems(origin, lines);
  return result.data;
}

function problems(origin: string, lines: readonly string[]): UsageError {
  const [only] = lines;
  if (lines.length === 1) return new UsageError(`${origin}: ${only}`);
  return new UsageError(`${origin}: ${lines.length} settings are wrong:${lines.map((line) => `\n  ${line}`).join('')}`);
}

/** Whether network and crop go together can be said although other settings are wrong. */
function misfits(input: unknown): string[] {
  const { network, training } = configSchema.shape;
  const chosen = network.safeParse(valueAt(input, ['network']));
  const crop = training.shape.crop.safeParse(valueAt(input, ['training', 'crop']));
  return chosen.success && crop.success ? networkProblems(chosen.data, crop.data) : [];
}

function stageProblems({ config, number }: Stage): string[] {
  const { network, training } = config;
  const lines = networkProblems(network, training.crop);
  // What holds for the whole run is said once.
  return number === 1 ? lines : lines.map((line) => `stage ${number}: ${line}`);
}

/** Says why there is no such network, or which crops it can take where the configured one is none of them. */
function networkProblems(network: RunConfig['network'], crop: readonly [number, number]): string[] {
  const built = tryNetwork(network);
  if (typeof built === 'string') return [`network (--backbone, --head, --output-stride): ${built}`];
  const { inputMultiple } = built;
  if (crop.every((side) => side % inputMultiple === 0)) return [];
  const nearest = (side: number) => {
    const below = Math.floor(side / inputMultiple) * inputMultiple;
    return below > 0 && side % inputMultiple !== 0
      ? `${below} or ${below + inputMultiple}`
      : `${below || inputMultiple}`;
  };
  const [height, width] = crop;
  const instead = height === width ? nearest(height) : `${nearest(height)} high and ${nearest(width)} wide`;
  return [
    `training.crop (--crop): ${height}x${width} does not fit ${network.backbone}, whose input sides must be multiples of ${inputMultiple}; use ${instead}`,
  ];
}

/** The network, whatever it is to learn, or why there is none. */
function tryNetwork(network: RunConfig['network']): Network | string {
  try {
    return networkWith(network, network.embedding);
  } catch (error) {
    return (error as Error).message;
  }
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

/** What the settings that came later are in configurations that were written before. */
const formerSettings: PartialConfig = mergeConfigs(
  ...allFields.flatMap(({ path: [section, setting], former }) =>
    former === undefined ? [] : [{ [section!]: { [setting!]: former } }],
  ),
);

/** The sections that every written configuration has. */
const SECTIONS = ['data', 'network', 'training', 'segments', 'retrieval', 'run'] as const;

const isWhole = (config: PartialConfig): boolean => SECTIONS.every((section) => config[section] !== undefined);
