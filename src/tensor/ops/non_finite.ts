/** Whether all is well: how many elements are infinite or NaN. */
import source from '../../shaders/non_finite.wgsl';
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import { input, type Kernel, type KernelContext, linearGrid, type Op, OpError, output, scratch } from '../op.js';
import { ndarray, type Shape, sizeOf } from '../types.js';
import { NONE, type None } from './elementwise_op.js';
import { sumPartials } from './product_families.js';
import { sampleValues } from './sample_values.js';

/** Results of the first pass that one invocation of the second adds up. */
const GROUP = 128;

/** Invocations of the first pass: enough to occupy a GPU, and two further passes add up their counts. */
function invocationsOf({ inputs, adapter }: KernelContext<None>): number {
  const vectors = Math.ceil(sizeOf(inputs[0]!.shape) / 4);
  return Math.max(1, Math.min(vectors, adapter.cpu ? GROUP : GROUP * GROUP));
}

const counted: Kernel<None> = {
  name: 'counted',
  scratch(context) {
    const invocations = invocationsOf(context);
    return [invocations, Math.ceil(invocations / GROUP)].map((count) => count * 4);
  },
  commands(context) {
    const invocations = invocationsOf(context);
    const groups = Math.ceil(invocations / GROUP);
    return [
      {
        source,
        uniforms: { size: sizeOf(context.inputs[0]!.shape), invocations },
        buffers: [input(0), scratch(0)],
        workgroups: linearGrid(invocations, 64),
      },
      sumPartials(1, invocations, scratch(0), scratch(1), { group: GROUP }),
      sumPartials(1, groups, scratch(1), output(0)),
    ];
  },
};

function withBad(shape: Shape, places: readonly number[]) {
  const array = sampleValues(shape);
  for (const [i, place] of places.entries()) array.data[place] = [Number.NaN, Infinity, -Infinity][i % 3]!;
  return { inputs: [array], params: NONE };
}

export const countNonFiniteOp: Op<None> = {
  name: 'countNonFinite',
  infer([x]) {
    if (x!.dtype !== 'f32') throw new OpError('countNonFinite', `expects f32, got ${x!.dtype}`);
    return [{ shape: [], dtype: 'f32' }];
  },
  reference: ([x]) => [ndarray([], [x!.data.reduce((sum, value) => sum + (Number.isFinite(value) ? 0 : 1), 0)])],
  samples: () => [
    withBad([7, 300], []),
    withBad([7, 300], [0, 1, 1203, 2099]),
    withBad([5], [4]),
    withBad([200, 400], [77, 79999, 40000]),
  ],
  kernels: [counted],
};

export const nonFiniteOps: Op[] = [countNonFiniteOp];

/** How many elements are infinite or NaN, an f32 scalar. Exact to 2^24, beyond that about right. */
export function countNonFinite(x: TensorLike): Tensor {
  return apply1(countNonFiniteOp, [x], NONE);
}
