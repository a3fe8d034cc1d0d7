/** Batches for training and evaluation: read and decoded ahead of the step that needs them. */
import type { StartWorker } from '../platform/workers.js';
import type { HostTensor } from '../tensor/types.js';
import { type AugmentOptions, type CropSize, epochOrder, evaluationPlacements, trainingPlacements } from './augment.js';
import type { Dataset } from './dataset.js';
import type { PackedImage } from './decode.js';
import { type Decoder, inlineDecoder, workerDecoder } from './decoder.js';
import { DataError } from './errors.js';

/** The inputs of `sampleCrop` and `sampleIds`, and which samples they are. */
export interface Batch {
  readonly step: number;
  /** u32 `[N,H,W]`: packed pixels, each image at the top left. */
  readonly canvas: HostTensor;
  /** u32 `[N,H,W]`: packed regions and instances, as `sampleIds` takes them; null where the data set has neither. */
  readonly ids: HostTensor | null;
  /** f32 `[N,8]`. */
  readonly placement: HostTensor;
  /** Indices into the data set. Fewer than N in the last batch of an evaluation; the other places are empty. */
  readonly indices: readonly number[];
  /** Image paths, in the order of `indices`. */
  readonly names: readonly string[];
}

export interface LoaderOptions {
  /** Images a step. */
  readonly batch: number;
  /** Size of the crops, in pixels. */
  readonly crop: CropSize;
  /**
   * Training: every epoch in another random order, without end, each image placed at random. Left out, the loader
   * goes once through the data set in order, every image whole.
   */
  readonly training?: AugmentOptions & { readonly seed: number };
  /** Size of the canvas, in pixels. Default: the largest height and width in the data set, from the file headers. */
  readonly canvas?: CropSize;
  /** Batches prepared ahead. Default 2. */
  readonly prefetch?: number;
  /**
   * Decoding threads; 0 decodes on the calling thread. Default: one less than the machine has, from 1 to 4; but 0
   * where the library runs from its TypeScript source, which threads cannot load.
   */
  readonly workers?: number;
  /** Decoded images are kept in memory up to so many bytes (4 a pixel, 8 with regions or instances). Default 256 MiB. */
  readonly cacheBytes?: number;
  /** Starts a decoding thread. Default: `decode_worker.js` beside the bundled library. */
  readonly startWorker?: StartWorker;
}

const runsFromSource = /\.ts(\?|$)/.test(import.meta.url);

/**
 * A prefetching loader. What a batch holds depends on (seed, step) and the data set alone, so a run resumed at step s
 * sees what it would have seen. Dispose of it (`await using`) to end its threads.
 */
export class Loader implements AsyncDisposable {
  readonly dataset: Dataset;
  readonly options: LoaderOptions;
  /** Size of the canvas, in pixels. */
  readonly canvas: CropSize;
  /** Number of batches; Infinity when training. */
  readonly steps: number;
  readonly #decoder: Decoder;
  readonly #batches = new Map<number, Promise<Batch>>();
  readonly #images = new Map<number, Promise<PackedImage>>();
  readonly #orders = new Map<number, Uint32Array>();
  #cachedBytes = 0;
  #disposed = false;

  private constructor(dataset: Dataset, options: LoaderOptions, canvas: CropSize, decoder: Decoder) {
    this.dataset = dataset;
    this.options = options;
    this.canvas = canvas;
    this.steps = options.training ? Number.POSITIVE_INFINITY : Math.ceil(dataset.length / options.batch);
    this.#decoder = decoder;
  }

  /** @throws DataError where a header cannot be read, or the threads cannot be started */
  static async open(dataset: Dataset, options: LoaderOptions): Promise<Loader> {
    const { batch, crop, prefetch = 2, workers = defaultWorkers() } = options;
    for (const [name, value, least] of [
      ['batch', batch, 1],
      ['crop.height', crop.height, 1],
      ['crop.width', crop.width, 1],
      ['prefetch', prefetch, 0],
      ['workers', workers, 0],
    ] as const)
      if (!Number.isInteger(value) || value < least)
        throw new RangeError(`loader: ${name} must be an integer of at least ${least}, got ${value}`);
    const canvas = options.canvas ?? (await dataset.largestSize());
    const decoder = workers === 0 ? inlineDecoder() : await workerDecoder(workers, options.startWorker);
    return new Loader(dataset, options, { height: canvas.height, width: canvas.width }, decoder);
  }

  /**
   * The batch of a step, counted from 0; the following ones are prepared meanwhile.
   *
   * @throws DataError naming the file where a sample cannot be had
   */
  batch(step: number): Promise<Batch> {
    if (this.#disposed) return Promise.reject(new DataError(null, 'the loader was disposed of'));
    if (!Number.isInteger(step) || step < 0 || step >= this.steps)
      return Promise.reject(new RangeError(`loader: step must be an integer from 0 to ${this.steps - 1}, got ${step}`));
    const last = Math.min(step + (this.options.prefetch ?? 2), this.steps - 1);
    for (const pending of this.#batches.keys()) if (pending < step || pending > last) this.#batches.delete(pending);
    for (let ahead = step; ahead <= last; ahead++) {
      if (this.#batches.has(ahead)) continue;
      const batch = this.#assemble(ahead);
      batch.catch(() => {}); // reported when the batch is asked for
      this.#batches.set(ahead, batch);
    }
    const batch = this.#batches.get(step)!;
    this.#batches.delete(step);
    return batch;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#batches.clear();
    this.#images.clear();
    await this.#decoder[Symbol.asyncDispose]();
  }

  async #assemble(step: number): Promise<Batch> {
    const { batch, crop, training } = this.options;
    const { height, width } = this.canvas;
    const indices = this.#indicesOf(step);
    const names = indices.map((index) => this.dataset.list.entries[index]!.image);
    const images = await Promise.all(indices.map((index) => this.#image(index)));
    const pixels = new Uint32Array(batch * height * width);
    const ids = this.dataset.hasIds ? new Uint32Array(batch * height * width).fill(0xffffffff) : null;
    for (const [place, image] of images.entries()) {
      if (image.height > height || image.width > width)
        throw new DataError(
          names[place]!,
          `is ${image.height}x${image.width} (height x width), larger than the canvas of ${height}x${width}`,
        );
      for (let y = 0; y < image.height; y++) {
        const row = [y * image.width, (y + 1) * image.width] as const;
        const at = (place * height + y) * width;
        pixels.set(image.pixels.subarray(...row), at);
        if (image.ids) ids?.set(image.ids.subarray(...row), at);
      }
    }
    const sizes = images.map((image, place) => ({ name: names[place]!, height: image.height, width: image.width }));
    return {
      step,
      canvas: { shape: [batch, height, width], dtype: 'u32', data: pixels },
      ids: ids && { shape: [batch, height, width], dtype: 'u32', data: ids },
      placement: training
        ? trainingPlacements(sizes, crop, training, { seed: training.seed, step })
        : evaluationPlacements(sizes, crop, batch),
      indices,
      names,
    };
  }

  #indicesOf(step: number): number[] {
    const { batch, training } = this.options;
    const { length } = this.dataset;
    const first = step * batch;
    if (!training) return Array.from({ length: Math.min(batch, length - first) }, (_, i) => first + i);
    return Array.from({ length: batch }, (_, i) => {
      const position = first + i;
      return this.#orderOf(Math.floor(position / length), training.seed)[position % length]!;
    });
  }

  #orderOf(epoch: number, seed: number): Uint32Array {
    let order = this.#orders.get(epoch);
    if (!order) {
      order = epochOrder(seed, epoch, this.dataset.length);
      if (this.#orders.size >= 4) this.#orders.clear();
      this.#orders.set(epoch, order);
    }
    return order;
  }

  /** A decoded image: from the cache, under way already, or read and decoded now. */
  #image(index: number): Promise<PackedImage> {
    let image = this.#images.get(index);
    if (!image) {
      image = this.dataset.readFiles(index).then((files) => this.#decoder.decode(files));
      this.#images.set(index, image);
      image.then(
        ({ pixels, ids }) => {
          const bytes = pixels.byteLength + (ids?.byteLength ?? 0);
          if (this.#cachedBytes + bytes <= (this.options.cacheBytes ?? 2 ** 28)) this.#cachedBytes += bytes;
          else this.#images.delete(index);
        },
        () => this.#images.delete(index),
      );
    }
    return image;
  }
}

/** Decoding threads where nothing else is asked for. */
export function defaultWorkers(): number {
  if (runsFromSource) return 0;
  const threads = globalThis.navigator?.hardwareConcurrency ?? 2;
  return Math.max(1, Math.min(4, threads - 1));
}
