/** Majorities: of the labels of a cluster's pixels, and of the labels of a segment's nearest prototypes. */
import sourceHistogram from '../../shaders/segsort_histogram.wgsl';
import sourceClear from '../../shaders/segsort_histogram_clear.wgsl';
import sourceMajority from '../../shaders/segsort_majority.wgsl';
import sourceVotes from '../../shaders/segsort_votes.wgsl';
import { apply1, type Tensor, type TensorLike } from '../../tensor/graph.js';
import { type Command, input, linearGrid, type Op, OpError, output } from '../../tensor/op.js';
import { sampleIntegers } from '../../tensor/ops/sample_values.js';
import { type NdArray, ndarray, showShape, sizeOf } from '../../tensor/types.js';
import { checkMaps, checkPositive } from './segments.js';

type None = Record<string, never>;

export interface LabelHistogram {
  readonly clusters: number;
  readonly classes: number;
  readonly ignore: number;
}

export const labelHistogramOp: Op<LabelHistogram> = {
  name: 'labelHistogram',
  infer([clusters, labels], params) {
    const images = checkMaps('labelHistogram', clusters!, labels!);
    checkPositive('labelHistogram', { ...params }, ['clusters', 'classes']);
    return [{ shape: [images, params.clusters, params.classes], dtype: 'i32' }];
  },
  reference([clusters, labels], params): NdArray[] {
    const pixels = clusters!.shape[1]!;
    const histogram = ndarray(this.infer([clusters!, labels!], params)[0]!.shape, undefined, 'i32');
    for (const [p, cluster] of clusters!.data.entries()) {
      const label = labels!.data[p]!;
      if (cluster < 0 || cluster >= params.clusters || label < 0 || label >= params.classes || label === params.ignore)
        continue;
      histogram.data[(Math.floor(p / pixels) * params.clusters + cluster) * params.classes + label]! += 1;
    }
    return [histogram];
  },
  samples: () => [
    {
      inputs: [sampleIntegers([3, 130], -1, 6, 0), sampleIntegers([3, 130], -1, 8, 1)],
      params: { clusters: 5, classes: 7, ignore: 255 },
    },
    {
      name: 'runs of one pair',
      inputs: [
        {
          ...sampleIntegers([2, 300], 0, 3, 0),
          data: Float64Array.from({ length: 600 }, (_, p) => Math.floor(p / 40) % 3),
        },
        {
          ...sampleIntegers([2, 300], 0, 3, 1),
          data: Float64Array.from({ length: 600 }, (_, p) => Math.floor(p / 70) % 3),
        },
      ],
      params: { clusters: 3, classes: 3, ignore: 1 },
    },
    {
      inputs: [ndarray([1, 1], [0], 'i32'), ndarray([1, 1], [0], 'i32')],
      params: { clusters: 1, classes: 1, ignore: 255 },
    },
  ],
  kernels: [
    {
      name: 'atomics',
      commands({ inputs, outputs, params: { clusters, classes, ignore } }): Command[] {
        const [images, pixels] = inputs[0]!.shape as [number, number];
        const size = sizeOf(outputs[0]!.shape);
        const run = 32;
        const runs = Math.ceil(pixels / run);
        return [
          {
            source: sourceClear,
            uniforms: { count: size },
            buffers: [output(0)],
            workgroups: linearGrid(size, 64),
          },
          {
            source: sourceHistogram,
            uniforms: { count: images * runs, run, runs, pixels, clusters, classes, ignored: ignore },
            buffers: [input(0), input(1), output(0)],
            workgroups: linearGrid(images * runs, 64),
          },
        ];
      },
    },
  ],
  flops: () => 0,
};

export const majorityOp: Op<None> = {
  name: 'majority',
  infer([histogram]) {
    const { shape, dtype } = histogram!;
    if (dtype !== 'i32' || shape.length < 1)
      throw new OpError('majority', `expects counts i32 [...,classes], got ${dtype}${showShape(shape)}`);
    return [{ shape: shape.slice(0, -1), dtype: 'i32' }];
  },
  reference([histogram]): NdArray[] {
    const classes = histogram!.shape.at(-1)!;
    const winner = ndarray(histogram!.shape.slice(0, -1), undefined, 'i32');
    for (let row = 0; row < winner.data.length; row++) {
      const counts = histogram!.data.subarray(row * classes, (row + 1) * classes);
      const most = Math.max(...counts);
      winner.data[row] = most > 0 ? counts.indexOf(most) : -1;
    }
    return [winner];
  },
  samples: () => [
    { inputs: [sampleIntegers([3, 5, 6], 0, 4)], params: {} },
    { inputs: [ndarray([4, 3], [0, 0, 0, 2, 5, 5, 7, 7, 7, 0, 0, 1], 'i32')], params: {} },
  ],
  kernels: [
    {
      name: 'naive',
      commands({ inputs, outputs }): Command[] {
        const count = sizeOf(outputs[0]!.shape);
        return [
          {
            source: sourceMajority,
            uniforms: { count, classes: inputs[0]!.shape.at(-1)! },
            buffers: [input(0), output(0)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
  flops: () => 0,
};

export const voteLabelsOp: Op<None> = {
  name: 'voteLabels',
  infer([labels]) {
    const { shape, dtype } = labels!;
    if (dtype !== 'i32' || shape.length < 1)
      throw new OpError('voteLabels', `expects labels i32 [...,k], got ${dtype}${showShape(shape)}`);
    return [{ shape: shape.slice(0, -1), dtype: 'i32' }];
  },
  reference([labels]): NdArray[] {
    const votes = labels!.shape.at(-1)!;
    const winner = ndarray(labels!.shape.slice(0, -1), undefined, 'i32');
    for (let row = 0; row < winner.data.length; row++) {
      const counts = new Map<number, number>();
      for (const label of labels!.data.subarray(row * votes, (row + 1) * votes))
        if (label >= 0) counts.set(label, (counts.get(label) ?? 0) + 1);
      const [first] = [...counts].sort(([a, m], [b, n]) => n - m || a - b);
      winner.data[row] = first ? first[0] : -1;
    }
    return [winner];
  },
  samples: () => [
    { inputs: [sampleIntegers([9, 7], -1, 4)], params: {} },
    { inputs: [sampleIntegers([3, 4, 1], 0, 200)], params: {} },
    { inputs: [ndarray([3, 4], [5, 2, 2, 5, -1, -1, -1, 3, -1, -1, -1, -1], 'i32')], params: {} },
  ],
  kernels: [
    {
      name: 'naive',
      commands({ inputs, outputs }): Command[] {
        const count = sizeOf(outputs[0]!.shape);
        return [
          {
            source: sourceVotes,
            uniforms: { count, votes: inputs[0]!.shape.at(-1)! },
            buffers: [input(0), output(0)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
  flops: () => 0,
};

/**
 * How many pixels of each label each cluster has: i32 [N,K,classes] from clusters and labels i32 [N,P]. Pixels that are
 * ignored, out of range or not clustered are not counted.
 */
export function labelHistogram(clusters: TensorLike, labels: TensorLike, params: LabelHistogram): Tensor {
  return apply1(labelHistogramOp, [clusters, labels], params);
}

/** Index of the largest count in the last axis, i32; the lower of equals, and -1 where all counts are 0. */
export function majority(histogram: TensorLike): Tensor {
  return apply1(majorityOp, [histogram], {});
}

/** The commonest label in the last axis of i32 [...,k]; the lower of equals. Negative labels don't vote; -1 if all are. */
export function voteLabels(labels: TensorLike): Tensor {
  return apply1(voteLabelsOp, [labels], {});
}
