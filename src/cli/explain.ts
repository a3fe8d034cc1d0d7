/** `segsort explain`: the training segments that decided on every segment of an image, as a picture and as JSON. */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { encodePng, IGNORE_LABEL } from '../data/codecs.js';
import type { Dataset } from '../data/dataset.js';
import { classNames, type DataDescription, paletteOf } from '../data/description.js';
import { writeFileAtomic } from '../platform/files.node.js';
import type { PrototypeTable } from '../segsort/prototype_table.js';
import { explanationSheet } from '../viz/explanation_sheet.js';
import { maskOf } from '../viz/maps.js';
import { openList } from './data_folder.js';
import { EXIT } from './errors.js';
import { type AdapterOptions, addAdapterFlag, wholeNumber } from './options.js';
import {
  addPrototypesFlag,
  addRetrievalFlags,
  openPrototypes,
  openRun,
  RUN_ARGUMENT,
  requireRetrieval,
} from './prototypes.js';
import type { RunFolder } from './run_folder.js';
import { descriptionOf } from './segmenting/description.js';
import { explainSegments, type SegmentExplanation } from './segmenting/explanation.js';
import { type BadImage, describeBadImages, imagesOf, outputNames, readableImages } from './segmenting/inputs.js';
import { Outlines } from './segmenting/outlines.js';
import { TrainingSegments } from './segmenting/retrieved.js';
import {
  enlarge,
  entriesOf,
  imageOf,
  openSegmenter,
  type Segmented,
  segmentAll,
  truthOf,
  WITHOUT_REGIONS,
  weightsOf,
} from './segmenting/segmentation.js';
import { embeddingMap } from './segmenting/sheet.js';
import { addViewFlags, type ViewFlags, viewsOf } from './segmenting/views.js';
import { withGpu } from './session.js';

interface ExplainOptions extends AdapterOptions, ViewFlags {
  readonly list?: string;
  readonly prototypes?: string;
  readonly out?: string;
  readonly force?: boolean;
  readonly nearest: number;
  readonly json?: boolean;
}

const HELP = `
Writes NAME.png, every segment of the image beside the training segments most similar to it, and NAME.json with all
that voted: similarities, labels, image names and boxes. Run \`segsort prototypes RUN\` first.

Example:
  segsort explain runs/photos holiday.jpg --nearest 8
`;

export function explainCommand(): Command {
  const command = new Command('explain')
    .description('show which training segments decided on the labels of an image')
    .argument('<run>', RUN_ARGUMENT)
    .argument('[images...]', 'image files, folders of them, and patterns such as "*.jpg" (JPEG and PNG)')
    .addOption(new Option('--list <file>', "explain the images of a list in the run's data folder"))
    .addOption(new Option('--out <folder>', 'where to write (default: RUN/explanations)'))
    .addOption(new Option('--force', 'write over files that are in the folder of --out already'))
    .addOption(new Option('--nearest <n>', 'training segments shown beside each').default(5).argParser(wholeNumber(1)))
    .addOption(new Option('--json', 'print the JSON, and draw nothing'));
  addPrototypesFlag(command);
  addViewFlags(command, 'windows');
  addRetrievalFlags(command, ['neighbours', 'stride', 'batch']);
  return addAdapterFlag(command)
    .addHelpText('after', HELP)
    .action(async (folder: string, images: string[], options: ExplainOptions) => {
      process.exitCode = await explain(await openRun(folder, command), images, options);
    });
}

async function explain(run: RunFolder, paths: readonly string[], options: ExplainOptions): Promise<number> {
  requireRetrieval(run);
  const weights = await weightsOf(run);
  const { table, list } = await openPrototypes(run, weights, options.prototypes);
  const all = await imagesOf(run, paths, options.list, { labels: true });
  const { readable, bad } = await readableImages(all);
  const out = resolve(options.out ?? join(run.results, 'explanations'));
  const description = await descriptionOf(run.config);
  const views = viewsOf(options);
  if (readable)
    await withGpu(options, async (session) => {
      const work = { session, config: run.config, views };
      const keep = options.out !== undefined && !options.force;
      const outputs = { folder: out, suffixes: ['.png', '.json'], keep };
      const names = options.json ? [] : await outputNames(readable, run.config, outputs);
      using segmenter = await openSegmenter(work, weights, [readable]);
      segmenter.usePrototypes(table);
      const source = options.json ? null : await imagesBehind(table, run, list);
      // Another canvas would change what a network with pooling over all of it makes of an image.
      using trainingSegmenter = source && (await openSegmenter(work, weights, [source]));
      const outlines = source && trainingSegmenter && new Outlines(trainingSegmenter, source, table);
      const { classes } = run.config.data;
      const shown = new TrainingSegments(table, source, classes, (row, index) => outlines?.of(row, index) ?? null);
      const visit = async (segmented: Segmented) => {
        const segments = explainSegments(segmented, segmenter.options.stride, table, classes);
        const { height, width, found } = segmented;
        const json = `${JSON.stringify({ image: found.name, height, width, segments }, null, 2)}\n`;
        if (options.json) return void process.stdout.write(json);
        const base = join(out, names[segmented.index]!);
        await mkdir(dirname(base), { recursive: true });
        await writeFileAtomic(`${base}.json`, json);
        await writeFileAtomic(
          `${base}.png`,
          await drawExplanation(segmented, segments, {
            training: shown,
            description,
            nearest: options.nearest,
            stride: segmenter.options.stride,
          }),
        );
      };
      await segmentAll(work, segmenter, readable, visit, (index, error) => {
        bad.push({ name: readable.names[index]!, message: error.message } satisfies BadImage);
      });
    });
  if (!options.json) console.log(`${all.length - bad.length} images explained; written to ${out}`);
  if (bad.length === 0) return 0;
  console.error(describeBadImages(bad, all.length));
  return EXIT.failure;
}

/** The images that prototypes were taken from; null where the prototypes don't say. */
async function imagesBehind(table: PrototypeTable, run: RunFolder, list: string): Promise<Dataset | null> {
  const images = new Set(table.images);
  if (images.size === 0) return null;
  const all = await openList(run.config.data.root, list, 'list', WITHOUT_REGIONS);
  const indices = all.names.flatMap((name, index) => (images.has(name) ? [index] : []));
  return indices.length > 0 ? entriesOf(all, indices) : null;
}

export interface DrawingOptions {
  readonly training: TrainingSegments;
  readonly description: DataDescription;
  /** Training segments shown beside each. */
  readonly nearest: number;
  /** Pixels of the image for one of its segmentation, each way. */
  readonly stride: number;
}

/** The picture of an explanation, as a PNG file. */
export async function drawExplanation(
  segmented: Segmented,
  segments: readonly SegmentExplanation[],
  { training, description, nearest, stride }: DrawingOptions,
): Promise<Uint8Array> {
  const { found, height, width, labels } = segmented;
  if (!found.segments) throw new Error(`${found.name}: there are no segments to explain`);
  const image = imageOf(segmented);
  const truth = truthOf(segmented);
  const clusters = { height, width, data: enlarge(found.segments.clusters, found, { height, width, stride }) };
  const explained = segments.map(async (segment) => ({
    query: {
      image,
      mask: maskOf(clusters, segment.segment),
      label: segment.label,
      caption: `${segment.class}\n${(segment.share * 100).toFixed(1)}%, ${agreeing(segment)}/${segment.nearest.length}`,
    },
    nearest: await Promise.all(
      segment.nearest.slice(0, nearest).map(async ({ prototype, similarity, class: name }) => {
        const shown = await training.shown(prototype, similarity);
        return shown ?? { caption: `${name}\n${similarity.toFixed(3)}` };
      }),
    ),
  }));
  return encodePng(
    explanationSheet({
      title: found.name,
      subtitle: `${segments.length} segments; under each its share of the image, and how many of its nearest training segments agree`,
      classes: classNames(description),
      palette: paletteOf(description),
      image,
      truth: truth.every((label) => label === IGNORE_LABEL) ? null : { height, width, data: truth },
      embedding: embeddingMap(found, found.segments),
      clusters,
      prediction: { height, width, data: labels },
      segments: await Promise.all(explained),
    }),
  );
}

/** How many of the prototypes that voted have the label that was given. */
const agreeing = ({ votes, label }: SegmentExplanation): number =>
  votes.find((vote) => vote.label === label)?.count ?? 0;
