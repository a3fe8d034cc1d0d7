/**
 * Clustering of an image's pixels by embedding and location: spherical k-means, which is expectation-maximisation of
 * a mixture of von Mises-Fisher distributions with hard assignments ("pixel sorting" in Hwang et al., SegSort, ICCV
 * 2019). Images of a batch are clustered side by side on the GPU. No gradient flows through clusters: they are
 * constants to the loss.
 */
import { constant, currentGraph, scope, type Tensor, type TensorLike } from '../tensor/graph.js';
import { OpError } from '../tensor/op.js';
import { greater, where } from '../tensor/ops/elementwise.js';
import { segmentSum } from '../tensor/ops/gather.js';
import { concat } from '../tensor/ops/layout.js';
import { l2Normalize } from '../tensor/ops/normalize.js';
import { broadcastTo, reshape } from '../tensor/ops/shape.js';
import { sameShape, showShape } from '../tensor/types.js';
import { assignClusters } from './ops/assign.js';
import { type Canvas, initialClusters, locations } from './ops/grid.js';

export interface ClusteringOptions {
  /** Cells of the initial grid along y and x; their product is the number of clusters. Reference: [5, 5]. */
  readonly cells: readonly [number, number];
  /** Iterations of k-means; 0 leaves the grid. Reference: 10. */
  readonly iterations: number;
}

/** How many cluster ids there can be: one for each cell. */
export function clusterCount({ cells }: Pick<ClusteringOptions, 'cells'>): number {
  return cells[0] * cells[1];
}

/**
 * Spherical k-means: `iterations` times, centroids are the normalised sums of their pixels' features, and every pixel
 * moves to the centroid it has the largest dot product with. Ties go to the lower id, and empty clusters stay empty.
 *
 * @param features f32 [N,P,D], unit vectors
 * @param initial i32 [N,P]: ids from 0 to `clusters - 1`; pixels with a negative id take no part and keep it
 * @returns i32 [N,P]
 */
export function sphericalKMeans(
  features: TensorLike,
  initial: TensorLike,
  { clusters, iterations }: { clusters: number; iterations: number },
): Tensor {
  if (!(Number.isInteger(iterations) && iterations >= 0))
    throw new OpError('sphericalKMeans', `iterations must be an integer of at least 0, got ${iterations}`);
  return scope('kmeans', () => {
    let ids = currentGraph().use(initial);
    for (let iteration = 0; iteration < iterations; iteration++)
      ids = assignClusters(features, centroidsOf(features, ids, clusters), ids);
    return ids;
  });
}

/** Mean directions f32 [N,K,D] of the pixels of each cluster; zeros for an empty one. */
export function centroidsOf(features: TensorLike, ids: TensorLike, clusters: number): Tensor {
  return l2Normalize(segmentSum(features, ids, { segments: clusters, batched: true }));
}

/** Valid sizes of images that fill their canvas, f32 [N,2]. */
export function fullSizes(images: number, { height, width }: Canvas): Tensor {
  return broadcastTo(constant([1, 2], [height, width]), [images, 2]);
}

/**
 * The features to cluster by: unit embedding and location, together normalised, and filled up with zeros to a
 * multiple of four channels, which changes neither lengths nor products: f32 [N,P,D'].
 */
export function clusteringFeatures(unitEmbedding: TensorLike, sizes: TensorLike, canvas: Canvas): Tensor {
  const channels = unitEmbedding.shape[2]!;
  const located = Math.ceil((channels + 2) / 4) * 4 - channels;
  return l2Normalize(concat([unitEmbedding, locations(sizes, { ...canvas, channels: located })], 2));
}

export interface ImagesToCluster {
  /** f32 [N,h,w,D], of any length: it is normalised here, unless `unit` says that it is. */
  readonly embedding: TensorLike;
  /** True: the embedding is unit vectors. Default false. */
  readonly unit?: boolean;
  /** f32 [N,2]: the valid height and width of each image on the canvas [h,w]. Default: all of it. */
  readonly sizes?: TensorLike;
  /** f32 [N,h*w] or [N,h,w]: pixels where this is 0 take no part. Default: all valid pixels do. */
  readonly mask?: TensorLike;
}

export interface ClusteredImages {
  /** i32 [N,P]: 0 to `clusterCount(options) - 1`; -1 for padding and masked pixels. */
  readonly clusters: Tensor;
  /** f32 [N,P,D]: the embedding as unit vectors. */
  readonly embedding: Tensor;
}

/** Clusters every image of a batch, starting from a uniform grid. P = h*w. */
export function clusterImages(images: ImagesToCluster, options: ClusteringOptions): ClusteredImages {
  const { shape } = images.embedding;
  if (shape.length !== 4)
    throw new OpError('clusterImages', `the embedding must be [N,h,w,D], got ${showShape(shape)}`);
  const [count, height, width, channels] = shape as [number, number, number, number];
  const canvas = { height, width };
  const sizes = images.sizes ?? fullSizes(count, canvas);
  if (!sameShape(sizes.shape, [count, 2]))
    throw new OpError('clusterImages', `sizes must be [${count},2], got ${showShape(sizes.shape)}`);
  const rows = reshape(images.embedding, [count, height * width, channels]);
  const embedding = images.unit ? rows : l2Normalize(rows);
  let initial = initialClusters(sizes, { ...canvas, cells: options.cells });
  if (images.mask) {
    const taken = greater(reshape(images.mask, [count, height * width]), constant([], [0]));
    initial = where(taken, initial, constant([], [-1], 'i32'));
  }
  const clusters = sphericalKMeans(clusteringFeatures(embedding, sizes, canvas), initial, {
    clusters: clusterCount(options),
    iterations: options.iterations,
  });
  return { clusters, embedding };
}
