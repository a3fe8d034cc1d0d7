/** `segsort prototypes`: the prototypes of a run's training images, for retrieval. */
import { Command, Option } from 'commander';
import { serializeNpy } from '../checkpoints/numpy_header.js';
import type { Dataset } from '../data/dataset.js';
import type { PrototypeTable } from '../segsort/prototype_table.js';
import { resolveConfig } from './config/config.js';
import { prototypeList } from './config/stages.js';
import { openList, requireLabels } from './data_folder.js';
import { UsageError } from './errors.js';
import { type AdapterOptions, addAdapterFlag, addConfigFlags, configFromFlags } from './options.js';
import { RunFolder } from './run_folder.js';
import {
  otherWeights,
  parsePrototypes,
  prototypeMetadata,
  readPrototypes,
  requireClasses,
  type SearchedPrototypes,
} from './segmenting/prototype_files.js';
import {
  extractTable,
  firstOf,
  openSegmenter,
  retrieves,
  type Weights,
  WITHOUT_REGIONS,
  type Work,
  weightsOf,
} from './segmenting/segmentation.js';
import { addViewFlags, type ViewFlags, viewsOf } from './segmenting/views.js';
import { withGpu } from './session.js';

interface PrototypesOptions extends AdapterOptions, ViewFlags {
  readonly list?: string;
  readonly panoptic?: boolean;
  readonly npy?: boolean;
}

const HELP = `
Writes RUN/prototypes.safetensors: a unit vector for every segment of the training images, with its label and where it
came from. \`segsort predict\`, \`evaluate\` and \`explain\` search them.

Examples:
  segsort prototypes runs/photos --prototype-images 500
  segsort prototypes runs/streets --window 480 --panoptic --npy
`;

export function prototypesCommand(): Command {
  const command = new Command('prototypes')
    .description("extract the prototypes of a run's training images")
    .argument('<run>', RUN_ARGUMENT)
    .addOption(new Option('--list <file>', 'take them from the images of this list (default: the training list)'))
    .addOption(new Option('--panoptic', 'tell objects of a class apart; the list needs a column of instance maps'))
    .addOption(new Option('--npy', 'also write prototype_features.npy and prototype_labels.npy, as SegSort did'));
  addViewFlags(command, 'windows');
  addRetrievalFlags(command, ['prototypeImages', 'stride', 'batch']);
  return addAdapterFlag(command)
    .addHelpText('after', HELP)
    .action(async (folder: string, options: PrototypesOptions) => {
      const run = await openRun(folder, command);
      requireRetrieval(run);
      const weights = await weightsOf(run);
      const views = viewsOf(options);
      await withGpu(options, async (session) => {
        const work = { session, config: run.config, views };
        const { list, panoptic = false, npy = false } = options;
        const { table, dataset } = await extractPrototypes(work, weights, list, { panoptic });
        const files = await savePrototypes(run, table, weights, { npy, ...(list === undefined ? {} : { list }) });
        console.log(`${files.join(', ')}: ${table.size} prototypes of ${dataset.length} images`);
      });
    });
}

/** What `openRun` takes. */
export const RUN_ARGUMENT = 'folder of the run, or a checkpoint of it, such as RUN/best.safetensors';

/** @throws UsageError for a run whose network gives classes */
export function requireRetrieval({ folder, config }: RunFolder): void {
  if (!retrieves(config))
    throw new UsageError(
      `${folder} was trained for ${config.training.objective}: its network gives classes, and there are no prototypes to retrieve`,
    );
}

/** Adds the flag that names other prototypes than the run's own. */
export function addPrototypesFlag(command: Command): Command {
  const help = "search these: .safetensors, or .npy features with labels beside them (default: the run's own)";
  return command.addOption(new Option('--prototypes <file>', help));
}

/** Adds flags of the retrieval settings. */
export function addRetrievalFlags(command: Command, settings: readonly string[]): void {
  addConfigFlags(command, ({ path: [section, setting] }) => section === 'retrieval' && settings.includes(setting!));
}

/** The run in a folder, or a checkpoint of one, with settings changed by flags. */
export async function openRun(path: string, command: Command): Promise<RunFolder> {
  const found = await RunFolder.find(path);
  const run = found.run.at(found.checkpoint);
  const { preset } = run.resolved;
  const file = { name: run.path('config.json'), contents: run.config };
  return run.with(resolveConfig({ preset, file, flags: configFromFlags(command) }));
}

/** Extracts prototypes of the first so many images of a list, by default of the training list. */
export async function extractPrototypes(
  work: Work,
  weights: Weights,
  list?: string,
  { panoptic = false } = {},
): Promise<{ table: PrototypeTable; dataset: Dataset }> {
  const { data, retrieval } = work.config;
  const all = await openList(data.root, list ?? prototypeList(work.config), 'list', WITHOUT_REGIONS);
  const dataset = firstOf(all, retrieval.prototypeImages);
  requireLabels(dataset, ' to take prototypes by');
  if (panoptic && !dataset.hasIds)
    throw new UsageError(
      `--panoptic: ${all.list.file} has no instance maps; its lines would be \`image label.png instances.png\``,
    );
  using segmenter = await openSegmenter(work, weights, [dataset]);
  return { table: await extractTable(work, segmenter, dataset, { panoptic }), dataset };
}

export interface SaveOptions {
  /** Also as the pair of NumPy files that the reference writes. */
  readonly npy?: boolean;
  /** The list they were taken from, if not the training list. */
  readonly list?: string;
}

/** Writes the prototypes that some weights of the run made into its folder; returns the paths. */
export async function savePrototypes(
  run: RunFolder,
  table: PrototypeTable,
  weights: NonNullable<Weights>,
  { npy = false, list }: SaveOptions = {},
): Promise<string[]> {
  const metadata = prototypeMetadata(run.config.data.classes, weights, list);
  const files = [await run.writeResult('prototypes.safetensors', table.serialize(metadata))];
  if (!npy) return files;
  const { size, channels, features, labels } = table;
  const shapes = { features: [size, channels], labels: [size] };
  files.push(
    await run.writeResult(
      'prototype_features.npy',
      serializeNpy({ dtype: 'F32', shape: shapes.features, data: features }),
    ),
    await run.writeResult('prototype_labels.npy', serializeNpy({ dtype: 'I32', shape: shapes.labels, data: labels })),
  );
  if (table.instances) {
    const data = table.instances;
    files.push(
      await run.writeResult(
        'prototype_instance_labels.npy',
        serializeNpy({ dtype: 'I32', shape: shapes.labels, data }),
      ),
    );
  }
  return files;
}

/**
 * The prototypes of a run, or those in a file, to be searched with some weights of the run.
 *
 * @throws UsageError where the run's own were made by other weights, or either are of other classes
 */
export async function openPrototypes(
  run: RunFolder,
  weights: NonNullable<Weights>,
  file?: string,
): Promise<SearchedPrototypes> {
  const list = prototypeList(run.config);
  const found =
    file === undefined
      ? parsePrototypes(await run.readPrototypes(), run.prototypes, list)
      : await readPrototypes(file, list);
  requireClasses(found, run.config.data.classes, file ?? run.prototypes);
  const problem = otherWeights(found, weights);
  if (problem !== null && file === undefined)
    throw new UsageError(`${run.prototypes} ${problem}: extract them anew with \`segsort prototypes ${run.argument}\``);
  // Whoever names a file may want just that.
  if (problem !== null) console.error(`${file} ${problem}`);
  return found;
}

/** The same, or null for a run that retrieves nothing. */
export async function prototypesToSearch(
  run: RunFolder,
  weights: NonNullable<Weights>,
  file: string | undefined,
): Promise<SearchedPrototypes | null> {
  if (!retrieves(run.config)) {
    if (file !== undefined) requireRetrieval(run);
    return null;
  }
  return openPrototypes(run, weights, file);
}
