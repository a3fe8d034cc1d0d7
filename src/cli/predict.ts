/** `segsort predict`: labels for images, as PNG files. */
import { mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { colourLabels, encodePalettePng, encodePng, vocPalette } from '../data/codecs.js';
import { Dataset } from '../data/dataset.js';
import { folderFiles, writeFileAtomic } from '../platform/files.node.js';
import type { PrototypeTable } from '../segsort/prototype_table.js';
import { overlayLabels } from '../viz/maps.js';
import { openList } from './data_folder.js';
import { UsageError } from './errors.js';
import { addCommonFlags, type CommonOptions } from './options.js';
import { addRetrievalFlags, loadPrototypes, openRun } from './prototypes.js';
import type { RunFolder } from './run_folder.js';
import { openSegmenter, segmentAll, type Weights, type Work, weightsOf } from './segmentation.js';
import { withGpu } from './session.js';
import { imageOf } from './sheet.js';

interface PredictOptions extends CommonOptions {
  readonly list?: string;
  readonly out?: string;
  readonly colour?: boolean;
  readonly overlay?: boolean;
}

const HELP = `
Writes a PNG for every image, with the class of each pixel as its value and VOC's colours as palette.
Run \`segsort prototypes RUN\` first.

Examples:
  segsort predict runs/photos holiday.jpg more-photos/ --overlay
  segsort predict runs/photos --list val.txt --out predictions
`;

export function predictCommand(): Command {
  const command = new Command('predict')
    .description('segment images')
    .argument('<run>', 'folder of the run')
    .argument('[images...]', 'image files, and folders of them (JPEG and PNG)')
    .addOption(new Option('--list <file>', "segment the images of a list in the run's data folder"))
    .addOption(new Option('--out <folder>', 'where to write (default: RUN/predictions)'))
    .addOption(new Option('--colour', 'also write the labels as an RGB image, NAME-colour.png'))
    .addOption(new Option('--overlay', 'also write the image tinted by its labels, NAME-overlay.png'));
  addRetrievalFlags(command, ['neighbours', 'stride', 'batch']);
  return addCommonFlags(command)
    .addHelpText('after', HELP)
    .action(async (folder: string, images: string[], options: PredictOptions) => {
      await predict(await openRun(folder, command), images, options);
    });
}

async function predict(run: RunFolder, paths: readonly string[], options: PredictOptions): Promise<void> {
  const table = await loadPrototypes(run);
  const weights = await weightsOf(run);
  const dataset = await imagesOf(run, paths, options.list);
  const out = resolve(options.out ?? run.path('predictions'));
  await withGpu(options, (session) => {
    return predictImages({ session, config: run.config }, { weights, table, dataset, out, ...options });
  });
  console.log(`${dataset.length} images segmented; written to ${out}`);
}

export interface PredictionRequest {
  readonly weights: Weights;
  readonly table: PrototypeTable;
  readonly dataset: Dataset;
  /** Folder for the files, which are named after the images. */
  readonly out: string;
  readonly colour?: boolean;
  readonly overlay?: boolean;
}

/** Segments the images of a data set and writes the PNG files. */
export async function predictImages(work: Work, request: PredictionRequest): Promise<void> {
  const { weights, table, dataset, out, colour, overlay } = request;
  const palette = vocPalette();
  using segmenter = await openSegmenter(work, weights, [dataset]);
  segmenter.usePrototypes(table);
  await segmentAll(work, segmenter, dataset, async (segmented) => {
    const { found, height, width, labels: data } = segmented;
    const labels = { height, width, data };
    const save = async (suffix: string, bytes: Uint8Array) => {
      const path = join(out, `${withoutEnding(found.name)}${suffix}.png`);
      await mkdir(dirname(path), { recursive: true });
      await writeFileAtomic(path, bytes);
    };
    await save('', encodePalettePng(labels));
    if (colour) await save('-colour', encodePng(colourLabels(labels, palette)));
    if (overlay) await save('-overlay', encodePng(overlayLabels(imageOf(segmented), labels, palette)));
  });
}

const withoutEnding = (path: string): string => path.slice(0, path.length - extname(path).length);

const ENDINGS = new Set(['.jpg', '.jpeg', '.png']);

/** The images of a list, or those named on the command line, as a data set without labels. */
export async function imagesOf(run: RunFolder, paths: readonly string[], list: string | undefined): Promise<Dataset> {
  if ((list === undefined) === (paths.length === 0))
    throw new UsageError('name either images and folders, or a --list of images');
  const { root } = run.config.data;
  if (list !== undefined) {
    const listed = await openList(root, list, 'list');
    const entries = listed.list.entries.map((entry) => ({ ...entry, label: null }));
    return new Dataset(listed.source, { file: listed.list.file, entries });
  }
  const files = (await Promise.all(paths.map(filesUnder))).flat();
  const common = commonFolder(files);
  const entries = files.map((file, index) => ({ image: relative(common, file), label: null, line: index + 1 }));
  return new Dataset(folderFiles(common), { file: 'the command line', entries });
}

/** A file itself; of a folder, the images in it, by name. */
async function filesUnder(path: string): Promise<string[]> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new UsageError(`there is no image or folder ${path}`) : error;
  });
  if (!found.isDirectory()) return [resolve(path)];
  const names = (await readdir(path)).filter((name) => ENDINGS.has(extname(name).toLowerCase()));
  if (names.length === 0) throw new UsageError(`${path} holds no images; they are known by .jpg, .jpeg and .png`);
  return names.sort().map((name) => resolve(path, name));
}

/** The deepest folder that holds all files. */
function commonFolder(files: readonly string[]): string {
  let folder = dirname(files[0]!);
  const holds = (file: string) => !relative(folder, file).startsWith('..');
  while (!files.every(holds) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}
