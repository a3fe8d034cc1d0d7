/** Packing tensors into one flat array, so that one kernel updates all of them. */
import zeroRanges from '../../shaders/zero_ranges.wgsl';
import { apply1, constant, type Tensor, type TensorLike } from '../graph.js';
import { type Command, input, linearGrid, type Op, OpError, output, type Sample } from '../op.js';
import { type FlatLayout, flatLayout } from '../resident.js';
import { type NdArray, ndarray, type Shape, showShape, sizeOf } from '../types.js';
import { sampleValues } from './sample_values.js';

type Range = readonly [begin: number, end: number];

/** The elements that belong to no entry. */
function gapsOf({ offsets, sizes, length }: FlatLayout): Range[] {
  const gaps = sizes.map((size, i): Range => [offsets[i]! + size, offsets[i + 1] ?? length]);
  return gaps.filter(([begin, end]) => begin < end);
}

/** The gaps as an input of the op: u32 [gaps, 2]; none if there are none. */
function tableOf(layout: FlatLayout): { readonly shape: Shape; readonly values: number[] } | null {
  const gaps = gapsOf(layout);
  return gaps.length > 0 ? { shape: [gaps.length, 2], values: gaps.flat() } : null;
}

function sample(...entries: NdArray[]): Sample<FlatLayout> {
  const params = flatLayout(entries.map(({ data }) => data.length));
  const table = tableOf(params);
  return { inputs: table ? [...entries, ndarray(table.shape, table.values, 'u32')] : entries, params };
}

/** Copies its inputs to their places, unless they are there already; the last input tells of the gaps between them. */
export const packOp: Op<FlatLayout> = {
  name: 'pack',
  infer(inputs, { sizes, length }) {
    for (const [i, size] of sizes.entries()) {
      const { shape, dtype } = inputs[i]!;
      if (sizeOf(shape) !== size || dtype !== 'f32')
        throw new OpError(
          'pack',
          `entry ${i} has ${size} elements of f32, the tensor given is ${dtype}${showShape(shape)}`,
        );
    }
    return [{ shape: [length], dtype: 'f32' }];
  },
  parts: (_, { offsets }) => offsets.map((start) => ({ start })),
  reference(inputs, { offsets, sizes, length }) {
    const data = new Float64Array(length);
    for (const [i, offset] of offsets.entries()) data.set(inputs[i]!.data.subarray(0, sizes[i]), offset);
    return [{ shape: [length], dtype: 'f32', data }];
  },
  samples: () => [
    sample(sampleValues([3, 5], 0), sampleValues([64], 1), sampleValues([], 2)),
    sample(sampleValues([2, 64], 0), sampleValues([128], 1)),
  ],
  kernels: [
    {
      name: 'copies',
      commands({ inputs, params }) {
        const { offsets, sizes } = params;
        const copies = offsets.map((offset, i): Command => {
          return { from: input(i), fromOffset: 0, to: output(0), toOffset: offset * 4, bytes: sizes[i]! * 4 };
        });
        const table = inputs[sizes.length];
        if (!table) return copies;
        const count = table.shape[0]!;
        const zeros = { source: zeroRanges, uniforms: { count }, workgroups: linearGrid(count, 1) };
        return [...copies, { ...zeros, buffers: [input(sizes.length), output(0)] }];
      },
    },
  ],
  flops: () => 0,
};

/** One flat tensor of the given ones, which are f32; zero in between. */
export function pack(tensors: readonly TensorLike[], layout: FlatLayout): Tensor {
  const table = tableOf(layout);
  return apply1(packOp, table ? [...tensors, constant(table.shape, table.values, 'u32')] : tensors, layout);
}

export const packOps: Op[] = [packOp];
