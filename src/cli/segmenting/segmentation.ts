/** Segmenting a data set with the network of a run: prototypes and predictions. */
import { Dataset } from '../../data/dataset.js';
import { unpackPixels } from '../../data/decode.js';
import { DataError } from '../../data/errors.js';
import { IGNORE_LABEL, NO_ID, type RgbImage } from '../../data/image.js';
import { type Batch, Loader, type LoaderOptions } from '../../data/loader.js';
import type { Network } from '../../models/network.js';
import { PrototypeTable } from '../../segsort/prototype_table.js';
import {
  type ExtractOptions,
  type SegmentedImage,
  Segmenter,
  type SegmenterOptions,
  wholeCanvas,
} from '../../segsort/segmenter.js';
import type { ViewOptions } from '../../segsort/views.js';
import type { HostTensor } from '../../tensor/types.js';
import type { RunConfig } from '../config/config.js';
import { learnsEmbedding, networkOf } from '../config/objective.js';
import { UsageError } from '../errors.js';
import { Progress } from '../progress.js';
import type { RunFolder } from '../run_folder.js';
import type { Session } from '../session.js';

export interface Work {
  readonly session: Session;
  readonly config: RunConfig;
  /** Put before what the progress says: `untrained network: `. */
  readonly prefix?: string;
  /** How images are looked at; null or nothing: each as it is, whole. */
  readonly views?: ViewOptions | null;
}

/** The weights of a checkpoint, or null for a network as it is before training. */
export type Weights = { readonly bytes: Uint8Array<ArrayBuffer>; readonly file: string } | null;

export async function weightsOf(run: RunFolder): Promise<NonNullable<Weights>> {
  return { bytes: await run.readCheckpoint(), file: run.checkpoint };
}

/** For `openList`: region masks teach, and nothing here looks at them. */
export const WITHOUT_REGIONS = { regions: null } as const;

/** Whether a run segments by retrieval; otherwise its network gives classes, and there are no prototypes. */
export const retrieves = ({ training }: RunConfig): boolean => learnsEmbedding(training.objective);

/**
 * A segmenter with weights of its own, for images up to the largest of these data sets.
 *
 * @throws UsageError where the network cannot see through windows of the size asked for
 */
export async function openSegmenter(work: Work, weights: Weights, datasets: readonly Dataset[]): Promise<Segmenter> {
  // Running statistics say nothing before training.
  const parameters = { batchStatistics: weights === null, seed: work.config.training.seed };
  const segmenter = await makeSegmenter(work, networkOf(work.config), datasets, parameters);
  if (weights) segmenter.load(weights.bytes, weights.file);
  return segmenter;
}

/** The same with the parameters of a network that is being trained, as they are whenever the segmenter is used. */
export function openLiveSegmenter(
  work: Work,
  network: Network,
  datasets: readonly Dataset[],
  neighbours: number,
): Promise<Segmenter> {
  return makeSegmenter(work, network, datasets, { parameters: 'shared', neighbours });
}

async function makeSegmenter(
  { session, config, views = null }: Work,
  network: Network,
  datasets: readonly Dataset[],
  changes: Partial<SegmenterOptions>,
): Promise<Segmenter> {
  const { segments, retrieval, data } = config;
  const { inputMultiple } = network;
  if (views?.window?.some((side) => side % inputMultiple !== 0))
    throw new UsageError(
      `--window: ${views.window.join('x')} does not fit this network, whose input sides must be multiples of ${inputMultiple}`,
    );
  const sizes = await Promise.all(datasets.map((dataset) => dataset.largestSize()));
  const { stride } = retrieval;
  const largest = [
    Math.max(...sizes.map(({ height }) => height)),
    Math.max(...sizes.map(({ width }) => width)),
  ] as const;
  return new Segmenter(session.runtime, network, {
    canvas: views ? largest : wholeCanvas(network, stride, largest),
    cells: segments.cells,
    kmeansIterations: segments.kmeansIterations,
    neighbours: retrieval.neighbours,
    stride,
    classes: data.classes.length,
    ignore: IGNORE_LABEL,
    mean: data.mean,
    classifier: retrieves(config) ? 'retrieval' : 'softmax',
    views,
    ...changes,
  });
}

/** Is told of an image that cannot be read, by its index; the others go on. */
export type OnBadImage = (index: number, error: DataError) => void;

/** Goes through a data set once, whole images. */
async function forEachBatch(
  { config, prefix = '' }: Work,
  segmenter: Segmenter,
  dataset: Dataset,
  label: string,
  body: (batch: Batch) => Promise<void>,
  onBad?: OnBadImage,
): Promise<void> {
  const [height, width] = segmenter.options.canvas;
  const size = Math.min(config.retrieval.batch, dataset.length);
  const options = { batch: size, crop: { height, width }, cacheBytes: 0 };
  const { workers } = config.run;
  await using loader = await Loader.open(dataset, { ...options, ...(workers === null ? {} : { workers }) });
  using progress = new Progress({ label: `${prefix}${label}`, total: dataset.length });
  for (let step = 0; step < loader.steps; step++) {
    const last = Math.min(dataset.length, (step + 1) * size);
    const batch = await loader.batch(step).catch((error: unknown) => {
      if (!onBad || !(error instanceof DataError)) throw error;
      return null;
    });
    if (batch) await body(batch);
    else
      for (let index = step * size; index < last; index++) {
        const one = await batchOfOne(dataset, index, { ...options, canvas: loader.canvas }, onBad!);
        if (one) await body(one);
      }
    progress.update(last);
  }
}

/** One image in the first place of a batch, or null where it cannot be read. */
async function batchOfOne(
  dataset: Dataset,
  index: number,
  options: LoaderOptions,
  onBad: OnBadImage,
): Promise<Batch | null> {
  try {
    await using loader = await Loader.open(entriesOf(dataset, [index]), { ...options, workers: 0 });
    return { ...(await loader.batch(0)), indices: [index] };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    onBad(index, error);
    return null;
  }
}

/** Some images of a data set. */
export function entriesOf(dataset: Dataset, indices: readonly number[]): Dataset {
  const { file, entries } = dataset.list;
  return new Dataset(dataset.source, { file, entries: indices.map((index) => entries[index]!) }, dataset.options);
}

/** The first so many images of a data set; all of them for null. */
export function firstOf(dataset: Dataset, count: number | null): Dataset {
  if (count === null || count >= dataset.length) return dataset;
  return entriesOf(
    dataset,
    Array.from({ length: count }, (_, index) => index),
  );
}

/** The prototypes of labelled images. */
export async function extractTable(
  work: Work,
  segmenter: Segmenter,
  dataset: Dataset,
  options: ExtractOptions = {},
): Promise<PrototypeTable> {
  const table = new PrototypeTable(work.config.network.embedding);
  await forEachBatch(work, segmenter, dataset, 'prototypes', (batch) => segmenter.extract(batch, table, options));
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

/** Segments every image of a data set, in order. `usePrototypes` must have been called if the run retrieves. */
export async function segmentAll(
  work: Work,
  segmenter: Segmenter,
  dataset: Dataset,
  visit: (image: Segmented) => Promise<void> | void,
  onBad?: OnBadImage,
): Promise<void> {
  const { stride } = segmenter.options;
  const segment = async (batch: Batch) => {
    for (const [place, found] of (await segmenter.predict(batch)).entries()) {
      const height = batch.placement.data[place * 8]!;
      const width = batch.placement.data[place * 8 + 1]!;
      const labels = Uint8Array.from(enlarge(found.labels, found, { height, width, stride }));
      await visit({ index: batch.indices[place]!, batch, place, found, height, width, labels });
    }
  };
  await forEachBatch(work, segmenter, dataset, 'segmenting', segment, onBad);
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

/** The pixels of an image in a batch. */
export function imageOf(segmented: Segmented): RgbImage {
  const { batch, height, width } = segmented;
  return unpackPixels({ height, width, pixels: wordsOf(batch.canvas, segmented) }).image;
}

/** Ground truth of an image in a batch, at its own size. */
export function truthOf(segmented: Segmented): Uint8Array {
  return Uint8Array.from(wordsOf(segmented.batch.canvas, segmented), (word) => word >>> 24);
}

/** True instances of an image in a batch, -1 for none; null where the data set has no instances. */
export function instancesOf(segmented: Segmented): Int32Array | null {
  const { ids } = segmented.batch;
  return ids && Int32Array.from(wordsOf(ids, segmented), (word) => (word >>> 16 === NO_ID ? -1 : word >>> 16));
}

/** An image's part of the words of a batch. */
function wordsOf({ shape, data }: HostTensor, { place, height, width }: Segmented): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(height * width);
  for (let y = 0; y < height; y++) {
    const from = (place * shape[1]! + y) * shape[2]!;
    words.set(data.subarray(from, from + width), y * width);
  }
  return words;
}
