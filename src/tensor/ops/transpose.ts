/** Reordering axes, with the copy kernels in general and faster ones where two neighbouring axes swap. */
import sourceBlocks from '../../shaders/transpose_blocks.wgsl';
import sourceTiled from '../../shaders/transpose_tiled.wgsl';
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import { type Command, input, type Kernel, linearGrid, type Op, OpError, output } from '../op.js';
import { type NdArray, sameShape, showShape, sizeOf, stridesOf, type TensorType } from '../types.js';
import { sampleIntegers, sampleValues } from './sample_values.js';
import { type Box, boxOf, checkRank, copyBox, copyKernels } from './strided_copy.js';

export interface Transpose {
  /** Output axis `i` is input axis `perm[i]`. */
  readonly perm: readonly number[];
}

const permuted = (x: TensorType, { perm }: Transpose) => perm.map((axis) => x.shape[axis]!);

function transposeBox([x]: readonly TensorType[], params: Transpose): Box {
  const strides = stridesOf(x!.shape);
  const shape = permuted(x!, params);
  return boxOf(
    shape,
    params.perm.map((axis) => strides[axis]!),
    stridesOf(shape),
  );
}

/** Batch, rows and columns of the input, where the transposition only swaps the last two (merged) axes. */
function matrixOf(
  inputs: readonly TensorType[],
  params: Transpose,
): { batch: number; rows: number; columns: number } | null {
  const { axes } = transposeBox(inputs, params);
  const [columns, rows] = axes.slice(-2);
  if (axes.length < 2 || axes.length > 3 || columns!.source !== 1 || rows!.source !== columns!.extent) return null;
  if (axes.length === 3 && axes[0]!.source !== rows!.extent * columns!.extent) return null;
  return { batch: axes.length === 3 ? axes[0]!.extent : 1, rows: rows!.extent, columns: columns!.extent };
}

const transposeKernels: Kernel<Transpose>[] = [
  {
    name: 'blocks',
    when({ inputs, params }) {
      const matrix = matrixOf(inputs, params);
      return matrix !== null && matrix.rows % 4 === 0 && matrix.columns % 4 === 0;
    },
    commands({ inputs, params }): Command[] {
      const { batch, rows, columns } = matrixOf(inputs, params)!;
      const count = (batch * rows * columns) / 16;
      return [
        {
          source: sourceBlocks,
          uniforms: { count, rows4: rows / 4, columns4: columns / 4 },
          buffers: [input(0), output(0)],
          workgroups: linearGrid(count, 64),
        },
      ];
    },
  },
  {
    name: 'tiled',
    when: ({ inputs, params, adapter }) => !adapter.cpu && matrixOf(inputs, params) !== null,
    commands({ inputs, params }): Command[] {
      const { batch, rows, columns } = matrixOf(inputs, params)!;
      const rowTiles = Math.ceil(rows / 16);
      const columnTiles = Math.ceil(columns / 16);
      const tiles = batch * rowTiles * columnTiles;
      return [
        {
          source: sourceTiled,
          uniforms: { rows, columns, rowTiles, columnTiles, tiles },
          buffers: [input(0), output(0)],
          workgroups: linearGrid(tiles, 1),
        },
      ];
    },
  },
  ...copyKernels<Transpose>((inputs, params) => [transposeBox(inputs, params)]),
];

export const transposeOp: Op<Transpose> = {
  name: 'transpose',
  infer([x], params) {
    checkRank('transpose', x!);
    if (
      !sameShape(
        [...params.perm].sort(),
        x!.shape.map((_, axis) => axis),
      )
    )
      throw new OpError('transpose', `[${params.perm}] is not an order of the axes of ${showShape(x!.shape)}`);
    return [{ shape: permuted(x!, params), dtype: x!.dtype }];
  },
  grad: ({ grads, params: { perm } }) => [
    transpose(
      grads[0]!,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
  ],
  reference([x], params): NdArray[] {
    const strides = stridesOf(x!.shape);
    const shape = permuted(x!, params);
    const data = new Float64Array(sizeOf(shape));
    copyBox(
      shape,
      x!.data,
      params.perm.map((axis) => strides[axis]!),
      0,
      data,
      stridesOf(shape),
      0,
    );
    return [{ shape, dtype: x!.dtype, data }];
  },
  samples: () => [
    { inputs: [sampleValues([8, 12])], params: { perm: [1, 0] } },
    { inputs: [sampleValues([3, 5, 7])], params: { perm: [0, 2, 1] } },
    { inputs: [sampleValues([2, 19, 3, 18])], params: { perm: [0, 3, 1, 2] }, checkGrad: false },
    { inputs: [sampleValues([2, 3, 5, 4])], params: { perm: [2, 0, 1, 3] } },
    { inputs: [sampleIntegers([2, 3, 2, 4, 3], -9, 9)], params: { perm: [4, 2, 0, 3, 1] }, checkGrad: false },
    { inputs: [sampleIntegers([6, 1, 5], 0, 2 ** 32, 0, 'u32')], params: { perm: [1, 2, 0] }, checkGrad: false },
    { inputs: [sampleValues([1, 6, 1])], params: { perm: [2, 1, 0] } },
  ],
  kernels: transposeKernels,
  flops: () => 0,
};

/** Reorders axes: output axis `i` is input axis `perm[i]`. */
export function transpose(x: TensorLike, perm: readonly number[]): Tensor {
  return apply1(transposeOp, [x], { perm });
}
