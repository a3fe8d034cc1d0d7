/** Sums and maxima over axes. One op reduces a run of neighbouring axes; others are composed of it. */
import sourceNaive from '../../shaders/reduce_naive.wgsl';
import sourceSplit from '../../shaders/reduce_split.wgsl';
import { apply1, currentGraph, type Tensor, type TensorLike } from '../graph.js';
import { type Dispatch, input, type Kernel, linearGrid, type Op, OpError, output, scratch } from '../op.js';
import { type DType, isFloat, ndarray, type Shape, sameShape, showShape, sizeOf } from '../types.js';
import { div, equal, mul, mulScalar } from './elementwise.js';
import { broadcastTo, reshape } from './shape.js';
import { reads1, reads4 } from './stored.js';

type Kind = 'sum' | 'max';

export interface Reduce {
  readonly kind: Kind;
  /** Axes `begin` to `end` (exclusive) are reduced and dropped. */
  readonly begin: number;
  readonly end: number;
}

/** The input seen as [outer, length, inner], reduced over the middle. */
function extentsOf(shape: Shape, { begin, end }: Reduce) {
  return {
    outer: sizeOf(shape.slice(0, begin)),
    length: sizeOf(shape.slice(begin, end)),
    inner: sizeOf(shape.slice(end)),
  };
}

const naive: Kernel<Reduce> = {
  name: 'naive',
  commands({ inputs, params }) {
    const { outer, length, inner } = extentsOf(inputs[0]!.shape, params);
    return [naivePass(params.kind, outer, length, inner, input(0), output(0), inputs[0]!.dtype)];
  },
};

function naivePass(
  kind: Kind,
  outer: number,
  length: number,
  inner: number,
  from: Dispatch['buffers'][0],
  to: Dispatch['buffers'][0],
  stored: DType = 'f32',
): Dispatch {
  return {
    source: sourceNaive,
    constants: { MAX: kind === 'max', ...reads1(stored, 'StoredX', 'load_x', 'x') },
    uniforms: { outer, length, inner },
    buffers: [from, to],
    workgroups: linearGrid(outer * inner, 64),
  };
}

/** How many elements of the reduced run one invocation of the first pass takes. */
const CHUNK = 128;

/**
 * Two passes for long runs: the first reduces chunks, four neighbouring columns at a time, the second reduces the
 * chunks' results. A run with nothing behind it (inner = 1) is read as rows of four columns, reduced at the end.
 */
const split: Kernel<Reduce> = {
  name: 'split',
  when({ inputs, params }) {
    const { length, inner } = extentsOf(inputs[0]!.shape, params);
    return (inner % 4 === 0 && length > CHUNK) || (inner === 1 && length % 4 === 0 && length > 4 * CHUNK);
  },
  scratch({ inputs, params }) {
    const { outer, length, inner } = splitExtents(inputs[0]!.shape, params);
    return [outer * Math.ceil(length / CHUNK) * inner * 4];
  },
  commands({ inputs, params }) {
    const { outer, length, inner, columns } = splitExtents(inputs[0]!.shape, params);
    const chunks = Math.ceil(length / CHUNK);
    return [
      {
        source: sourceSplit,
        constants: { MAX: params.kind === 'max', ...reads4(inputs[0]!.dtype, 'StoredX', 'widen_x') },
        uniforms: { outer, length, inner4: inner / 4, chunks, chunk: CHUNK },
        buffers: [input(0), scratch(0)],
        workgroups: linearGrid((outer * chunks * inner) / 4, 64),
      },
      naivePass(params.kind, outer, chunks * (columns ? inner : 1), columns ? 1 : inner, scratch(0), output(0)),
    ];
  },
};

function splitExtents(shape: Shape, params: Reduce) {
  const { outer, length, inner } = extentsOf(shape, params);
  const columns = inner === 1;
  return columns ? { outer, length: length / 4, inner: 4, columns } : { outer, length, inner, columns };
}

export const reduceOp: Op<Reduce> = {
  name: 'reduce',
  infer([x], { begin, end }) {
    if (!(0 <= begin && begin < end && end <= x!.shape.length))
      throw new OpError('reduce', `axes ${begin} to ${end} of ${showShape(x!.shape)}`);
    if (!isFloat(x!.dtype)) throw new OpError('reduce', `expects floats, got ${x!.dtype}`);
    return [{ shape: [...x!.shape.slice(0, begin), ...x!.shape.slice(end)], dtype: 'f32' }];
  },
  halves: () => true,
  grad({ inputs, outputs, grads, params }) {
    const [x] = inputs;
    const kept = x!.shape.map((extent, axis) => (axis >= params.begin && axis < params.end ? 1 : extent));
    const grad = reshape(grads[0]!, kept);
    if (params.kind === 'sum') return [broadcastTo(grad, x!.shape)];
    // Ties share the gradient evenly.
    const mask = equal(x!, reshape(outputs[0]!, kept));
    const ties = reshape(reduce(mask, { ...params, kind: 'sum' }), kept);
    return [mul(mask, div(grad, ties))];
  },
  reference([x], params) {
    const { outer, length, inner } = extentsOf(x!.shape, params);
    const data = new Float64Array(outer * inner).fill(params.kind === 'max' ? -Infinity : 0);
    for (let o = 0; o < outer; o++)
      for (let r = 0; r < length; r++)
        for (let i = 0; i < inner; i++) {
          const value = x!.data[(o * length + r) * inner + i]!;
          const at = o * inner + i;
          data[at] = params.kind === 'max' ? Math.max(data[at]!, value) : data[at]! + value;
        }
    return [{ ...this.infer([x!], params)[0]!, data }];
  },
  samples: () =>
    (['sum', 'max'] as const).flatMap((kind) =>
      (
        [
          [[3, 4, 5], 1, 2],
          [[7], 0, 1],
          [[2, 3, 4], 0, 3],
          [[300, 8], 0, 1],
          [[2, 5, 60, 12], 1, 3],
          [[2, 1032], 1, 2],
        ] as const
      ).map(([shape, begin, end]) => ({
        inputs: [
          ndarray(
            shape,
            Float64Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 12.9898) * 2),
          ),
        ],
        params: { kind, begin, end },
        tolerance: 1e-5,
      })),
    ),
  kernels: [split, naive],
  flops: ([x]) => sizeOf(x!.shape),
};

export const reduceOps: Op[] = [reduceOp];

function reduce(x: TensorLike, params: Reduce): Tensor {
  return apply1(reduceOp, [x], params);
}

function reduceAxes(kind: Kind, x: TensorLike, axes: readonly number[] | undefined, keepDims: boolean): Tensor {
  const rank = x.shape.length;
  const wanted = new Set((axes ?? x.shape.map((_, axis) => axis)).map((axis) => (axis < 0 ? axis + rank : axis)));
  for (const axis of wanted)
    if (axis < 0 || axis >= rank) throw new OpError(kind, `axis ${axis} of ${showShape(x.shape)}`);
  let result = currentGraph().use(x);
  // From the last run of axes to the first, so that the positions of the remaining ones stay put.
  for (let end = rank; end > 0; ) {
    if (!wanted.has(end - 1)) {
      end--;
      continue;
    }
    let begin = end - 1;
    while (wanted.has(begin - 1)) begin--;
    result = reduce(result, { kind, begin, end });
    end = begin;
  }
  return keepDims
    ? reshape(
        result,
        x.shape.map((extent, axis) => (wanted.has(axis) ? 1 : extent)),
      )
    : result;
}

/** Sum over `axes` (all by default), f32. The order of summation is fixed. */
export function sum(x: TensorLike, axes?: readonly number[], keepDims = false): Tensor {
  return reduceAxes('sum', x, axes, keepDims);
}

/** Largest element over `axes` (all by default). */
export function max(x: TensorLike, axes?: readonly number[], keepDims = false): Tensor {
  return reduceAxes('max', x, axes, keepDims);
}

export function mean(x: TensorLike, axes?: readonly number[], keepDims = false): Tensor {
  const total = sum(x, axes, keepDims);
  return mulScalar(total, sizeOf(total.shape) / sizeOf(x.shape));
}

/** Sums over the axes along which `shape` was broadcast, the inverse of `broadcastTo`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const offset = x.shape.length - shape.length;
  const axes = x.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < offset || (shape[axis - offset] === 1 && x.shape[axis] !== 1));
  return reshape(axes.length > 0 ? sum(x, axes) : x, shape);
}
