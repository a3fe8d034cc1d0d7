/** Ops that only move elements: slice, pad, concat and transpose, of any dtype and up to five axes. */
import joinSource from '../../shaders/join.wgsl';
import { apply1, currentGraph, type Tensor, type TensorLike } from '../graph.js';
import { input, type Kernel, linearGrid, type Op, OpError, output, type Part } from '../op.js';
import { bytesOf } from '../storage.js';
import {
  BYTES_PER_ELEMENT,
  isFloat,
  type NdArray,
  sameShape,
  showShape,
  sizeOf,
  stridesOf,
  type TensorType,
} from '../types.js';
import { sampleIntegers, sampleValues } from './sample_values.js';
import { padOp, slice, sliceOp } from './slice.js';
import { boxOf, checkRank, copyBox, copyKernels } from './strided_copy.js';
import { transposeOp } from './transpose.js';

export { pad, padOp, slice, sliceOp } from './slice.js';
export { transpose, transposeOp } from './transpose.js';

export interface Concat {
  readonly axis: number;
}

/** Whether each input lies in the output in one piece. */
const inOnePiece = ([x]: readonly TensorType[], { axis }: Concat) =>
  x!.shape.slice(0, axis).every((extent) => extent === 1);

/** Where the inputs lie in the output, in one piece each, or row by row along the last axis; none where they do neither. */
function partsOf(xs: readonly TensorType[], params: Concat): Part[] {
  const { axis } = params;
  const whole = inOnePiece(xs, params);
  if (!whole && axis < xs[0]!.shape.length - 1) return [];
  let end = 0;
  const starts = xs.map((x) => {
    const start = end;
    end += sizeOf(x.shape.slice(axis));
    return start;
  });
  return starts.map((start) => (whole ? { start } : { start, pitch: end }));
}

/** As many as devices can bind beside the output. */
const MOST_JOINED = 7;
/** Beyond, the time is in the bytes: let inputs be written in their places, or be copied. */
const MOST_JOINED_BYTES = 2 ** 20;

/** One dispatch on GPUs, where every copy would end a pass. */
const joinKernel: Kernel<Concat> = {
  name: 'join',
  when: ({ inputs, outputs, params, adapter }) =>
    !adapter.cpu &&
    inputs.length <= MOST_JOINED &&
    inOnePiece(inputs, params) &&
    bytesOf(outputs[0]!) <= MOST_JOINED_BYTES,
  commands({ inputs, outputs, params }) {
    const words = (elements: number, { dtype }: TensorType) => (elements * BYTES_PER_ELEMENT[dtype]) / 4;
    const count = words(sizeOf(outputs[0]!.shape), outputs[0]!);
    const ends = partsOf(inputs, params).slice(1);
    const uniforms = Object.fromEntries(
      Array.from({ length: MOST_JOINED - 1 }, (_, i) => {
        const end = ends[i];
        return [`end${i}`, end === undefined ? count : words(end.start, inputs[0]!)];
      }),
    );
    const bound = Array.from({ length: MOST_JOINED }, (_, i) => input(Math.min(i, inputs.length - 1)));
    return [
      {
        source: joinSource,
        uniforms: { count, ...uniforms },
        buffers: [...bound, output(0)],
        workgroups: linearGrid(count, 64),
      },
    ];
  },
};

export const concatOp: Op<Concat> = {
  name: 'concat',
  infer(xs, { axis }) {
    const [first] = xs;
    if (!first) throw new OpError('concat', 'expects at least one input');
    checkRank('concat', first);
    const others = ({ shape }: TensorType) => shape.map((extent, i) => (i === axis ? 0 : extent));
    const alike = (x: TensorType) => x.dtype === first.dtype && sameShape(others(x), others(first));
    if (!(axis >= 0 && axis < first.shape.length) || !xs.every(alike))
      throw new OpError(
        'concat',
        `inputs ${xs.map((x) => x.dtype + showShape(x.shape)).join(', ')} must be of one dtype and differ only in axis ${axis}`,
      );
    const shape = first.shape.map((extent, i) =>
      i === axis ? xs.reduce((sum, x) => sum + x.shape[axis]!, 0) : extent,
    );
    return [{ shape, dtype: first.dtype }];
  },
  halves: (xs) => xs.every(({ dtype }) => dtype === 'f16'),
  parts: partsOf,
  grad({ inputs, grads, params: { axis } }) {
    let start = 0;
    return inputs.map(({ shape, dtype }) => {
      const begin = shape.map((_, i) => (i === axis ? start : 0));
      start += shape[axis]!;
      return isFloat(dtype) ? slice(grads[0]!, begin, shape) : null;
    });
  },
  reference(xs, params): NdArray[] {
    const [{ shape, dtype }] = this.infer(xs, params) as [TensorType];
    const targets = stridesOf(shape);
    const data = new Float64Array(sizeOf(shape));
    let start = 0;
    for (const x of xs) {
      copyBox(x.shape, x.data, stridesOf(x.shape), 0, data, targets, start);
      start += x.shape[params.axis]! * targets[params.axis]!;
    }
    return [{ shape, dtype, data }];
  },
  samples: () => [
    { inputs: [sampleValues([2, 3], 0), sampleValues([1, 3], 1), sampleValues([4, 3], 2)], params: { axis: 0 } },
    { inputs: [0, 1, 2, 3, 4, 5, 6].map((seed) => sampleValues([1, 1 + seed], seed)), params: { axis: 1 } },
    { inputs: [sampleValues([96, 64], 0), sampleValues([192, 64], 1)], params: { axis: 0 }, checkGrad: false },
    { inputs: [sampleValues([2, 3, 3, 16], 0), sampleValues([2, 3, 3, 8], 1)], params: { axis: 3 } },
    {
      inputs: [sampleValues([2, 3, 2], 0), sampleValues([2, 3, 5], 1), sampleValues([2, 3, 1], 2)],
      params: { axis: 2 },
    },
    {
      inputs: [sampleIntegers([3, 2, 4], -5, 5, 0), sampleIntegers([3, 1, 4], -5, 5, 1)],
      params: { axis: 1 },
      checkGrad: false,
    },
  ],
  kernels: [
    joinKernel,
    ...copyKernels<Concat>((xs, { axis }) => {
      const shape = xs[0]!.shape.map((extent, i) =>
        i === axis ? xs.reduce((sum, x) => sum + x.shape[axis]!, 0) : extent,
      );
      const targets = stridesOf(shape);
      let start = 0;
      return xs.map((x) => {
        const box = boxOf(x.shape, stridesOf(x.shape), targets, 0, start * targets[axis]!);
        start += x.shape[axis]!;
        return box;
      });
    }),
  ],
  flops: () => 0,
};

/** The inputs one after another along `axis` (negative: counted from the last). Of f16 and f32 together, f32. */
export function concat(xs: readonly TensorLike[], axis: number): Tensor {
  const [first] = xs;
  if (first && xs.length === 1) return currentGraph().use(first);
  return apply1(concatOp, xs, { axis: axis < 0 ? axis + (first?.shape.length ?? 0) : axis });
}

export const layoutOps: Op[] = [sliceOp, padOp, concatOp, transposeOp];
