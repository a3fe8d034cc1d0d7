/** Inference: prototypes out of labelled images, and labels for others by retrieval. Knows no files. */
import { restoreCheckpoint } from '../models/checkpoint.js';
import { Pass } from '../models/layers.js';
import type { Network } from '../models/network.js';
import { allocateParameters } from '../models/parameter.js';
import type { Tensor } from '../tensor/graph.js';
import { sampleCrop } from '../tensor/ops/image.js';
import { resizeBilinear } from '../tensor/ops/resize.js';
import { reshape } from '../tensor/ops/shape.js';
import type { FlatGroup, Resident } from '../tensor/resident.js';
import type { CompiledStep, Runtime } from '../tensor/runtime.js';
import { type HostTensor, hostTensor } from '../tensor/types.js';
import { clusterCount } from './clustering.js';
import { shrinkLabels } from './label_maps.js';
import type { PrototypeTable } from './prototype_table.js';
import { extractPrototypes, oracleLabels } from './prototypes.js';
import { predictLabels } from './retrieval.js';

export interface SegmenterOptions {
  /** Height and width that images are padded to, multiples of the network's `inputMultiple`. */
  readonly canvas: readonly [number, number];
  /** Initial cells of the clustering along y and x. */
  readonly cells: readonly [number, number];
  readonly kmeansIterations: number;
  /** Prototypes that vote on a segment. */
  readonly neighbours: number;
  readonly classes: number;
  readonly ignore: number;
  readonly mean: readonly [number, number, number];
  /**
   * Image pixels for one pixel of the segmentation along each axis. 1 segments at full resolution, as the reference
   * does; more is faster.
   */
  readonly stride: number;
  /** True: batch norm by the batch's own statistics, for a network that has not been trained. */
  readonly batchStatistics?: boolean;
  /**
   * `own`: the network's parameters are allocated here, for `load` to fill; freed with the segmenter. `shared`: they are those of a
   * `Trainer` of the same network on the same runtime, as they are whenever the segmenter is used. Default `own`.
   */
  readonly parameters?: 'own' | 'shared';
  readonly seed?: number;
}

/** A batch as an evaluation loader gives it: images whole at the top left of the canvas. */
export interface ImageBatch {
  readonly canvas: HostTensor;
  readonly placement: HostTensor;
  /** Names of the images; the places behind them are empty. */
  readonly names: readonly string[];
}

export interface SegmentedImage {
  readonly name: string;
  /** Size of the maps: the image's, divided by `stride` and rounded up. */
  readonly height: number;
  readonly width: number;
  /** Predicted class of each pixel. */
  readonly labels: Int32Array;
  /** Cluster of each pixel. */
  readonly clusters: Int32Array;
  /** Ground truth of each pixel. */
  readonly truth: Int32Array;
  /** The best label each pixel could have got from this clustering. */
  readonly oracle: Int32Array;
  /** Unnormalised embedding [height, width, channels]. */
  readonly embedding: Float32Array;
  /** For each cluster, rows of the prototype table, nearest first, and their cosines. */
  readonly neighbours: readonly { readonly rows: readonly number[]; readonly similarities: readonly number[] }[];
}

type ExtractOutputs = Record<'prototypes' | 'labels' | 'members', Tensor>;
type PredictOutputs = Record<
  'labels' | 'clusters' | 'truth' | 'oracle' | 'embedding' | 'neighbours' | 'similarities',
  Tensor
>;

export class Segmenter implements Disposable {
  readonly options: SegmenterOptions;
  readonly #runtime: Runtime;
  readonly #network: Network;
  readonly #groups: readonly FlatGroup[];
  readonly #extract: CompiledStep<ExtractOutputs>;
  #table: {
    readonly features: Resident;
    readonly labels: Resident;
    readonly predict: CompiledStep<PredictOutputs>;
  } | null = null;

  constructor(runtime: Runtime, network: Network, options: SegmenterOptions) {
    network.featureSize(...options.canvas);
    this.options = options;
    this.#runtime = runtime;
    this.#network = network;
    const { parameters = 'own', seed = 0 } = options;
    this.#groups =
      parameters === 'own'
        ? allocateParameters(runtime, network.parameters, () => ({}), seed).map(({ group }) => group)
        : [];
    this.#extract = runtime.compile(
      (canvas, placement, sizes) => this.#traceExtraction(canvas, placement, sizes),
      'prototype extraction',
    );
  }

  /** Loads the weights and running statistics of a checkpoint, as `Trainer.checkpoint` writes it. */
  load(checkpoint: Uint8Array<ArrayBuffer>, file: string): void {
    restoreCheckpoint(this.#runtime, checkpoint, file, this.#network.parameters, { unexpected: 'ignore' });
  }

  /** Uses these prototypes for predictions from now on. */
  usePrototypes(table: PrototypeTable): void {
    const { neighbours } = this.options;
    if (table.size < neighbours)
      throw new Error(
        `${table.size} prototypes are fewer than the ${neighbours} neighbours that vote: extract more, or let fewer vote`,
      );
    if (table.channels !== this.#network.spec.outputs)
      throw new Error(
        `the prototypes have ${table.channels} channels, the network's embedding has ${this.#network.spec.outputs}`,
      );
    this.#releaseTable();
    const features = this.#runtime.resident('prototypes', hostTensor([table.size, table.channels], table.features));
    const labels = this.#runtime.resident('prototype labels', hostTensor([table.size], table.labels, 'i32'));
    const predict = this.#runtime.compile(
      (canvas, placement, sizes) => this.#tracePrediction(canvas, placement, sizes, features, labels),
      'prediction',
    );
    this.#table = { features, labels, predict };
  }

  #embed(canvas: Tensor, placement: Tensor) {
    const { canvas: size, mean, stride, batchStatistics = false } = this.options;
    const [height, width] = size;
    const { image, labels } = sampleCrop(canvas, placement, { height, width, mean });
    const features = this.#network.forward(image, new Pass({ batchStatistics }));
    const map = [Math.ceil(height / stride), Math.ceil(width / stride)] as const;
    return {
      embedding: resizeBilinear(features, map, { convention: 'tf1' }),
      labels: shrinkLabels(labels, map),
    };
  }

  #traceExtraction(canvas: Tensor, placement: Tensor, sizes: Tensor): ExtractOutputs {
    const { embedding, labels } = this.#embed(canvas, placement);
    const { cells, kmeansIterations, classes, ignore } = this.options;
    const {
      prototypes,
      labels: prototypeLabels,
      members,
    } = extractPrototypes({ embedding, sizes, labels }, { cells, iterations: kmeansIterations, classes, ignore });
    return { prototypes, labels: prototypeLabels, members };
  }

  #tracePrediction(
    canvas: Tensor,
    placement: Tensor,
    sizes: Tensor,
    table: Resident,
    tableLabels: Resident,
  ): PredictOutputs {
    const { embedding, labels: truth } = this.#embed(canvas, placement);
    const { cells, kmeansIterations, neighbours: k, classes, ignore } = this.options;
    const options = { cells, iterations: kmeansIterations, k };
    const { labels, clusters, neighbours, similarities } = predictLabels(
      { embedding, sizes, table, tableLabels },
      options,
    );
    const pixelTruth = reshape(truth, clusters.shape);
    const oracle = oracleLabels(clusters, pixelTruth, { classes, ignore, clusters: clusterCount(options) });
    return { labels, clusters, truth, oracle, embedding, neighbours, similarities };
  }

  /** Height and width of each image's part of the map, f32 [N,2]. */
  #mapSizes({ placement }: ImageBatch): HostTensor {
    const images = placement.shape[0]!;
    const sizes = new Float32Array(images * 2);
    for (let n = 0; n < images; n++)
      for (const axis of [0, 1]) sizes[n * 2 + axis] = Math.ceil(placement.data[n * 8 + axis]! / this.options.stride);
    return { shape: [images, 2], dtype: 'f32', data: sizes };
  }

  /** Adds the prototypes of a batch of labelled images to `table`. */
  async extract(batch: ImageBatch, table: PrototypeTable): Promise<void> {
    const results = await this.#extract.run(batch.canvas, batch.placement, this.#mapSizes(batch));
    const [prototypes, labels, members] = await Promise.all([
      results.prototypes.read(),
      results.labels.read(),
      results.members.read(),
    ]);
    const { cells, canvas, stride } = this.options;
    const clusters = clusterCount({ cells });
    const [height, width] = canvas.map((side) => Math.ceil(side / stride)) as [number, number];
    for (const [n, name] of batch.names.entries()) {
      const size = clusters * table.channels;
      table.addImage(name, {
        prototypes: prototypes.data.subarray(n * size, (n + 1) * size),
        labels: labels.data.subarray(n * clusters, (n + 1) * clusters),
        members: members.data.subarray(n * height * width, (n + 1) * height * width),
        width,
        scale: [stride, stride],
      });
    }
  }

  /** Segments a batch of images. */
  async predict(batch: ImageBatch): Promise<SegmentedImage[]> {
    if (!this.#table) throw new Error('no prototypes to retrieve: call usePrototypes first');
    const sizes = this.#mapSizes(batch);
    const results = await this.#table.predict.run(batch.canvas, batch.placement, sizes);
    const values = Object.fromEntries(
      await Promise.all(Object.entries(results).map(async ([name, result]) => [name, await result.read()] as const)),
    ) as Record<keyof PredictOutputs, HostTensor>;
    const { stride, cells, canvas, neighbours: k } = this.options;
    const clusters = clusterCount({ cells });
    const map = canvas.map((side) => Math.ceil(side / stride)) as [number, number];
    return batch.names.map((name, n) => {
      const [height, width] = [sizes.data[n * 2]!, sizes.data[n * 2 + 1]!];
      const cut = <T extends HostTensor['data']>(value: HostTensor, channels = 1): T =>
        cutOut(value.data as T, n, map, [height, width], channels);
      const row = (value: HostTensor, cluster: number) => {
        const at = (n * clusters + cluster) * k;
        return [...value.data.subarray(at, at + k)];
      };
      return {
        name,
        height,
        width,
        labels: cut<Int32Array<ArrayBuffer>>(values.labels),
        clusters: cut<Int32Array<ArrayBuffer>>(values.clusters),
        truth: cut<Int32Array<ArrayBuffer>>(values.truth),
        oracle: cut<Int32Array<ArrayBuffer>>(values.oracle),
        embedding: cut<Float32Array<ArrayBuffer>>(values.embedding, this.#network.spec.outputs),
        neighbours: Array.from({ length: clusters }, (_, cluster) => ({
          rows: row(values.neighbours, cluster),
          similarities: row(values.similarities, cluster),
        })),
      };
    });
  }

  #releaseTable(): void {
    if (!this.#table) return;
    this.#table.predict[Symbol.dispose]();
    this.#table.features[Symbol.dispose]();
    this.#table.labels[Symbol.dispose]();
    this.#table = null;
  }

  [Symbol.dispose](): void {
    this.#releaseTable();
    this.#extract[Symbol.dispose]();
    for (const group of this.#groups) group[Symbol.dispose]();
  }
}

/** The top left `size` of image `n` in a batch of maps. */
function cutOut<T extends HostTensor['data']>(
  data: T,
  n: number,
  map: readonly [number, number],
  size: readonly [number, number],
  channels: number,
): T {
  const cut = new (data.constructor as new (length: number) => T)(size[0] * size[1] * channels);
  for (let y = 0; y < size[0]; y++) {
    const from = (n * map[0] + y) * map[1] * channels;
    cut.set(data.subarray(from, from + size[1] * channels) as never, y * size[1] * channels);
  }
  return cut;
}
