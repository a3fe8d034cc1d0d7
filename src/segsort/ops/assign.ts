/** The assignment step of spherical k-means. */
import sourceHandicap from '../../shaders/segsort_assign_handicap.wgsl';
import sourceTiled from '../../shaders/segsort_assign_tiled.wgsl';
import { apply1, type Tensor, type TensorLike } from '../../tensor/graph.js';
import { type Command, input, type Kernel, linearGrid, type Op, OpError, output, scratch } from '../../tensor/op.js';
import { sampleIntegers, sampleValues } from '../../tensor/ops/sample_values.js';
import { type NdArray, ndarray, sameShape, showShape, type TensorType } from '../../tensor/types.js';

type None = Record<string, never>;

function extentsOf([features, centroids]: readonly TensorType[]) {
  const [images, pixels, channels] = features!.shape as [number, number, number];
  return { images, pixels, channels, clusters: centroids!.shape[1]! };
}

/** What keeps empty clusters from being chosen, in rows filled up to `padded` clusters. */
function handicaps({ images, clusters, channels }: ReturnType<typeof extentsOf>, padded: number): Command {
  return {
    source: sourceHandicap,
    uniforms: { count: images * padded, clusters, padded, channels: channels / 4 },
    buffers: [input(1), scratch(0)],
    workgroups: linearGrid(images * padded, 64),
  };
}

const quads: Kernel<None> = {
  name: 'quads',
  needs: ['subgroups'],
  when: ({ inputs, adapter }) => adapter.cpu && extentsOf(inputs).channels % 4 === 0,
  scratch({ inputs }) {
    const { images, clusters } = extentsOf(inputs);
    return [images * Math.ceil(clusters / 16) * 64];
  },
  commands({ inputs }): Command[] {
    const extents = extentsOf(inputs);
    const { images, pixels, channels, clusters } = extents;
    const padded = Math.ceil(clusters / 16) * 16;
    return [
      handicaps(extents, padded),
      {
        source: async () => (await import('./cpu_shaders.js')).assignQuads,
        uniforms: { pixels, clusters, padded, channels: channels / 4 },
        buffers: [input(0), input(1), scratch(0), input(2), output(0)],
        workgroups: [Math.ceil(pixels / 32), images],
      },
    ];
  },
};

const tiled: Kernel<None> = {
  name: 'tiled',
  when: ({ inputs }) => extentsOf(inputs).channels % 4 === 0,
  scratch({ inputs }) {
    const { images, clusters } = extentsOf(inputs);
    return [images * Math.ceil(clusters / 4) * 16];
  },
  commands({ inputs }): Command[] {
    const extents = extentsOf(inputs);
    const { images, pixels, channels, clusters } = extents;
    const tilesPerImage = Math.ceil(pixels / 8);
    const tiles = images * tilesPerImage;
    return [
      handicaps(extents, Math.ceil(clusters / 4) * 4),
      {
        source: sourceTiled,
        uniforms: { tiles, tilesPerImage, pixels, clusters, channels: channels / 4 },
        buffers: [input(0), input(1), scratch(0), input(2), output(0)],
        workgroups: linearGrid(tiles, 32),
      },
    ];
  },
};

const naive: Kernel<None> = {
  name: 'naive',
  commands({ inputs }): Command[] {
    const { images, pixels, channels, clusters } = extentsOf(inputs);
    const count = images * pixels;
    return [
      {
        source: async () => (await import('./naive_shaders.js')).assign,
        uniforms: { count, pixels, clusters, channels },
        buffers: [input(0), input(1), input(2), output(0)],
        workgroups: linearGrid(count, 64),
      },
    ];
  },
};

function sample(images: number, pixels: number, clusters: number, channels: number, seed: number) {
  const centroids = sampleValues([images, clusters, channels], seed);
  const zero = (cluster: number) => centroids.data.fill(0, cluster * channels, (cluster + 1) * channels);
  // An empty cluster in the middle, one at the end, and in the last image nothing but empty clusters.
  zero(1);
  zero(clusters - 1);
  for (let k = 0; k < clusters; k++) zero((images - 1) * clusters + k);
  // Two equal centroids: the first is chosen.
  if (clusters > 3) centroids.data.copyWithin(3 * channels, 2 * channels, 3 * channels);
  return {
    inputs: [
      sampleValues([images, pixels, channels], seed + 1),
      centroids,
      sampleIntegers([images, pixels], -1, clusters, seed + 2),
    ],
    params: {},
  };
}

export const assignClustersOp: Op<None> = {
  name: 'assignClusters',
  infer([features, centroids, clusters]) {
    if (features!.dtype !== 'f32' || features!.shape.length !== 3)
      throw new OpError('assignClusters', `features must be f32 [N,P,D], got ${showShape(features!.shape)}`);
    const { images, pixels, channels } = extentsOf([features!, centroids!]);
    const [n, , d] = centroids!.shape;
    if (centroids!.dtype !== 'f32' || centroids!.shape.length !== 3 || n !== images || d !== channels)
      throw new OpError(
        'assignClusters',
        `centroids ${showShape(centroids!.shape)} for features ${showShape(features!.shape)}: expects [${images},K,${channels}]`,
      );
    if (clusters!.dtype !== 'i32' || !sameShape(clusters!.shape, [images, pixels]))
      throw new OpError(
        'assignClusters',
        `clusters must be i32 [${images},${pixels}], got ${clusters!.dtype}${showShape(clusters!.shape)}`,
      );
    return [{ shape: [images, pixels], dtype: 'i32' }];
  },
  reference([features, centroids, before]): NdArray[] {
    const { pixels, channels, clusters } = extentsOf([features!, centroids!]);
    const result = ndarray(before!.shape, before!.data, 'i32');
    for (let pixel = 0; pixel < result.data.length; pixel++) {
      if (result.data[pixel]! < 0) continue;
      let largest = Number.NEGATIVE_INFINITY;
      for (let k = 0; k < clusters; k++) {
        const at = (Math.floor(pixel / pixels) * clusters + k) * channels;
        const centroid = centroids!.data.subarray(at, at + channels);
        if (centroid.every((value) => value === 0)) continue;
        let similarity = 0;
        for (let c = 0; c < channels; c++) similarity += features!.data[pixel * channels + c]! * centroid[c]!;
        if (similarity <= largest) continue;
        largest = similarity;
        result.data[pixel] = k;
      }
    }
    return [result];
  },
  samples: () => [
    sample(2, 19, 5, 8, 0),
    sample(3, 8, 4, 20, 3),
    sample(3, 40, 21, 12, 12),
    sample(2, 11, 6, 3, 6),
    sample(2, 1, 1, 4, 9),
  ],
  kernels: [quads, tiled, naive],
  flops([features, centroids]) {
    const { images, pixels, channels, clusters } = extentsOf([features!, centroids!]);
    return 2 * images * pixels * channels * clusters;
  },
};

/**
 * For each pixel of features [N,P,D] the cluster i32 [N,P] whose centroid [N,K,D] has the largest dot product with it;
 * the lower one of equals. A centroid of zeros is an empty cluster and never chosen. A pixel whose present cluster is
 * negative is no part of the clustering and keeps that number.
 */
export function assignClusters(features: TensorLike, centroids: TensorLike, clusters: TensorLike): Tensor {
  return apply1(assignClustersOp, [features, centroids, clusters], {});
}
