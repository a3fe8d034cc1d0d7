/** What segmenters take and give, on the host. */
import type { HostTensor } from '../tensor/types.js';
import type { Extents } from './views.js';

/** A batch as an evaluation loader gives it: images whole at the top left of the canvas. */
export interface ImageBatch {
  readonly canvas: HostTensor;
  /** Instances, for prototypes of single objects; as `sampleIds` takes them. */
  readonly ids?: HostTensor | null;
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
  /** Ground truth of each pixel. */
  readonly truth: Int32Array;
  /** Null where pixels are classified one by one, by softmax. */
  readonly segments: ImageSegments | null;
}

/** The segments of an image that were labelled by retrieval; of several views those of the image as it is. */
export interface ImageSegments {
  /** Cluster of each pixel. */
  readonly clusters: Int32Array;
  /** The best label each pixel could have got from this clustering. */
  readonly oracle: Int32Array;
  /** Embedding of each pixel [height, width, channels], not normalised. */
  readonly embedding: Float32Array;
  /** Mean direction of each cluster [clusters, channels], zeros for an empty one. */
  readonly prototypes: Float32Array;
  /** For each cluster, rows of the prototype table, nearest first, and their cosines. */
  readonly neighbours: readonly { readonly rows: readonly number[]; readonly similarities: readonly number[] }[];
}

/** What of a prediction belongs to segments, read back for a batch. P pixels of the maps, K clusters. */
export interface SegmentValues {
  /** i32 [N,P]. */
  readonly clusters: HostTensor;
  /** i32 [N,P]. */
  readonly oracle: HostTensor;
  /** f32 [N,h,w,D]. */
  readonly embedding: HostTensor;
  /** f32 [N,K,D]. */
  readonly prototypes: HostTensor;
  /** i32 [N,K,k]. */
  readonly neighbours: HostTensor;
  /** f32 [N,K,k]. */
  readonly similarities: HostTensor;
}

/** The place of an image in the maps of a batch. */
export interface MapPlace {
  /** Index of the image. */
  readonly n: number;
  /** Size of all maps. */
  readonly map: Extents;
  /** Size of this image's part, at the top left. */
  readonly size: Extents;
}

/** The segments of image `n` of a batch. */
export function segmentsOfImage(values: SegmentValues, place: MapPlace): ImageSegments {
  const { n } = place;
  const channels = values.embedding.shape[3]!;
  const [, clusters, k] = values.neighbours.shape as [number, number, number];
  const row = (value: HostTensor, cluster: number) => {
    const at = (n * clusters + cluster) * k;
    return [...value.data.subarray(at, at + k)];
  };
  return {
    clusters: cutOut(values.clusters.data as Int32Array, place),
    oracle: cutOut(values.oracle.data as Int32Array, place),
    embedding: cutOut(values.embedding.data as Float32Array, place, channels),
    prototypes: (values.prototypes.data as Float32Array).slice(n * clusters * channels, (n + 1) * clusters * channels),
    neighbours: Array.from({ length: clusters }, (_, cluster) => ({
      rows: row(values.neighbours, cluster),
      similarities: row(values.similarities, cluster),
    })),
  };
}

/** An image's part of the maps of a batch. */
export function cutOut<T extends Int32Array | Float32Array>(data: T, { n, map, size }: MapPlace, channels = 1): T {
  const cut = new (data.constructor as new (length: number) => T)(size[0] * size[1] * channels);
  for (let y = 0; y < size[0]; y++) {
    const from = (n * map[0] + y) * map[1] * channels;
    cut.set(data.subarray(from, from + size[1] * channels), y * size[1] * channels);
  }
  return cut;
}
