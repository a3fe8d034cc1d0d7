/**
 * Segmentation by retrieval (Hwang et al., SegSort, ICCV 2019): an image is clustered, and each cluster takes the
 * commonest label among the prototypes nearest to its own.
 */
import { scope, type Tensor, type TensorLike } from '../tensor/graph.js';
import { OpError } from '../tensor/op.js';
import { takeAlong } from '../tensor/ops/along.js';
import { gather } from '../tensor/ops/gather.js';
import { matmul } from '../tensor/ops/matmul.js';
import { topK } from '../tensor/ops/select_k.js';
import { reshape } from '../tensor/ops/shape.js';
import { showShape } from '../tensor/types.js';
import { type ClusteringOptions, clusterCount, clusterImages, type ImagesToCluster } from './clustering.js';
import { GROUP, groupMaxima, groupMembers } from './ops/nearest_groups.js';
import { voteLabels } from './ops/votes.js';
import { lookUp, prototypesOf } from './prototypes.js';

export interface Neighbours {
  /** f32 [Q,k]: cosines, descending. */
  readonly similarities: Tensor;
  /** i32 [Q,k]: rows of the table; of equally near ones the first. */
  readonly indices: Tensor;
}

/**
 * The k rows of `table` f32 [M,D] with the largest dot products with each row of `queries` f32 [Q,D]: exactly these, up to
 * rounding. k is at most 64. Where the table is long, the similarities are not stored but reduced by groups of rows (see
 * `nearest_groups.ts`).
 */
export function nearestPrototypes(queries: TensorLike, table: TensorLike, k: number): Neighbours {
  const rows = table.shape[0] ?? 0;
  if (k > rows)
    throw new OpError(
      'nearestPrototypes',
      `k = ${k}, but the table ${showShape(table.shape)} has only ${rows} prototypes`,
    );
  // With fewer rows, there would be little that the second pass need not look at.
  if (rows < 4 * GROUP * k) {
    const { values, indices } = topK(matmul(queries, table, { transposeB: true }), k);
    return { similarities: values, indices };
  }
  const members = groupMembers(queries, table, topK(groupMaxima(queries, table), k).indices);
  const { values, indices } = topK(members.similarities, k);
  return { similarities: values, indices: takeAlong(members.rows, indices) };
}

export interface SegmentedImages {
  /** i32 [N,P]: -1 for padding and masked pixels. */
  readonly clusters: Tensor;
  /** f32 [N,K,D]: each cluster's mean direction, zeros for an empty one. */
  readonly prototypes: Tensor;
}

/** Clusters images and takes the prototype of every cluster. */
export function segmentImages(images: ImagesToCluster, options: ClusteringOptions): SegmentedImages {
  const { clusters, embedding } = clusterImages(images, options);
  return { clusters, prototypes: prototypesOf(embedding, clusters, clusterCount(options)) };
}

export interface PredictionInputs extends ImagesToCluster {
  /** f32 [M,D]: prototypes of labelled images. */
  readonly table: TensorLike;
  /** i32 [M]. */
  readonly tableLabels: TensorLike;
}

export interface PredictionOptions extends ClusteringOptions {
  /** Neighbours that vote. Reference: 15 to 21. */
  readonly k: number;
}

export interface Prediction extends SegmentedImages {
  /** i32 [N,h,w]; -1 for padding and masked pixels. */
  readonly labels: Tensor;
  /** i32 [N,K]: the label each cluster was given (meaningless for an empty one). */
  readonly clusterLabels: Tensor;
  /** i32 [N,K,k]: rows of the table nearest to each cluster's prototype. */
  readonly neighbours: Tensor;
  /** f32 [N,K,k]: their cosines, descending. */
  readonly similarities: Tensor;
}

/**
 * Labels of every pixel, by a vote of the `k` nearest prototypes of its cluster; the lower label of equals. The
 * prediction has the resolution of the embedding: resize that first for another.
 */
export function predictLabels(inputs: PredictionInputs, options: PredictionOptions): Prediction {
  return scope('predictLabels', () => {
    const [images, height, width, channels] = inputs.embedding.shape as [number, number, number, number];
    const segmented = segmentImages(inputs, options);
    const count = clusterCount(options);
    const queries = reshape(segmented.prototypes, [images * count, channels]);
    const { similarities, indices } = nearestPrototypes(queries, inputs.table, options.k);
    const clusterLabels = reshape(voteLabels(gather(inputs.tableLabels, indices)), [images, count]);
    return {
      ...segmented,
      clusterLabels,
      labels: reshape(lookUp(clusterLabels, segmented.clusters), [images, height, width]),
      neighbours: reshape(indices, [images, count, options.k]),
      similarities: reshape(similarities, [images, count, options.k]),
    };
  });
}
