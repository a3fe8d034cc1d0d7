/** `segsort prototypes`: the prototypes of a run's training images, for retrieval. */
import { Command, Option } from 'commander';
import { Dataset } from '../data/dataset.js';
import { PrototypeTable } from '../segsort/prototype_table.js';
import { resolveConfig } from './config.js';
import { openList } from './data_folder.js';
import { addCommonFlags, addConfigFlags, type CommonOptions, configFromFlags } from './options.js';
import { RunFolder } from './run_folder.js';
import { extractTable, openSegmenter, type Weights, type Work, weightsOf } from './segmentation.js';
import { withGpu } from './session.js';

interface PrototypesOptions extends CommonOptions {
  readonly list?: string;
}

const HELP = `
Writes RUN/prototypes.safetensors: a unit vector for every segment of the training images, with its label and where it
came from. \`segsort predict\` and \`segsort evaluate\` search them.

Example:
  segsort prototypes runs/photos --prototype-images 500
`;

export function prototypesCommand(): Command {
  const command = new Command('prototypes')
    .description("extract the prototypes of a run's training images")
    .argument('<run>', 'folder of the run')
    .addOption(new Option('--list <file>', 'take them from the images of this list (default: the training list)'));
  addRetrievalFlags(command, ['prototypeImages', 'stride', 'batch']);
  return addCommonFlags(command)
    .addHelpText('after', HELP)
    .action(async (folder: string, options: PrototypesOptions) => {
      const run = await openRun(folder, command);
      const weights = await weightsOf(run);
      await withGpu(options, async (session) => {
        const work = { session, config: run.config };
        const { table, dataset } = await extractPrototypes(work, weights, options.list);
        const file = await savePrototypes(run, table);
        console.log(`${file}: ${table.size} prototypes of ${dataset.length} images`);
      });
    });
}

/** Adds flags of the retrieval settings. */
export function addRetrievalFlags(command: Command, settings: readonly string[]): void {
  addConfigFlags(command, ({ path: [section, setting] }) => section === 'retrieval' && settings.includes(setting!));
}

/** The run in a folder, with settings changed by flags. */
export async function openRun(folder: string, command: Command): Promise<RunFolder> {
  const run = await RunFolder.open(folder);
  const { preset } = run.resolved;
  const file = { name: run.path('config.json'), contents: run.config };
  return run.with(resolveConfig({ preset, file, flags: configFromFlags(command) }));
}

/** Extracts prototypes of the first so many images of a list, by default of the training list. */
export async function extractPrototypes(
  work: Work,
  weights: Weights,
  list?: string,
): Promise<{ table: PrototypeTable; dataset: Dataset }> {
  const { data, retrieval } = work.config;
  const all = await openList(data.root, list ?? data.train, 'list');
  const dataset = firstOf(all, retrieval.prototypeImages);
  using segmenter = await openSegmenter(work, weights, [dataset]);
  return { table: await extractTable(work, segmenter, dataset), dataset };
}

/** The first so many images of a data set; all of them for null. */
export function firstOf(dataset: Dataset, count: number | null): Dataset {
  if (count === null || count >= dataset.length) return dataset;
  const { file, entries } = dataset.list;
  return new Dataset(dataset.source, { file, entries: entries.slice(0, count) });
}

export async function savePrototypes(run: RunFolder, table: PrototypeTable): Promise<string> {
  return run.write('prototypes.safetensors', table.serialize({ classes: JSON.stringify(run.config.data.classes) }));
}

/** The prototypes that `savePrototypes` wrote. */
export async function loadPrototypes(run: RunFolder): Promise<PrototypeTable> {
  return PrototypeTable.parse(await run.readPrototypes(), run.prototypes).table;
}
