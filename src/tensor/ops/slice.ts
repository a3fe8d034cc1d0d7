/** Slices and constant padding: each the other's gradient. Any dtype, up to five axes. */
import sourcePad from '../../shaders/pad.wgsl';
import { apply1, currentGraph, type Tensor, type TensorLike } from '../graph.js';
import { type Command, input, type Kernel, linearGrid, type Op, OpError, output, type Part } from '../op.js';
import {
  BYTES_PER_ELEMENT,
  type DType,
  hostData,
  type NdArray,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  stridesOf,
  type TensorType,
} from '../types.js';
import { sampleIntegers, sampleValues } from './sample_values.js';
import { boxOf, checkRank, copyBox, copyKernels, numbered } from './strided_copy.js';

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

export interface Slice {
  readonly begin: readonly number[];
  readonly size: readonly number[];
}

/** Where the slice lies in what it is of: in one piece, or row by row along the last axis. */
function partOf([x]: readonly TensorType[], { begin, size }: Slice): Part | null {
  const { shape } = x!;
  const start = dot(begin, stridesOf(shape));
  const last = shape.length - 1;
  const outermost = size.findIndex((extent) => extent > 1);
  if (outermost < 0 || outermost === last) return { start };
  const isWhole = (extent: number, axis: number) => axis <= outermost || extent === shape[axis];
  if (!size.slice(0, last).every(isWhole)) return null;
  return isWhole(size[last]!, last) ? { start } : { start, pitch: shape[last]! };
}

export const sliceOp: Op<Slice> = {
  name: 'slice',
  infer([x], { begin, size }) {
    checkRank('slice', x!);
    const fits = (extent: number, axis: number) =>
      begin[axis]! >= 0 && size[axis]! >= 1 && begin[axis]! + size[axis]! <= extent;
    if (begin.length !== x!.shape.length || size.length !== x!.shape.length || !x!.shape.every(fits))
      throw new OpError('slice', `begin [${begin}] and size [${size}] don't lie in ${showShape(x!.shape)}`);
    return [{ shape: size, dtype: x!.dtype }];
  },
  halves: (_, { begin }) => begin.at(-1)! % 2 === 0,
  grad({ inputs, grads, params: { begin, size } }) {
    const extents = inputs[0]!.shape;
    return [
      pad(
        grads[0]!,
        extents.map((extent, axis) => [begin[axis]!, extent - begin[axis]! - size[axis]!]),
      ),
    ];
  },
  reference([x], { begin, size }): NdArray[] {
    const strides = stridesOf(x!.shape);
    const data = new Float64Array(sizeOf(size));
    copyBox(size, x!.data, strides, dot(begin, strides), data, stridesOf(size), 0);
    return [{ shape: size, dtype: x!.dtype, data }];
  },
  samples: () => [
    { inputs: [sampleValues([5, 3, 4])], params: { begin: [1, 0, 0], size: [3, 3, 4] } },
    { inputs: [sampleValues([2, 5, 7, 3])], params: { begin: [1, 1, 2, 1], size: [1, 3, 4, 2] } },
    { inputs: [sampleValues([2, 4, 3, 24])], params: { begin: [0, 1, 0, 8], size: [2, 3, 3, 16] } },
    {
      inputs: [sampleIntegers([2, 3, 2, 4, 5], -9, 9)],
      params: { begin: [0, 1, 0, 2, 1], size: [2, 2, 1, 2, 3] },
      checkGrad: false,
    },
    { inputs: [sampleIntegers([9], 0, 2 ** 32, 0, 'u32')], params: { begin: [3], size: [5] }, checkGrad: false },
    { inputs: [sampleValues([3, 1100])], params: { begin: [1, 40], size: [2, 1030] }, checkGrad: false },
  ],
  kernels: copyKernels(([x], { begin, size }) => {
    const strides = stridesOf(x!.shape);
    return [boxOf(size, strides, stridesOf(size), dot(begin, strides))];
  }),
  partOf,
  flops: () => 0,
};

/** The elements from `begin` on, `size` of them along each axis. */
export function slice(x: TensorLike, begin: readonly number[], size: readonly number[]): Tensor {
  if (sameShape(x.shape, size) && begin.every((n) => n === 0)) return currentGraph().use(x);
  return apply1(sliceOp, [x], { begin, size });
}

export interface Pad {
  /** Elements to add before and after, for each axis. */
  readonly padding: readonly (readonly [before: number, after: number])[];
  readonly value: number;
}

interface PadAxis {
  readonly extent: number;
  readonly before: number;
  readonly padded: number;
}

/** Axes innermost first, an unpadded one merged into the axis outside of it. */
function padAxes(shape: Shape, padding: Pad['padding']): PadAxis[] {
  const axes: PadAxis[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const [before, after] = padding[axis]!;
    const extent = shape[axis]!;
    const inner = axes.at(-1);
    if (inner && inner.extent === inner.padded) {
      const scale = inner.extent;
      axes[axes.length - 1] = {
        extent: extent * scale,
        before: before * scale,
        padded: (before + extent + after) * scale,
      };
    } else axes.push({ extent, before, padded: before + extent + after });
  }
  return axes.length > 0 ? axes : [{ extent: 1, before: 0, padded: 1 }];
}

/** The word that is written where there is padding: two of them, if they are halves. */
const wordOf = (value: number, dtype: DType) =>
  new Uint32Array(hostData(dtype, dtype === 'f16' ? [value, value] : [value]).buffer)[0]!;

/** Elements of a word of 4 bytes. */
const perWord = ({ dtype }: TensorType) => 4 / BYTES_PER_ELEMENT[dtype];

function padKernel(name: string, words: 1 | 4): Kernel<Pad> {
  return {
    name,
    when({ inputs, params }) {
      const lanes = words * perWord(inputs[0]!);
      const [inner] = padAxes(inputs[0]!.shape, params.padding);
      return [inner!.extent, inner!.before, inner!.padded].every((n) => n % lanes === 0);
    },
    commands({ inputs, params, adapter }): Command[] {
      const lanes = words * perWord(inputs[0]!);
      const [inner, ...outer] = padAxes(inputs[0]!.shape, params.padding);
      const axes = [
        { extent: inner!.extent / lanes, before: inner!.before / lanes, padded: inner!.padded / lanes },
        ...outer,
      ];
      const run = adapter.cpu ? Math.min(axes[0]!.padded, 8) : 1;
      const runs = Math.ceil(axes[0]!.padded / run);
      const count = outer.reduce((product, { padded }) => product * padded, runs);
      const at = (i: number) => axes[i] ?? { extent: 1, before: 0, padded: 1 };
      return [
        {
          source: sourcePad,
          constants: { V: words === 4 ? 'vec4u' : 'u32', RANK: axes.length },
          uniforms: {
            count,
            run,
            runs,
            value: wordOf(params.value, inputs[0]!.dtype),
            ...numbered([0, 1, 2, 3].map(at)),
            extent4: at(4).extent,
            before4: at(4).before,
          },
          buffers: [input(0), output(0)],
          workgroups: linearGrid(count, 64),
        },
      ];
    },
  };
}

/** `sides(1, 2, 3, 4)` is `[[1, 2], [3, 4]]`. */
const sides = (...flat: number[]): Pad['padding'] =>
  Array.from({ length: flat.length / 2 }, (_, axis) => [flat[2 * axis]!, flat[2 * axis + 1]!]);

export const padOp: Op<Pad> = {
  name: 'pad',
  infer([x], { padding }) {
    checkRank('pad', x!);
    if (padding.length !== x!.shape.length || !padding.flat().every((n) => Number.isInteger(n) && n >= 0))
      throw new OpError(
        'pad',
        `expects a [before, after] of at least 0 for each axis of ${showShape(x!.shape)}, got ${JSON.stringify(padding)}`,
      );
    return [{ shape: x!.shape.map((extent, axis) => padding[axis]![0] + extent + padding[axis]![1]), dtype: x!.dtype }];
  },
  halves: (_, { padding }) => padding.at(-1)![0] % 2 === 0,
  grad: ({ inputs, grads, params }) => [
    slice(
      grads[0]!,
      params.padding.map(([before]) => before),
      inputs[0]!.shape,
    ),
  ],
  reference([x], params): NdArray[] {
    const [{ shape, dtype }] = this.infer([x!], params) as [TensorType];
    const targets = stridesOf(shape);
    const data = new Float64Array(sizeOf(shape)).fill(params.value);
    const start = dot(
      params.padding.map(([before]) => before),
      targets,
    );
    copyBox(x!.shape, x!.data, stridesOf(x!.shape), 0, data, targets, start);
    return [{ shape, dtype, data }];
  },
  samples: () => [
    { inputs: [sampleValues([2, 3, 5, 4])], params: { padding: sides(0, 0, 1, 2, 2, 0, 0, 0), value: 0.5 } },
    { inputs: [sampleValues([2, 3, 8])], params: { padding: sides(0, 1, 0, 0, 8, 16), value: 0 } },
    { inputs: [sampleValues([2, 1, 2, 2, 3])], params: { padding: sides(1, 0, 0, 1, 1, 1, 0, 2, 3, 0), value: 2 } },
    { inputs: [sampleValues([7])], params: { padding: sides(2, 3), value: -1 } },
    { inputs: [sampleValues([])], params: { padding: [], value: 0 } },
    { inputs: [sampleIntegers([5, 3], -9, 9)], params: { padding: sides(1, 0, 0, 2), value: -7 }, checkGrad: false },
    {
      inputs: [sampleIntegers([4], 0, 2 ** 32, 0, 'u32')],
      params: { padding: sides(1, 2), value: 255 },
      checkGrad: false,
    },
  ],
  kernels: [padKernel('vec4', 4), padKernel('naive', 1)],
  flops: () => 0,
};

/** `padding` elements of `value` before and after along each axis. */
export function pad(x: TensorLike, padding: Pad['padding'], value = 0): Tensor {
  if (padding.flat().every((n) => n === 0) && padding.length === x.shape.length) return currentGraph().use(x);
  return apply1(padOp, [x], { padding, value });
}
