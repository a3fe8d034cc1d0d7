/** Segments: the pixels of an image that share a cluster and a semantic label, numbered without gaps. */
import sourceClear from '../../shaders/segsort_segments_clear.wgsl';
import sourceMark from '../../shaders/segsort_segments_mark.wgsl';
import sourceNumber from '../../shaders/segsort_segments_number.wgsl';
import sourceWrite from '../../shaders/segsort_segments_write.wgsl';
import { apply, type Tensor, type TensorLike } from '../../tensor/graph.js';
import { type Command, input, linearGrid, type Op, OpError, output, scratch } from '../../tensor/op.js';
import { sampleIntegers } from '../../tensor/ops/sample_values.js';
import { type NdArray, ndarray, sameShape, showShape, type TensorType } from '../../tensor/types.js';

export interface SegmentsOf {
  /** Cluster ids are 0 to clusters - 1. */
  readonly clusters: number;
  /** Labels are 0 to classes - 1, or `ignore`. */
  readonly classes: number;
  /** The label of pixels that belong to no class. */
  readonly ignore: number;
  /** Most segments an image may have. */
  readonly capacity: number;
}

/** Checks the arguments of an op over i32 [N,P] clusters and labels; gives the number of images. */
export function checkMaps(op: string, clusters: TensorType, labels: TensorType): number {
  if (clusters.dtype !== 'i32' || clusters.shape.length !== 2)
    throw new OpError(op, `clusters must be i32 [N,P], got ${clusters.dtype}${showShape(clusters.shape)}`);
  if (labels.dtype !== 'i32' || !sameShape(labels.shape, clusters.shape))
    throw new OpError(
      op,
      `labels must be i32${showShape(clusters.shape)} as the clusters are, got ${labels.dtype}${showShape(labels.shape)}`,
    );
  return clusters.shape[0]!;
}

export function checkPositive(op: string, params: Readonly<Record<string, number>>, names: readonly string[]): void {
  for (const name of names)
    if (!(Number.isInteger(params[name]) && params[name]! > 0))
      throw new OpError(op, `${name} must be a positive integer, got ${params[name]}`);
}

export const segmentsOfOp: Op<SegmentsOf> = {
  name: 'segmentsOf',
  infer([clusters, labels], params) {
    const images = checkMaps('segmentsOf', clusters!, labels!);
    checkPositive('segmentsOf', { ...params }, ['clusters', 'classes', 'capacity']);
    return [
      { shape: clusters!.shape, dtype: 'i32' },
      { shape: clusters!.shape, dtype: 'i32' },
      { shape: [images, params.capacity], dtype: 'i32' },
      { shape: [images], dtype: 'i32' },
    ];
  },
  reference([clusters, labels], params): NdArray[] {
    const [images, pixels] = clusters!.shape as [number, number];
    const { classes, ignore, capacity } = params;
    const [segments, rows, segmentLabels, counts] = this.infer([clusters!, labels!], params).map(({ shape }) => {
      const array = ndarray(shape, undefined, 'i32');
      array.data.fill(-1);
      return array;
    }) as [NdArray, NdArray, NdArray, NdArray];
    for (let n = 0; n < images; n++) {
      const pairOf = (p: number): number | null => {
        const cluster = clusters!.data[n * pixels + p]!;
        const label = labels!.data[n * pixels + p]!;
        const inside = cluster >= 0 && cluster < params.clusters && label >= 0 && label < classes && label !== ignore;
        return inside ? cluster * classes + label : null;
      };
      const all = Array.from({ length: pixels }, (_, p) => pairOf(p));
      const present = [...new Set(all.filter((pair) => pair !== null))].sort((a, b) => a - b);
      for (const [id, pair] of present.slice(0, capacity).entries())
        segmentLabels.data[n * capacity + id] = pair % classes;
      for (const [p, pair] of all.entries()) {
        const id = pair === null ? -1 : present.indexOf(pair);
        if (id < 0 || id >= capacity) continue;
        segments.data[n * pixels + p] = id;
        rows.data[n * pixels + p] = n * capacity + id;
      }
      const stray = Array.from(labels!.data.subarray(n * pixels, (n + 1) * pixels)).filter(
        (label) => label !== ignore && (label < 0 || label >= classes),
      );
      counts.data[n] = stray.length > 0 ? -1 - Math.max(0, ...stray) : present.length;
    }
    return [segments, rows, segmentLabels, counts];
  },
  samples() {
    const labels = (shape: [number, number], classes: number, seed: number) => {
      const map = sampleIntegers(shape, 0, classes + 1, seed);
      return { ...map, data: map.data.map((label) => (label === classes ? 255 : label)) };
    };
    const params = { clusters: 6, classes: 4, ignore: 255, capacity: 30 };
    const stray = labels([3, 8], 4, 7);
    stray.data[3] = 9;
    stray.data[11] = -2;
    return [
      { inputs: [sampleIntegers([3, 35], -1, 6, 0), labels([3, 35], 4, 1)], params },
      {
        name: 'an overflow',
        inputs: [sampleIntegers([2, 41], -1, 7, 2), labels([2, 41], 4, 3)],
        params: { ...params, capacity: 5 },
      },
      {
        name: 'ignored everywhere, and an ignored class',
        inputs: [ndarray([2, 3], [0, 1, 2, 3, 4, 5], 'i32'), ndarray([2, 3], [0, 0, 0, 1, 0, 2], 'i32')],
        params: { ...params, ignore: 0 },
      },
      { name: 'labels of no class', inputs: [sampleIntegers([3, 8], 0, 6, 4), stray], params },
      { inputs: [sampleIntegers([1, 1], 0, 1), ndarray([1, 1], [3], 'i32')], params: { ...params, clusters: 1 } },
    ];
  },
  kernels: [
    {
      name: 'atomics',
      scratch({ inputs, params: { clusters, classes } }) {
        const [images] = inputs[0]!.shape as [number, number];
        return [images * clusters * classes * 4, images * clusters * 4, images * 4];
      },
      commands({ inputs, params: { clusters, classes, ignore, capacity } }): Command[] {
        const [images, pixels] = inputs[0]!.shape as [number, number];
        const count = images * pixels;
        const pairs = images * clusters * classes;
        const rows = images * capacity;
        const maps = { count, pixels, clusters, classes, ignored: ignore };
        return [
          {
            source: sourceClear,
            uniforms: { pairs, clusters: images * clusters, images, rows },
            buffers: [scratch(0), scratch(1), scratch(2), output(2)],
            workgroups: linearGrid(Math.max(pairs, rows), 64),
          },
          {
            source: sourceMark,
            uniforms: maps,
            buffers: [input(0), input(1), scratch(0), scratch(1), scratch(2)],
            workgroups: linearGrid(count, 64),
          },
          {
            source: sourceNumber,
            uniforms: { count: images * clusters, clusters, classes, capacity },
            buffers: [scratch(0), scratch(1), scratch(2), output(2), output(3)],
            workgroups: linearGrid(images * clusters, 64),
          },
          {
            source: sourceWrite,
            uniforms: { ...maps, capacity },
            buffers: [input(0), input(1), scratch(0), output(0), output(1)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
  flops: () => 0,
};

export interface Segments {
  /** i32 [N,P]: the pixel's segment in its image; -1 where ignored, not clustered, or past the capacity. */
  readonly segments: Tensor;
  /** i32 [N,P]: `n * capacity + segment`, the segment's row in a table [N*capacity,...]; -1 as above. */
  readonly rows: Tensor;
  /** i32 [N,capacity]: semantic label of each segment; -1 for unused rows. */
  readonly labels: Tensor;
  /**
   * i32 [N]: how many segments the image has, which may be more than the capacity, or `-1 - label` if a pixel has a
   * label that is neither a class nor ignored. See `checkCapacity`.
   */
  readonly counts: Tensor;
}

/**
 * The segments of each image, in order of (cluster, label), from clusters i32 [N,P] (negative: not clustered) and
 * labels i32 [N,P].
 */
export function segmentsOf(clusters: TensorLike, labels: TensorLike, params: SegmentsOf): Segments {
  const [segments, rows, segmentLabels, counts] = apply(segmentsOfOp, [clusters, labels], params);
  return { segments: segments!, rows: rows!, labels: segmentLabels!, counts: counts! };
}

/**
 * Throws if `counts`, as `segmentsOf` gave them, tell of an image with more segments than `capacity` or with a label
 * out of range: such a step must not be used. `nameOf` says which image it is.
 */
export function checkCapacity(
  counts: ArrayLike<number>,
  capacity: number,
  nameOf = (image: number) => `image ${image} of the batch`,
): void {
  for (let image = 0; image < counts.length; image++) {
    const count = counts[image]!;
    if (count < 0)
      throw new Error(
        `${nameOf(image)} has ${count === -1 ? 'a negative label' : `the label ${-1 - count}`}, which is neither a class nor the ignored label`,
      );
    if (count > capacity)
      throw new Error(
        `more segments than capacity: ${nameOf(image)} has ${count} (cluster, label) pairs, the capacity is ${capacity}; raise the option \`capacity\``,
      );
  }
}
