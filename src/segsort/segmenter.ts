/** Inference: prototypes out of labelled images, and labels for others by retrieval or softmax. Knows no files. */
import { restoreCheckpoint } from '../models/checkpoint.js';
import type { Network } from '../models/network.js';
import { allocateParameters } from '../models/parameter.js';
import { leastCommonMultiple } from '../models/pyramid.js';
import { disposeOnError } from '../tensor/disposal.js';
import type { FlatGroup } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { hostTensor } from '../tensor/types.js';
import { labelPairs } from './label_pairs.js';
import type { ExtractedImage, PrototypeTable } from './prototype_table.js';
import type { ImageBatch, SegmentedImage } from './segmented_image.js';
import type { Engine, ResidentTable } from './segmenter_engine.js';
import { ViewedImages } from './segmenter_views.js';
import { WholeImages } from './segmenter_whole.js';
import type { ViewOptions } from './views.js';

export type { ImageBatch, ImageSegments, SegmentedImage } from './segmented_image.js';

export interface SegmenterOptions {
  /**
   * Height and width that images are padded to, multiples of the network's `inputMultiple` and of `stride` (see `wholeCanvas`);
   * with `views` any that hold the largest image.
   */
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
  /**
   * How pixels get their labels: segments by the prototypes nearest to theirs, or every pixel by the largest of the network's
   * outputs, which then are logits of the classes. Default `retrieval`.
   */
  readonly classifier?: 'retrieval' | 'softmax';
  /** Several scales, mirrored images, windows; their votes, or probabilities, are added up. Default: each image as it is, whole. */
  readonly views?: ViewOptions | null;
  /** True: batch norm by the batch's own statistics, for a network that has not been trained. */
  readonly batchStatistics?: boolean;
  /**
   * `own`: the network's parameters are allocated here, for `load` to fill, and freed with the segmenter. `shared`: they
   * are those of a `Trainer` of the same network and runtime, as they are whenever the segmenter is used. Default `own`.
   */
  readonly parameters?: 'own' | 'shared';
  readonly seed?: number;
}

/** The canvas for images up to a size that are seen whole. */
export function wholeCanvas(
  { inputMultiple }: Pick<Network, 'inputMultiple'>,
  stride: number,
  [height, width]: readonly [number, number],
): [number, number] {
  const multiple = leastCommonMultiple([inputMultiple, stride]);
  const padded = (side: number) => Math.ceil(side / multiple) * multiple;
  return [padded(height), padded(width)];
}

export interface ExtractOptions {
  /** Whether prototypes are of single instances, whose pixels are told apart, and not of all that have their label. Default false. */
  readonly panoptic?: boolean;
}

export class Segmenter implements Disposable {
  readonly options: SegmenterOptions;
  readonly #runtime: Runtime;
  readonly #network: Network;
  readonly #groups: readonly FlatGroup[];
  readonly #engine: Engine;
  #table: ResidentTable | null = null;

  /**
   * @throws Error where the network cannot see such a canvas or window, its outputs are no logits of the classes, or its
   *   parameters have memory already
   */
  constructor(runtime: Runtime, network: Network, options: SegmenterOptions) {
    if (!options.views) network.featureSize(...options.canvas);
    if (options.classifier === 'softmax' && network.spec.outputs !== options.classes)
      throw new Error(
        `the network has ${network.spec.outputs} outputs, ${options.classes} classes: only logits of the classes can be classified by softmax`,
      );
    this.options = options;
    this.#runtime = runtime;
    this.#network = network;
    const context = { runtime, network, options };
    const { parameters = 'own', seed = 0 } = options;
    const { groups, engine } = disposeOnError((keep) => ({
      groups:
        parameters === 'own'
          ? allocateParameters(runtime, network.parameters, () => ({}), seed).map(({ group }) => keep(group))
          : [],
      engine: keep(options.views ? new ViewedImages(context, options.views) : new WholeImages(context)),
    }));
    this.#groups = groups;
    this.#engine = engine;
  }

  /** Loads the weights and running statistics of a checkpoint, as `Trainer.checkpoint` writes it. */
  load(checkpoint: Uint8Array<ArrayBuffer>, file: string): void {
    restoreCheckpoint(this.#runtime, checkpoint, file, this.#network.parameters, { unexpected: 'ignore' });
  }

  /** Uses these prototypes for predictions from now on. */
  usePrototypes(table: PrototypeTable): void {
    const { neighbours, classifier, classes } = this.options;
    if (classifier === 'softmax') throw new Error('pixels are classified by softmax: there is nothing to retrieve');
    if (table.size < neighbours)
      throw new Error(
        `${table.size} prototypes are fewer than the ${neighbours} neighbours that vote: extract more, or let fewer vote`,
      );
    if (table.channels !== this.#network.spec.outputs)
      throw new Error(
        `the prototypes have ${table.channels} channels, the network's embedding has ${this.#network.spec.outputs}`,
      );
    const stray = table.labels.find((label) => label < 0 || label >= classes);
    if (stray !== undefined)
      throw new Error(`a prototype has the label ${stray}, there are ${classes} classes: they are of other data`);
    this.#releaseTable();
    this.#table = {
      features: this.#runtime.resident('prototypes', hostTensor([table.size, table.channels], table.features)),
      labels: this.#runtime.resident('prototype labels', hostTensor([table.size], table.labels, 'i32')),
    };
    this.#engine.use(this.#table);
  }

  /** Adds the prototypes of a batch of labelled images to `table`. */
  async extract(batch: ImageBatch, table: PrototypeTable, options: ExtractOptions = {}): Promise<void> {
    for (const [n, image] of (await this.extractImages(batch, options)).entries())
      table.addImage(batch.names[n]!, image);
  }

  /** The prototypes of each image of a labelled batch, and the pixels that they are made from. */
  async extractImages(batch: ImageBatch, { panoptic = false }: ExtractOptions = {}): Promise<ExtractedImage[]> {
    const { stride } = this.options;
    const { map, labelExtents } = this.#engine;
    const named = panoptic ? labelPairs(batch, map, labelExtents, this.options) : null;
    const extracted = await this.#engine.extract(batch, named?.map ?? null);
    return extracted.map(({ labels, ...image }, n): ExtractedImage => {
      const scale = [stride, stride] as const;
      const size = [batch.placement.data[n * 8]!, batch.placement.data[n * 8 + 1]!] as const;
      const pairs = named?.pairs[n];
      if (!pairs) return { ...image, labels, scale, size };
      const pairOf = (number: number) => (number < 0 ? undefined : pairs[number]);
      return {
        ...image,
        labels: Array.from(labels, (number) => pairOf(number)?.label ?? -1),
        instances: Array.from(labels, (number) => pairOf(number)?.instance ?? -1),
        scale,
        size,
      };
    });
  }

  /** Segments a batch of images. */
  predict(batch: ImageBatch): Promise<SegmentedImage[]> {
    return this.#engine.predict(batch);
  }

  #releaseTable(): void {
    this.#engine.use(null);
    this.#table?.features[Symbol.dispose]();
    this.#table?.labels[Symbol.dispose]();
    this.#table = null;
  }

  [Symbol.dispose](): void {
    this.#releaseTable();
    this.#engine[Symbol.dispose]();
    for (const group of this.#groups) group[Symbol.dispose]();
  }
}
