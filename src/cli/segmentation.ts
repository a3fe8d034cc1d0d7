/** Segmenting a data set with the network of a run: prototypes, predictions, scores. */
import type { Dataset } from '../data/dataset.js';
import { IGNORE_LABEL } from '../data/image.js';
import { type Batch, Loader } from '../data/loader.js';
import { ConfusionMatrix, type SegmentationScore } from '../evaluation/confusion.js';
import { buildNetwork } from '../models/network.js';
import { PrototypeTable } from '../segsort/prototype_table.js';
import { type SegmentedImage, Segmenter } from '../segsort/segmenter.js';
import type { RunConfig } from './config.js';
import { Progress } from './progress.js';
import type { RunFolder } from './run_folder.js';
import type { Session } from './session.js';

export interface Work {
  readonly session: Session;
  readonly config: RunConfig;
  /** Put before what the progress says: `untrained network: `. */
  readonly prefix?: string;
}

/** The weights of a checkpoint, or null for a network as it is before training. */
export type Weights = { readonly bytes: Uint8Array<ArrayBuffer>; readonly file: string } | null;

export async function weightsOf(run: RunFolder): Promise<NonNullable<Weights>> {
  return { bytes: await run.readCheckpoint(), file: run.checkpoint };
}

/** A segmenter for images up to the largest of these data sets. */
export async function openSegmenter(
  { session, config }: Work,
  weights: Weights,
  datasets: readonly Dataset[],
): Promise<Segmenter> {
  const { network, segments, retrieval, data, training } = config;
  const built = buildNetwork({ backbone: network.backbone, outputs: network.embedding });
  const sizes = await Promise.all(datasets.map((dataset) => dataset.largestSize()));
  const padded = (side: number) => Math.ceil(side / built.inputMultiple) * built.inputMultiple;
  const canvas = [
    padded(Math.max(...sizes.map(({ height }) => height))),
    padded(Math.max(...sizes.map(({ width }) => width))),
  ] as const;
  const segmenter = new Segmenter(session.runtime, built, {
    canvas,
    cells: segments.cells,
    kmeansIterations: segments.kmeansIterations,
    neighbours: retrieval.neighbours,
    stride: retrieval.stride,
    classes: data.classes.length,
    ignore: IGNORE_LABEL,
    mean: data.mean,
    // Running statistics say nothing before training.
    batchStatistics: weights === null,
    seed: training.seed,
  });
  if (weights) segmenter.load(weights.bytes, weights.file);
  return segmenter;
}

/** Goes through a data set once, whole images. */
async function forEachBatch(
  { config, prefix = '' }: Work,
  segmenter: Segmenter,
  dataset: Dataset,
  label: string,
  body: (batch: Batch) => Promise<void>,
): Promise<void> {
  const [height, width] = segmenter.options.canvas;
  const { batch: size } = config.retrieval;
  await using loader = await Loader.open(dataset, {
    batch: Math.min(size, dataset.length),
    crop: { height, width },
    cacheBytes: 0,
    ...(config.run.workers === null ? {} : { workers: config.run.workers }),
  });
  using progress = new Progress({ label: `${prefix}${label}`, total: dataset.length });
  let done = 0;
  for (let step = 0; step < loader.steps; step++) {
    const batch = await loader.batch(step);
    await body(batch);
    done += batch.indices.length;
    progress.update(done);
  }
}

/** The prototypes of labelled images. */
export async function extractTable(work: Work, segmenter: Segmenter, dataset: Dataset): Promise<PrototypeTable> {
  const table = new PrototypeTable(work.config.network.embedding);
  await forEachBatch(work, segmenter, dataset, 'prototypes', (batch) => segmenter.extract(batch, table));
  return table;
}

/** An image and what was found in it, at the image's own size. */
export interface Segmented {
  readonly index: number;
  readonly batch: Batch;
  /** Place of the image in the batch. */
  readonly place: number;
  readonly found: SegmentedImage;
  readonly height: number;
  readonly width: number;
  readonly labels: Uint8Array;
}

/** Segments every image of a data set, in order. `usePrototypes` must have been called. */
export async function segmentAll(
  work: Work,
  segmenter: Segmenter,
  dataset: Dataset,
  visit: (image: Segmented) => Promise<void> | void,
): Promise<void> {
  const { stride } = segmenter.options;
  await forEachBatch(work, segmenter, dataset, 'segmenting', async (batch) => {
    for (const [place, found] of (await segmenter.predict(batch)).entries()) {
      const height = batch.placement.data[place * 8]!;
      const width = batch.placement.data[place * 8 + 1]!;
      const labels = Uint8Array.from(enlarge(found.labels, found, { height, width, stride }));
      await visit({ index: batch.indices[place]!, batch, place, found, height, width, labels });
    }
  });
}

/** A map of one value for `stride` pixels each way, at the size of its image: value i lies on pixel `i * stride`. */
export function enlarge(
  map: Int32Array,
  size: { readonly height: number; readonly width: number },
  image: { readonly height: number; readonly width: number; readonly stride: number },
): Int32Array {
  const { height, width, stride } = image;
  if (stride === 1) return map;
  const nearest = (pixel: number, extent: number) => Math.min(extent - 1, Math.ceil(pixel / stride - 0.5));
  const values = new Int32Array(height * width);
  for (let y = 0; y < height; y++) {
    const row = nearest(y, size.height) * size.width;
    for (let x = 0; x < width; x++) values[y * width + x] = map[row + nearest(x, size.width)]!;
  }
  return values;
}

/** Ground truth of an image in a batch, at its own size. */
export function truthOf({ batch, place, height, width }: Segmented): Uint8Array {
  const canvasWidth = batch.canvas.shape[2]!;
  const first = place * batch.canvas.shape[1]! * canvasWidth;
  const labels = new Uint8Array(height * width);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      labels[y * width + x] = (batch.canvas.data as Uint32Array)[first + y * canvasWidth + x]! >>> 24;
  return labels;
}

export interface Scores {
  readonly images: number;
  readonly score: SegmentationScore;
  /** The best labelling that the clusters allow. */
  readonly oracle: SegmentationScore;
  readonly commonest: SegmentationScore & { readonly label: number };
}

/** Segments a labelled data set and scores it, at the size of its images. `visit` sees every image. */
export async function scoreDataset(
  work: Work,
  segmenter: Segmenter,
  dataset: Dataset,
  visit: (image: Segmented, accuracy: number | null) => Promise<void> | void = () => {},
): Promise<Scores> {
  const classes = work.config.data.classes.length;
  const confusion = new ConfusionMatrix(classes, IGNORE_LABEL);
  const best = new ConfusionMatrix(classes, IGNORE_LABEL);
  let images = 0;
  await segmentAll(work, segmenter, dataset, async (image) => {
    const truth = truthOf(image);
    const { found, height, width, labels } = image;
    const { stride } = segmenter.options;
    confusion.add(truth, labels);
    best.add(truth, enlarge(found.oracle, found, { height, width, stride }));
    const own = new ConfusionMatrix(classes, IGNORE_LABEL);
    own.add(truth, labels);
    images++;
    await visit(image, own.score().pixelAccuracy);
  });
  return { images, score: confusion.score(), oracle: best.score(), commonest: confusion.commonestClassScore() };
}
