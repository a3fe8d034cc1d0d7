/** What the ways of segmenting an image have in common: whole (`segmenter_whole.ts`) or by views (`segmenter_views.ts`). */
import type { Network } from '../models/network.js';
import type { Result } from '../tensor/compiled_step.js';
import type { Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import type { HostTensor } from '../tensor/types.js';
import { PAIR_CAPACITY } from './label_pairs.js';
import type { ImageBatch, SegmentedImage } from './segmented_image.js';
import type { SegmenterOptions } from './segmenter.js';
import type { Extents } from './views.js';

export interface SegmenterContext {
  readonly runtime: Runtime;
  readonly network: Network;
  readonly options: SegmenterOptions;
}

/** The prototypes that are searched, on the GPU. */
export interface ResidentTable {
  /** f32 [M,D]. */
  readonly features: Resident;
  /** i32 [M]. */
  readonly labels: Resident;
}

/** What `extractPrototypes` gave for one image. */
export interface ExtractedPrototypesOfImage {
  /** [K,D]. */
  readonly prototypes: ArrayLike<number>;
  /** [K]; numbers of pairs where these were given. */
  readonly labels: ArrayLike<number>;
  /** [h*w]. */
  readonly members: ArrayLike<number>;
  /** Width w of the map. */
  readonly width: number;
}

export interface Engine extends Disposable {
  /** Height and width of the maps of a batch. */
  readonly map: Extents;
  /** Pixels of the images that the maps stand for. */
  readonly labelExtents: Extents;
  /** Prototypes to search from now on. */
  use(table: ResidentTable | null): void;
  /** @param pairs i32 [N,h,w]: pairs in place of the images' labels (see `labelPairs`) */
  extract(batch: ImageBatch, pairs: HostTensor | null): Promise<ExtractedPrototypesOfImage[]>;
  predict(batch: ImageBatch): Promise<SegmentedImage[]>;
}

/** Labels for extraction where they are numbers of pairs. */
export const pairOptions = { classes: PAIR_CAPACITY, ignore: PAIR_CAPACITY } as const;

export const mapOf = (extents: Extents, stride: number): Extents => [
  Math.ceil(extents[0] / stride),
  Math.ceil(extents[1] / stride),
];

/** Reads all results of a step. */
export async function readAll<K extends string>(results: Readonly<Record<K, Result>>): Promise<Record<K, HostTensor>> {
  const entries = Object.entries(results) as [K, Result][];
  return Object.fromEntries(
    await Promise.all(entries.map(async ([name, result]) => [name, await result.read()] as const)),
  ) as Record<K, HostTensor>;
}
