/** The votes of a view's clusters, as a soft map of the image. */
import source from '../../shaders/segsort_spread_votes.wgsl';
import { apply1, type Tensor, type TensorLike } from '../../tensor/graph.js';
import { type Command, input, linearGrid, type Op, OpError, output } from '../../tensor/op.js';
import { sampleIntegers } from '../../tensor/ops/sample_values.js';
import { type NdArray, ndarray, showShape, sizeOf } from '../../tensor/types.js';
import { checkPositive } from './segments.js';
import { checkGrid, gridPosition } from './view_grid.js';

export interface SpreadVotes {
  /** Height and width of the result. */
  readonly size: readonly [number, number];
}

export const spreadVotesOp: Op<SpreadVotes> = {
  name: 'spreadVotes',
  infer([votes, clusters, grid], { size }) {
    if (votes!.dtype !== 'f32' || votes!.shape.length !== 2)
      throw new OpError(
        'spreadVotes',
        `votes must be f32 [clusters,classes], got ${votes!.dtype}${showShape(votes!.shape)}`,
      );
    if (clusters!.dtype !== 'i32' || clusters!.shape.length !== 2)
      throw new OpError(
        'spreadVotes',
        `clusters must be i32 [h,w], got ${clusters!.dtype}${showShape(clusters!.shape)}`,
      );
    checkGrid('spreadVotes', grid!);
    checkPositive('spreadVotes', { height: size[0], width: size[1] }, ['height', 'width']);
    return [{ shape: [1, ...size, votes!.shape[1]!], dtype: 'f32' }];
  },
  reference([votes, clusters, grid], { size }): NdArray[] {
    const classes = votes!.shape[1]!;
    const width = clusters!.shape[1]!;
    const result = ndarray([1, ...size, classes]);
    const at = (y: number, x: number, label: number) => {
      const cluster = clusters!.data[y * width + x]!;
      return cluster < 0 ? 0 : votes!.data[cluster * classes + label]!;
    };
    for (let oy = 0; oy < size[0]; oy++)
      for (let ox = 0; ox < size[1]; ox++) {
        const [y, x] = [gridPosition(grid!, 0, oy), gridPosition(grid!, 1, ox)];
        const [below, beside] = [y, x].map(({ pixel, extent }) => Math.min(pixel + 1, extent - 1)) as [number, number];
        for (let label = 0; label < classes; label++) {
          const upper = at(y.pixel, x.pixel, label) * (1 - x.part) + at(y.pixel, beside, label) * x.part;
          const lower = at(below, x.pixel, label) * (1 - x.part) + at(below, beside, label) * x.part;
          result.data[(oy * size[1] + ox) * classes + label] = upper * (1 - y.part) + lower * y.part;
        }
      }
    return [result];
  },
  samples: () => [
    {
      name: 'as it is',
      inputs: [
        sampleIntegers([4, 3], 0, 9, 1, 'f32'),
        sampleIntegers([3, 5], -1, 4, 2),
        ndarray([2, 4], [1, 0, 1, 3, 1, 0, 1, 4], 'i32'),
      ],
      params: { size: [3, 5] },
    },
    {
      name: 'reduced and mirrored',
      inputs: [
        sampleIntegers([6, 5], 0, 9, 3, 'f32'),
        sampleIntegers([7, 9], 0, 6, 4),
        ndarray([2, 4], [14, 0, 10, 7, -18, 72, 10, 9], 'i32'),
      ],
      params: { size: [5, 6] },
    },
  ],
  kernels: [
    {
      name: 'naive',
      commands({ inputs, outputs, params: { size } }): Command[] {
        const [height, width] = inputs[1]!.shape as [number, number];
        const count = sizeOf(outputs[0]!.shape);
        return [
          {
            source,
            uniforms: { count, classes: inputs[0]!.shape[1]!, outWidth: size[1], height, width },
            buffers: [input(0), input(1), input(2), output(0)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
  flops: (_, [spread]) => 9 * sizeOf(spread!.shape),
};

/**
 * Votes f32 [clusters,classes] of the clusters of a view, i32 [h,w], at the pixels of its image: f32
 * [1,height,width,classes], interpolated bilinearly. Pixels of no cluster (-1) have no votes.
 *
 * @param grid i32 [2,4]: where the pixels of the result lie in the view (see `view_grid.ts`)
 */
export function spreadVotes(votes: TensorLike, clusters: TensorLike, grid: TensorLike, params: SpreadVotes): Tensor {
  return apply1(spreadVotesOp, [votes, clusters, grid], params);
}
