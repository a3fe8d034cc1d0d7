/** `segsort predict`: labels for images, as PNG files. */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { colourLabels, encodeGreyPng, encodePalettePng, encodePng } from '../data/codecs.js';
import type { Dataset } from '../data/dataset.js';
import { backgroundOf, paletteOf } from '../data/description.js';
import { writeFileAtomic } from '../platform/files.node.js';
import { type ObjectOptions, panopticOf } from '../segsort/panoptic.js';
import type { PrototypeTable } from '../segsort/prototype_table.js';
import { overlayLabels } from '../viz/maps.js';
import { EXIT } from './errors.js';
import { type AdapterOptions, addAdapterFlag } from './options.js';
import { addPrototypesFlag, addRetrievalFlags, openRun, prototypesToSearch, RUN_ARGUMENT } from './prototypes.js';
import type { RunFolder } from './run_folder.js';
import { descriptionOf } from './segmenting/description.js';
import { type BadImage, describeBadImages, imagesOf, outputNames, readableImages } from './segmenting/inputs.js';
import { addObjectFlags, type ObjectFlags, objectsOf } from './segmenting/objects.js';
import { type PanopticEntry, panopticImage, panopticIndex } from './segmenting/panoptic_files.js';
import { imageOf, openSegmenter, segmentAll, type Weights, type Work, weightsOf } from './segmenting/segmentation.js';
import { addViewFlags, type ViewFlags, viewsOf } from './segmenting/views.js';
import { withGpu } from './session.js';

const PANOPTIC_INDEX = 'panoptic.json';

interface PredictOptions extends AdapterOptions, ViewFlags, ObjectFlags {
  readonly list?: string;
  readonly prototypes?: string;
  readonly out?: string;
  readonly force?: boolean;
  readonly grey?: boolean;
  readonly colour?: boolean;
  readonly overlay?: boolean;
}

const HELP = `
Writes a PNG for every image, with the class of each pixel as its value and the data set's colours as palette. Run
\`segsort prototypes RUN\` first, unless the run was trained to classify pixels. Images that cannot be read are passed
over and named at the end; the exit code then is 1.

Examples:
  segsort predict runs/photos holiday.jpg more-photos/ 'trips/**/*.jpg' --overlay
  segsort predict runs/photos --list val.txt --out predictions
  segsort predict runs/photos holiday.jpg --window 480 --window-stride 320 --scales 0.5,0.75,1,1.25,1.5,1.75 --flip
`;

export function predictCommand(): Command {
  const command = new Command('predict')
    .description('segment images')
    .argument('<run>', RUN_ARGUMENT)
    .argument('[images...]', 'image files, folders of them, and patterns such as "*.jpg" (JPEG and PNG)')
    .addOption(new Option('--list <file>', "segment the images of a list in the run's data folder"))
    .addOption(new Option('--out <folder>', 'where to write (default: RUN/predictions)'))
    .addOption(new Option('--force', 'write over files that are in the folder of --out already'))
    .addOption(new Option('--grey', 'write grey PNGs, without a palette'))
    .addOption(new Option('--colour', 'also write the labels as an RGB image, NAME-colour.png'))
    .addOption(new Option('--overlay', 'also write the image tinted by its labels, NAME-overlay.png'));
  addPrototypesFlag(command);
  addObjectFlags(command, 'also write objects: NAME-panoptic.png and panoptic.json, in the format of COCO');
  addViewFlags(command);
  addRetrievalFlags(command, ['neighbours', 'stride', 'batch']);
  return addAdapterFlag(command)
    .addHelpText('after', HELP)
    .action(async (folder: string, images: string[], options: PredictOptions) => {
      process.exitCode = await predict(await openRun(folder, command), images, options);
    });
}

async function predict(run: RunFolder, paths: readonly string[], options: PredictOptions): Promise<number> {
  const weights = await weightsOf(run);
  const searched = await prototypesToSearch(run, weights, options.prototypes);
  const all = await imagesOf(run, paths, options.list);
  const { readable, bad } = await readableImages(all);
  const out = resolve(options.out ?? join(run.results, 'predictions'));
  const table = searched?.table ?? null;
  const views = viewsOf(options);
  const panoptic = await objectsOf(options, run.config, table);
  if (readable)
    await withGpu(options, async (session) => {
      const work = { session, config: run.config, views };
      const keep = options.out !== undefined && !options.force;
      bad.push(...(await predictImages(work, { ...options, weights, table, dataset: readable, out, keep, panoptic })));
    });
  console.log(`${all.length - bad.length} images segmented; written to ${out}`);
  if (bad.length === 0) return 0;
  console.error(describeBadImages(bad, all.length));
  return EXIT.failure;
}

export interface PredictionRequest {
  readonly weights: Weights;
  /** Null for a run that retrieves nothing. */
  readonly table: PrototypeTable | null;
  readonly dataset: Dataset;
  /** Folder for the files, which are named after the images. */
  readonly out: string;
  /** Refuses to write over files that are there. */
  readonly keep?: boolean;
  readonly grey?: boolean;
  readonly colour?: boolean;
  readonly overlay?: boolean;
  /** How to put objects together, if they are to be written. */
  readonly panoptic?: ObjectOptions | null;
}

/** Segments the images of a data set and writes the PNG files. Returns those that could not be read. */
export async function predictImages(work: Work, request: PredictionRequest): Promise<BadImage[]> {
  const { weights, table, dataset, out, grey = false, colour = false, overlay = false, panoptic = null } = request;
  const further = { colour, overlay, panoptic: panoptic !== null };
  const suffixes = Object.entries(further).flatMap(([name, wanted]) => (wanted ? [`-${name}.png`] : []));
  const names = await outputNames(dataset, work.config, {
    folder: out,
    suffixes: ['.png', ...suffixes],
    further: panoptic ? [PANOPTIC_INDEX] : [],
    keep: request.keep ?? false,
  });
  const description = await descriptionOf(work.config);
  const palette = paletteOf(description);
  const entries: PanopticEntry[] = [];
  const bad: BadImage[] = [];
  using segmenter = await openSegmenter(work, weights, [dataset]);
  if (table) segmenter.usePrototypes(table);
  await segmentAll(
    work,
    segmenter,
    dataset,
    async (segmented) => {
      const { found, height, width, labels: data, index } = segmented;
      const labels = { height, width, data };
      const save = async (suffix: string, bytes: Uint8Array) => {
        const path = join(out, `${names[index]}${suffix}.png`);
        await mkdir(dirname(path), { recursive: true });
        await writeFileAtomic(path, bytes);
      };
      await save('', grey ? encodeGreyPng(labels) : encodePalettePng(labels, palette));
      if (colour) await save('-colour', encodePng(colourLabels(labels, palette)));
      const background = backgroundOf(description);
      if (overlay)
        await save('-overlay', encodePng(overlayLabels(imageOf(segmented), labels, palette, { background })));
      if (panoptic) {
        const size = { height, width, stride: segmenter.options.stride };
        const files = { image: found.name, png: `${names[index]}-panoptic.png` };
        const { png, entry } = panopticImage(panopticOf(found, panoptic), size, files);
        await save('-panoptic', png);
        entries.push(entry);
      }
    },
    (index, error) => bad.push({ name: dataset.names[index]!, message: error.message }),
  );
  if (panoptic && entries.length > 0)
    await writeFileAtomic(join(out, PANOPTIC_INDEX), `${JSON.stringify(panopticIndex(description, entries))}\n`);
  return bad;
}
