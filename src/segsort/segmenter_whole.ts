/** Segments batches of images that the network sees whole, each on the same canvas. */
import { Pass } from '../models/layers.js';
import type { CompiledStep } from '../tensor/compiled_step.js';
import type { Tensor } from '../tensor/graph.js';
import { sampleCrop } from '../tensor/ops/image.js';
import { resizeBilinear } from '../tensor/ops/resize.js';
import { argmax } from '../tensor/ops/select_k.js';
import { reshape } from '../tensor/ops/shape.js';
import type { HostTensor } from '../tensor/types.js';
import { clusterCount } from './clustering.js';
import { shrinkLabels } from './label_maps.js';
import { extractPrototypes, oracleLabels } from './prototypes.js';
import { predictLabels } from './retrieval.js';
import {
  cutOut,
  type ImageBatch,
  type SegmentedImage,
  type SegmentValues,
  segmentsOfImage,
} from './segmented_image.js';
import {
  type Engine,
  type ExtractedPrototypesOfImage,
  mapOf,
  pairOptions,
  type ResidentTable,
  readAll,
  type SegmenterContext,
} from './segmenter_engine.js';
import type { Extents } from './views.js';

type ExtractOutputs = Record<'prototypes' | 'labels' | 'members', Tensor>;
type RetrieveOutputs = Record<'labels' | 'truth' | keyof SegmentValues, Tensor>;

export class WholeImages implements Engine {
  readonly map: Extents;
  readonly labelExtents: Extents;
  readonly #context: SegmenterContext;
  readonly #extract: CompiledStep<ExtractOutputs>;
  readonly #classify: CompiledStep<Record<'labels' | 'truth', Tensor>>;
  #retrieve: CompiledStep<RetrieveOutputs> | null = null;

  constructor(context: SegmenterContext) {
    const { runtime, options } = context;
    const { canvas, stride } = options;
    if (canvas.some((side) => side % stride !== 0))
      throw new Error(
        `a canvas of ${canvas.join('x')} does not divide into a map of one value for ${stride} pixels each way: its sides must be multiples of ${stride}`,
      );
    this.#context = context;
    this.map = mapOf(canvas, stride);
    this.labelExtents = canvas;
    this.#extract = runtime.compile(
      (canvas, placement, sizes, pairs) => this.#traceExtraction(canvas!, placement!, sizes!, pairs),
      'prototype extraction',
    );
    this.#classify = runtime.compile((canvas, placement) => {
      const { embedding: logits, labels: truth } = this.#embed(canvas!, placement!);
      return { labels: argmax(logits), truth };
    }, 'pixel classification');
  }

  use(table: ResidentTable | null): void {
    this.#retrieve?.[Symbol.dispose]();
    this.#retrieve =
      table &&
      this.#context.runtime.compile(
        (canvas, placement, sizes) => this.#traceRetrieval(canvas!, placement!, sizes!, table),
        'prediction',
      );
  }

  /** The network's output at the size of the maps, f32 [N,h,w,C], and the labels there, i32 [N,h,w]. */
  #embed(canvas: Tensor, placement: Tensor) {
    const { network, options } = this.#context;
    const { canvas: size, mean, ignore, batchStatistics = false } = options;
    const [height, width] = size;
    const { image, labels } = sampleCrop(canvas, placement, { height, width, mean, ignore });
    const features = network.forward(image, new Pass({ batchStatistics }));
    return {
      embedding: resizeBilinear(features, this.map, { convention: 'tf1' }),
      labels: shrinkLabels(labels, this.map),
    };
  }

  #traceExtraction(canvas: Tensor, placement: Tensor, sizes: Tensor, pairs: Tensor | undefined): ExtractOutputs {
    const { embedding, labels } = this.#embed(canvas, placement);
    const { cells, kmeansIterations, classes, ignore } = this.#context.options;
    const {
      prototypes,
      labels: prototypeLabels,
      members,
    } = extractPrototypes(
      { embedding, sizes, labels: pairs ?? labels },
      { cells, iterations: kmeansIterations, ...(pairs ? pairOptions : { classes, ignore }) },
    );
    return { prototypes, labels: prototypeLabels, members };
  }

  #traceRetrieval(
    canvas: Tensor,
    placement: Tensor,
    sizes: Tensor,
    { features: table, labels: tableLabels }: ResidentTable,
  ): RetrieveOutputs {
    const { embedding, labels: truth } = this.#embed(canvas, placement);
    const { cells, kmeansIterations, neighbours: k, classes, ignore } = this.#context.options;
    const options = { cells, iterations: kmeansIterations, k };
    const { labels, clusters, prototypes, neighbours, similarities } = predictLabels(
      { embedding, sizes, table, tableLabels },
      options,
    );
    const pixelTruth = reshape(truth, clusters.shape);
    const oracle = oracleLabels(clusters, pixelTruth, { classes, ignore, clusters: clusterCount(options) });
    return { labels, clusters, truth, oracle, embedding, prototypes, neighbours, similarities };
  }

  /** Height and width of each image's part of the map, f32 [N,2]. */
  #mapSizes({ placement }: ImageBatch): HostTensor {
    const images = placement.shape[0]!;
    const { stride } = this.#context.options;
    const sizes = new Float32Array(images * 2);
    for (let n = 0; n < images; n++)
      for (const axis of [0, 1]) sizes[n * 2 + axis] = Math.ceil(placement.data[n * 8 + axis]! / stride);
    return { shape: [images, 2], dtype: 'f32', data: sizes };
  }

  async extract(batch: ImageBatch, pairs: HostTensor | null): Promise<ExtractedPrototypesOfImage[]> {
    const args = [batch.canvas, batch.placement, this.#mapSizes(batch)];
    const values = await readAll(await this.#extract.run(...args, ...(pairs ? [pairs] : [])));
    const pixels = this.map[0] * this.map[1];
    const [, clusters, channels] = values.prototypes.shape as [number, number, number];
    const part = ({ data }: HostTensor, n: number, size: number) => data.subarray(n * size, (n + 1) * size);
    return batch.names.map((_, n) => ({
      prototypes: part(values.prototypes, n, clusters * channels),
      labels: part(values.labels, n, clusters),
      members: part(values.members, n, pixels),
      width: this.map[1],
    }));
  }

  async predict(batch: ImageBatch): Promise<SegmentedImage[]> {
    const sizes = this.#mapSizes(batch);
    const { map } = this;
    const segmented =
      this.#context.options.classifier === 'softmax'
        ? null
        : await readAll(await this.#retrieval().run(batch.canvas, batch.placement, sizes));
    const values = segmented ?? (await readAll(await this.#classify.run(batch.canvas, batch.placement)));
    return batch.names.map((name, n) => {
      const [height, width] = [sizes.data[n * 2]!, sizes.data[n * 2 + 1]!];
      const place = { n, map, size: [height, width] } as const;
      return {
        name,
        height,
        width,
        labels: cutOut(values.labels.data as Int32Array, place),
        truth: cutOut(values.truth.data as Int32Array, place),
        segments: segmented && segmentsOfImage(segmented, place),
      };
    });
  }

  #retrieval(): CompiledStep<RetrieveOutputs> {
    if (!this.#retrieve) throw new Error('no prototypes to retrieve: call usePrototypes first');
    return this.#retrieve;
  }

  [Symbol.dispose](): void {
    this.use(null);
    this.#extract[Symbol.dispose]();
    this.#classify[Symbol.dispose]();
  }
}
