/**
 * Segments images by views: each is resized to several scales and mirrored, and the network sees it through windows of one
 * size, so that memory for its activations does not grow with the image. What the views say of each pixel is added up on
 * the GPU: the votes of the prototypes nearest to its segment, or its probabilities.
 */

import type { CompiledStep, Result } from '../tensor/compiled_step.js';
import { disposeOnError } from '../tensor/disposal.js';
import type { Tensor } from '../tensor/graph.js';
import { assign, scalar } from '../tensor/graph.js';
import { add, where } from '../tensor/ops/elementwise.js';
import { gather } from '../tensor/ops/gather.js';
import { sampleCrop } from '../tensor/ops/image.js';
import { oneHot } from '../tensor/ops/one_hot.js';
import { sum } from '../tensor/ops/reduce.js';
import { argmax } from '../tensor/ops/select_k.js';
import { reshape } from '../tensor/ops/shape.js';
import type { Resident } from '../tensor/resident.js';
import { type HostTensor, hostTensor } from '../tensor/types.js';
import { clusterCount } from './clustering.js';
import { shrinkLabels } from './label_maps.js';
import { blendWindows } from './ops/blend_windows.js';
import { spreadVotes } from './ops/spread_votes.js';
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
import { checkViews, type Extents, imageGrid, mapGrid, type View, type ViewOptions, viewSize } from './views.js';
import { Windows, wholePlacements } from './windows.js';

/** Nothing but at scale 1: there the segments. */
type VoteOutputs = Readonly<Record<string, Tensor>>;
type SegmentResults = Readonly<Record<keyof SegmentValues, Result>>;

/** One scale: through which windows it is seen, and the step from these to the sum of all views. */
interface Scale {
  readonly scale: number;
  readonly windows: Windows;
  /** Largest size of its own map. */
  readonly map: Extents;
  vote: CompiledStep<VoteOutputs> | null;
}

export class ViewedImages implements Engine {
  readonly map: Extents;
  readonly labelExtents: Extents;
  readonly #context: SegmenterContext;
  readonly #views: ViewOptions;
  readonly #scales: readonly Scale[];
  readonly #windows: readonly Windows[];
  /** u32 [1,H,W]: the image in hand, packed. */
  readonly #canvas: Resident;
  /** f32 [1,h,w,classes]: what the views so far have said of it. */
  readonly #total: Resident;
  readonly #extract: CompiledStep<Record<'prototypes' | 'labels' | 'members', Tensor>>;
  readonly #decide: CompiledStep<Record<'labels' | 'truth', Tensor>>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(context: SegmenterContext, views: ViewOptions) {
    checkViews(views);
    const { runtime, network, options } = context;
    const { canvas, stride, classes } = options;
    this.#context = context;
    this.#views = views;
    this.map = mapOf(canvas, stride);
    this.labelExtents = [this.map[0] * stride, this.map[1] * stride];
    const extentsAt = (scale: number) => views.window ?? paddedTo(network.inputMultiple, viewSize(canvas, scale));
    // Before there is anything to free.
    for (const scale of views.scales) network.featureSize(...extentsAt(scale));
    [this.#canvas, this.#total] = disposeOnError((keep) => [
      keep(runtime.resident('image', { shape: [1, ...canvas], dtype: 'u32' })),
      keep(runtime.resident('sum of the views', { shape: [1, ...this.map, classes], dtype: 'f32' })),
    ]);
    const windows = new Map<string, Windows>();
    this.#scales = views.scales.map((scale) => {
      const size = viewSize(canvas, scale);
      const extents = extentsAt(scale);
      const key = extents.join('x');
      const seen = windows.get(key) ?? new Windows(context, this.#canvas, extents, views.windowStride);
      seen.make(size);
      windows.set(key, seen);
      return { scale, windows: seen, map: mapOf(size, stride), vote: null };
    });
    this.#windows = [...windows.values()];
    this.#extract = runtime.compile((origins, grid, sizes, placement, pairs) => {
      const { cells, kmeansIterations: iterations, ignore } = options;
      const embedding = this.#embedding(this.#unscaled, origins!, grid!);
      const { prototypes, labels, members } = extractPrototypes(
        { embedding, sizes: sizes!, labels: pairs ?? this.#truth(placement!) },
        { cells, iterations, ...(pairs ? pairOptions : { classes, ignore }) },
      );
      return { prototypes, labels, members };
    }, 'prototype extraction');
    this.#decide = runtime.compile(
      (placement) => ({ labels: argmax(this.#total), truth: this.#truth(placement!) }),
      'prediction',
    );
    if (options.classifier === 'softmax') for (const scale of this.#scales) scale.vote = this.#classification(scale);
  }

  get #unscaled(): Scale {
    return this.#scales.find(({ scale }) => scale === 1)!;
  }

  use(table: ResidentTable | null): void {
    if (this.#context.options.classifier === 'softmax') return;
    for (const scale of this.#scales) {
      scale.vote?.[Symbol.dispose]();
      scale.vote = table && this.#retrieval(scale, table);
    }
  }

  /** f32 [1,h,w,D]: the mean direction that the windows give each pixel of a view's map. */
  #embedding({ windows, map }: Scale, origins: Tensor, grid: Tensor): Tensor {
    const stride = this.#context.network.outputStride;
    return blendWindows(windows.features, origins, grid, { size: map, stride, as: 'unit' });
  }

  /** i32 [1,h,w]: the labels of the image. */
  #truth(placement: Tensor): Tensor {
    const [height, width] = this.labelExtents;
    const { ignore } = this.#context.options;
    const { labels } = sampleCrop(this.#canvas, placement, { height, width, mean: [0, 0, 0], ignore });
    return shrinkLabels(labels, this.map);
  }

  /** Adds to what earlier views have said. */
  #addUp(said: Tensor, first: Tensor): void {
    assign(this.#total, add(where(first, scalar(0), this.#total), said));
  }

  #classification({ windows, scale }: Scale) {
    const { runtime, network } = this.#context;
    return runtime.compile((origins, toImage, first): VoteOutputs => {
      const params = { size: this.map, stride: network.outputStride, as: 'softmax' } as const;
      this.#addUp(blendWindows(windows.features, origins!, toImage!, params), first!);
      return {};
    }, `classification at scale ${scale}`);
  }

  #retrieval(scale: Scale, { features: table, labels: tableLabels }: ResidentTable) {
    const { runtime, options } = this.#context;
    const { cells, kmeansIterations, neighbours: k, classes, ignore } = options;
    return runtime.compile((origins, toImage, first, grid, sizes, placement): VoteOutputs => {
      const embedding = this.#embedding(scale, origins!, grid!);
      const clustering = { cells, iterations: kmeansIterations, k };
      const found = predictLabels({ embedding, sizes: sizes!, table, tableLabels }, clustering);
      const { clusters, prototypes, neighbours, similarities } = found;
      const count = clusterCount(clustering);
      const ballots = gather(tableLabels, reshape(neighbours, [count, k]));
      const votes = sum(oneHot(ballots, classes), [1]);
      this.#addUp(spreadVotes(votes, reshape(clusters, scale.map), toImage!, { size: this.map }), first!);
      if (scale !== this.#unscaled) return {};
      const truth = reshape(this.#truth(placement!), clusters.shape);
      const oracle = oracleLabels(clusters, truth, { classes, ignore, clusters: count });
      return { clusters, oracle, embedding, prototypes, neighbours, similarities };
    }, `retrieval at scale ${scale.scale}`);
  }

  /** There is one image in hand: what is asked for at the same time is done one after the other. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  extract(batch: ImageBatch, pairs: HostTensor | null): Promise<ExtractedPrototypesOfImage[]> {
    return this.#inTurn(() => this.#extractAll(batch, pairs));
  }

  async #extractAll(batch: ImageBatch, pairs: HostTensor | null): Promise<ExtractedPrototypesOfImage[]> {
    const extracted: ExtractedPrototypesOfImage[] = [];
    const { windows } = this.#unscaled;
    for (const n of batch.names.keys()) {
      const image = this.#take(batch, n);
      const origins = await windows.look(image, { scale: 1, mirror: false });
      const own = pairs && partOf(pairs, n);
      const args = [mapGrid(image, this.#context.options.stride), this.#mapSize(image), wholePlacements(image)];
      const values = await readAll(await this.#extract.run(origins, ...args, ...(own ? [own] : [])));
      extracted.push({
        prototypes: values.prototypes.data,
        labels: values.labels.data,
        members: values.members.data,
        width: this.map[1],
      });
    }
    return extracted;
  }

  predict(batch: ImageBatch): Promise<SegmentedImage[]> {
    return this.#inTurn(async () => {
      const found: SegmentedImage[] = [];
      for (const [n, name] of batch.names.entries()) found.push(await this.#segment(name, this.#take(batch, n)));
      return found;
    });
  }

  async #segment(name: string, image: Extents): Promise<SegmentedImage> {
    const { classifier = 'retrieval', stride } = this.#context.options;
    let segments: SegmentValues | null = null;
    let first = true;
    for (const mirror of this.#views.mirror ? [false, true] : [false])
      for (const scale of this.#scales) {
        const results = await this.#addView(scale, image, { scale: scale.scale, mirror }, first);
        first = false;
        // They would be overwritten by the mirrored view.
        if (!mirror && scale === this.#unscaled && classifier === 'retrieval')
          segments = await readAll(results as SegmentResults);
      }
    const { labels, truth } = await readAll(await this.#decide.run(wholePlacements(image)));
    const size = mapOf(image, stride);
    const place = { n: 0, map: this.map, size };
    return {
      name,
      height: size[0],
      width: size[1],
      labels: cutOut(labels.data as Int32Array, place),
      truth: cutOut(truth.data as Int32Array, place),
      segments: segments && segmentsOfImage(segments, place),
    };
  }

  async #addView({ windows, vote }: Scale, image: Extents, view: View, first: boolean) {
    if (!vote) throw new Error('no prototypes to retrieve: call usePrototypes first');
    const { stride, classifier } = this.#context.options;
    const origins = await windows.look(image, view);
    const start = hostTensor([], [first ? 1 : 0]);
    if (classifier === 'softmax') return vote.run(origins, imageGrid(image, view, stride), start);
    const size = viewSize(image, view.scale);
    return vote.run(
      ...[origins, imageGrid(image, view, stride, stride), start, mapGrid(size, stride), this.#mapSize(size)],
      ...(view.scale === 1 ? [wholePlacements(image)] : []),
    );
  }

  /** f32 [1,2]: the part of a view's map that is in use. */
  #mapSize(size: Extents): HostTensor {
    return hostTensor([1, 2], Float32Array.from(mapOf(size, this.#context.options.stride)));
  }

  /** Puts an image of a batch on the GPU, and says how large it is. */
  #take({ canvas, placement, names }: ImageBatch, n: number): Extents {
    const image = [placement.data[n * 8]!, placement.data[n * 8 + 1]!] as const;
    const [, rows, columns] = canvas.shape as [number, number, number];
    const [height, width] = this.#context.options.canvas;
    if (image[0] > height || image[1] > width)
      throw new Error(`${names[n]}: ${image.join('x')} (height x width) is over the canvas of ${height}x${width}`);
    const data = new Uint32Array(height * width);
    for (let y = 0; y < image[0]; y++) {
      const from = (n * rows + y) * columns;
      data.set(canvas.data.subarray(from, from + image[1]), y * width);
    }
    this.#context.runtime.write(this.#canvas, { shape: this.#canvas.shape, dtype: 'u32', data });
    return image;
  }

  [Symbol.dispose](): void {
    for (const { vote } of this.#scales) vote?.[Symbol.dispose]();
    for (const windows of this.#windows) windows[Symbol.dispose]();
    this.#extract[Symbol.dispose]();
    this.#decide[Symbol.dispose]();
    this.#canvas[Symbol.dispose]();
    this.#total[Symbol.dispose]();
  }
}

const paddedTo = (multiple: number, [height, width]: Extents): Extents => [
  Math.ceil(height / multiple) * multiple,
  Math.ceil(width / multiple) * multiple,
];

/** Image `n` of maps [N,h,w]. */
function partOf({ shape, dtype, data }: HostTensor, n: number): HostTensor {
  const size = shape[1]! * shape[2]!;
  return { shape: [1, shape[1]!, shape[2]!], dtype, data: data.slice(n * size, (n + 1) * size) };
}
