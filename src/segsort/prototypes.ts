/**
 * Prototypes: the mean directions of segments (Hwang et al., SegSort, ICCV 2019), and their extraction from labelled
 * images, for retrieval.
 */
import { scalar, scope, type Tensor, type TensorLike } from '../tensor/graph.js';
import { equal, greater, where } from '../tensor/ops/elementwise.js';
import { gather, segmentSum } from '../tensor/ops/gather.js';
import { l2Normalize, validLabels } from '../tensor/ops/normalize.js';
import { reshape } from '../tensor/ops/shape.js';
import { type ClusteringOptions, clusterCount, clusterImages, type ImagesToCluster } from './clustering.js';
import { labelHistogram, majority } from './ops/votes.js';

/**
 * Unit vectors f32 [N,capacity,D]: the mean direction of each segment's pixels, zeros where a segment has none.
 * Differentiable with respect to the embedding, f32 [N,P,D]. `segments` is i32 [N,P]; negative ids are left out.
 */
export function prototypesOf(unitEmbedding: TensorLike, segments: TensorLike, capacity: number): Tensor {
  return l2Normalize(segmentSum(unitEmbedding, segments, { segments: capacity, batched: true }));
}

/** What pixels look up by id: i32 [N,K] and ids i32 [N,P] give i32 [N,P]; -1 where the id is negative. */
export function lookUp(table: TensorLike, ids: TensorLike): Tensor {
  return where(greater(scalar(0, 'i32'), ids), scalar(-1, 'i32'), gather(table, ids, { batched: true }));
}

export interface LabelOptions {
  readonly classes: number;
  /** Label of pixels that belong to no class. Reference: 255. */
  readonly ignore: number;
}

/**
 * The commonest label of each cluster's pixels, i32 [N,K], the lower one of equals; -1 where a cluster has no pixel of a
 * class. `clusters` and `labels` are i32 [N,P].
 */
export function majorityLabels(
  clusters: TensorLike,
  labels: TensorLike,
  options: LabelOptions & { readonly clusters: number },
): Tensor {
  return majority(labelHistogram(clusters, labels, options));
}

/**
 * The best that any labelling of these clusters can do, i32 [N,P]: every pixel answers its cluster's commonest label.
 * -1 where a pixel is not clustered or its cluster has no labelled pixel.
 */
export function oracleLabels(
  clusters: TensorLike,
  labels: TensorLike,
  options: LabelOptions & { readonly clusters: number },
): Tensor {
  return lookUp(majorityLabels(clusters, labels, options), clusters);
}

export interface ExtractedPrototypes {
  /** f32 [N,K,D]: unit vectors, zeros where a cluster is empty. */
  readonly prototypes: Tensor;
  /** i32 [N,K]: -1 where a cluster is empty. */
  readonly labels: Tensor;
  /** i32 [N,P]: the cluster of each pixel that its prototype was made from, -1 for all others. See `segmentBoxes`. */
  readonly members: Tensor;
}

/**
 * Prototypes of labelled images, one for each cluster: its label is the commonest among its pixels, and it is the mean
 * direction of the pixels of that label. Ignored pixels take no part in the clustering.
 *
 * @param images as for `clusterImages`, with labels i32 [N,h,w] or [N,h*w]
 */
export function extractPrototypes(
  images: Omit<ImagesToCluster, 'mask'> & { readonly labels: TensorLike },
  options: ClusteringOptions & LabelOptions,
): ExtractedPrototypes {
  return scope('extractPrototypes', () => {
    const { classes, ignore } = options;
    const mask = validLabels(images.labels, { classes, ignoreLabel: ignore });
    const { clusters, embedding } = clusterImages({ ...images, mask }, options);
    const pixelLabels = reshape(images.labels, clusters.shape);
    const count = clusterCount(options);
    const labels = majorityLabels(clusters, pixelLabels, { classes, ignore, clusters: count });
    const agrees = equal(lookUp(labels, clusters), pixelLabels);
    const members = where(agrees, clusters, scalar(-1, 'i32'));
    return { prototypes: prototypesOf(embedding, members, count), labels, members };
  });
}
