/** Indices to one-hot rows. */
import sourceOneHot from '../../shaders/one_hot.wgsl';
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import { type Command, input, linearGrid, type Op, OpError, output } from '../op.js';
import { ndarray, showShape, sizeOf } from '../types.js';
import { sampleIntegers } from './sample_values.js';

export const oneHotOp: Op<{ readonly depth: number }> = {
  name: 'oneHot',
  infer([indices], { depth }) {
    if (indices!.dtype !== 'i32')
      throw new OpError('oneHot', `expects indices of i32, got ${indices!.dtype}${showShape(indices!.shape)}`);
    if (!(Number.isInteger(depth) && depth > 0))
      throw new OpError('oneHot', `depth must be a positive integer, got ${depth}`);
    return [{ shape: [...indices!.shape, depth], dtype: 'f32' }];
  },
  reference([indices], { depth }) {
    const y = ndarray([...indices!.shape, depth]);
    for (const [position, index] of indices!.data.entries())
      if (index >= 0 && index < depth) y.data[position * depth + index] = 1;
    return [y];
  },
  samples: () => [
    { inputs: [sampleIntegers([2, 7], -2, 6)], params: { depth: 5 } },
    { inputs: [ndarray([], [3], 'i32')], params: { depth: 4 } },
  ],
  kernels: [
    {
      name: 'naive',
      commands({ outputs, params: { depth } }): Command[] {
        const count = sizeOf(outputs[0]!.shape);
        return [
          {
            source: sourceOneHot,
            uniforms: { count, depth },
            buffers: [input(0), output(0)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
  flops: () => 0,
};

/** Indices [...] of i32 to rows [...,depth] of f32: 1 at the index, else 0; all 0 for an index out of range. */
export function oneHot(indices: TensorLike, depth: number): Tensor {
  return apply1(oneHotOp, [indices], { depth });
}
