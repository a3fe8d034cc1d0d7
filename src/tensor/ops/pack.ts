/** Packing tensors into one flat array, so that one kernel updates all of them. */
import { apply1, constant, type Tensor, type TensorLike } from '../graph.js';
import { type Copy, input, type Op, OpError, output } from '../op.js';
import { FLAT_ALIGNMENT, type FlatLayout, flatLayout } from '../resident.js';
import { ndarray, showShape, sizeOf } from '../types.js';

/** Copies its inputs to their places; the last input is a run of zeros for the gaps between them. */
export const packOp: Op<FlatLayout> = {
  name: 'pack',
  infer(inputs, { sizes, length }) {
    for (const [i, size] of sizes.entries())
      if (sizeOf(inputs[i]!.shape) !== size)
        throw new OpError(
          'pack',
          `entry ${i} has ${size} elements, the tensor given is ${showShape(inputs[i]!.shape)}`,
        );
    return [{ shape: [length], dtype: 'f32' }];
  },
  reference(inputs, { offsets, sizes, length }) {
    const data = new Float64Array(length);
    for (const [i, offset] of offsets.entries()) data.set(inputs[i]!.data.subarray(0, sizes[i]), offset);
    return [{ shape: [length], dtype: 'f32', data }];
  },
  samples: () => {
    const inputs = [
      ndarray(
        [3, 5],
        Array.from({ length: 15 }, (_, i) => i + 1),
      ),
      ndarray([64], new Array(64).fill(2)),
      ndarray([], [7]),
    ];
    return [{ inputs: [...inputs, ndarray([FLAT_ALIGNMENT])], params: flatLayout([15, 64, 1]) }];
  },
  kernels: [
    {
      name: 'copies',
      commands({ params: { offsets, sizes, length } }) {
        const zeros = sizes.length;
        return offsets.flatMap((offset, i): Copy[] => {
          const end = offset + sizes[i]!;
          const gap = (offsets[i + 1] ?? length) - end;
          const entry = { from: input(i), fromOffset: 0, to: output(0), toOffset: offset * 4, bytes: sizes[i]! * 4 };
          const filler = { from: input(zeros), fromOffset: 0, to: output(0), toOffset: end * 4, bytes: gap * 4 };
          return gap > 0 ? [entry, filler] : [entry];
        });
      },
    },
  ],
  flops: () => 0,
};

/** One flat tensor of the given ones; zero in between. */
export function pack(tensors: readonly TensorLike[], layout: FlatLayout): Tensor {
  const zeros = constant([FLAT_ALIGNMENT], new Array<number>(FLAT_ALIGNMENT).fill(0));
  return apply1(packOp, [...tensors, zeros], layout);
}

export const packOps: Op[] = [packOp];
