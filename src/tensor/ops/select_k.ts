/** The largest elements of each row: argmax and top-k over the last axis. */
import sourceArgmax from '../../shaders/argmax.wgsl';
import sourceArgmaxGroup from '../../shaders/argmax_group.wgsl';
import sourceArgmaxVec4 from '../../shaders/argmax_vec4.wgsl';
import sourceMerge from '../../shaders/top_k_merge.wgsl';
import sourceNaive from '../../shaders/top_k_naive.wgsl';
import sourceRegisters from '../../shaders/top_k_registers.wgsl';
import { apply, apply1, type Tensor, type TensorLike } from '../graph.js';
import {
  type AdapterFacts,
  type Command,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  type Op,
  OpError,
  output,
  scratch,
} from '../op.js';
import { type NdArray, ndarray, showShape, sizeOf, type TensorType } from '../types.js';
import { putAlong } from './along.js';
import { distinctValues, sampleIntegers, sampleValues } from './sample_values.js';

function rowsOf(op: string, x: TensorType): { rows: number; length: number } {
  const length = x.shape.at(-1);
  if (x.dtype !== 'f32' || !length)
    throw new OpError(op, `expects f32 rows [...,C], got ${x.dtype}${showShape(x.shape)}`);
  return { rows: sizeOf(x.shape) / length, length };
}

/** From here on a GPU workgroup shares a row. */
const LONG_ROW = 256;

/** Up to here a CPU adapter gets a text for each length. */
const LONGEST_UNROLLED = 256;

/** The loop over a row written out, which takes a CPU adapter 0.8 of the time: it masks lanes in every turn of a loop. */
const unrolled = (length4: number): string =>
  sourceArgmaxVec4.replace(/for\s*\(var i\s*=[^)]*\)\s*\{([^}]*)\}/, (_, turn: string) =>
    Array.from({ length: length4 - 1 }, (_, i) => `{ let i = ${i + 1}u; ${turn} }`).join('\n'),
  );

function argmaxInVec4s(
  name: string,
  suits: (length: number, adapter: AdapterFacts) => boolean,
  sourceOf: (length4: number) => string,
): Kernel<null> {
  return {
    name,
    when: ({ inputs: [x], adapter }) => {
      const { length } = rowsOf('argmax', x!);
      return length % 4 === 0 && suits(length, adapter);
    },
    commands({ inputs: [x] }): Command[] {
      const { rows, length } = rowsOf('argmax', x!);
      const length4 = length / 4;
      return [
        {
          source: sourceOf(length4),
          uniforms: { rows, length4 },
          buffers: [input(0), output(0)],
          workgroups: linearGrid(rows, 64),
        },
      ];
    },
  };
}

const argmaxKernels: Kernel<null>[] = [
  {
    name: 'group',
    when: ({ inputs: [x], adapter }) => !adapter.cpu && rowsOf('argmax', x!).length >= LONG_ROW,
    commands({ inputs: [x] }): Command[] {
      const { rows, length } = rowsOf('argmax', x!);
      return [
        {
          source: sourceArgmaxGroup,
          uniforms: { rows, length },
          buffers: [input(0), output(0)],
          workgroups: linearGrid(rows, 1),
        },
      ];
    },
  },
  argmaxInVec4s('unrolled', (length, { cpu }) => cpu && length <= LONGEST_UNROLLED, unrolled),
  argmaxInVec4s(
    'vec4',
    () => true,
    () => sourceArgmaxVec4,
  ),
  {
    name: 'naive',
    commands({ inputs: [x] }): Command[] {
      const { rows, length } = rowsOf('argmax', x!);
      return [
        {
          source: sourceArgmax,
          uniforms: { rows, length },
          buffers: [input(0), output(0)],
          workgroups: linearGrid(rows, 64),
        },
      ];
    },
  },
];

export const argmaxOp: Op<null> = {
  name: 'argmax',
  infer([x]) {
    rowsOf('argmax', x!);
    return [{ shape: x!.shape.slice(0, -1), dtype: 'i32' }];
  },
  reference([x]): NdArray[] {
    const { rows, length } = rowsOf('argmax', x!);
    const y = ndarray(x!.shape.slice(0, -1), undefined, 'i32');
    for (let row = 0; row < rows; row++) {
      const values = x!.data.subarray(row * length, (row + 1) * length);
      for (let i = 1; i < length; i++) if (values[i]! > values[y.data[row]!]!) y.data[row] = i;
    }
    return [y];
  },
  samples: () => [
    { inputs: [sampleValues([3, 5, 7])], params: null },
    { inputs: [sampleValues([70, 12])], params: null },
    { inputs: [sampleValues([3, 515])], params: null },
    { name: 'ties', inputs: [sampleIntegers([9, 16], 0, 3, 0, 'f32')], params: null },
    { name: 'ties in long rows', inputs: [sampleIntegers([5, 300], 0, 3, 0, 'f32')], params: null },
    { name: 'all negative', inputs: [ndarray([4], [-4, -2, -2, -9])], params: null },
  ],
  kernels: argmaxKernels,
  flops: ([x]) => sizeOf(x!.shape),
};

/** Column of the largest element of each row [...,C], as i32 [...]; the first where several are equal. */
export function argmax(x: TensorLike): Tensor {
  return apply1(argmaxOp, [x], null);
}

export interface TopK {
  readonly k: number;
}

export const MAX_K = 64;

function registersKernel(name: string, lanes: 1 | 4): Kernel<TopK> {
  return {
    name,
    when: ({ inputs: [x] }) => rowsOf('topK', x!).length % lanes === 0,
    commands: ({ inputs: [x], params: { k } }) => {
      const { rows, length } = rowsOf('topK', x!);
      return [firstPass(lanes, rows, length, k, 1, output)];
    },
  };
}

function firstPass(lanes: 1 | 4, rows: number, length: number, k: number, parts: number, to: typeof output): Command {
  return {
    source: sourceRegisters,
    constants: { V: lanes === 4 ? 'vec4f' : 'f32', LANES: lanes },
    uniforms: { count: rows * parts, length: length / lanes, k, parts, part: Math.ceil(length / lanes / parts) },
    buffers: [input(0), to(0), to(1)],
    workgroups: linearGrid(rows * parts, 64),
  };
}

/** Invocations that keep a GPU busy; fewer rows than that are cut up. */
const BUSY = 16384;

/** Parts of a row, each several times longer than the k candidates that come of it. */
function partsOf({ inputs: [x], params: { k } }: KernelContext<TopK>): number {
  const { rows, length } = rowsOf('topK', x!);
  return Math.min(Math.ceil(BUSY / rows), Math.floor(length / Math.max(64, 8 * k)));
}

const splitKernel: Kernel<TopK> = {
  name: 'split',
  when: (context) => !context.adapter.cpu && partsOf(context) > 1,
  scratch(context) {
    const bytes = rowsOf('topK', context.inputs[0]!).rows * partsOf(context) * context.params.k * 4;
    return [bytes, bytes];
  },
  commands(context): Command[] {
    const { rows, length } = rowsOf('topK', context.inputs[0]!);
    const { k } = context.params;
    const parts = partsOf(context);
    return [
      firstPass(length % 4 === 0 ? 4 : 1, rows, length, k, parts, scratch),
      {
        source: sourceMerge,
        uniforms: { rows, candidates: parts * k, k },
        buffers: [scratch(0), scratch(1), output(0), output(1)],
        workgroups: linearGrid(rows, 64),
      },
    ];
  },
};

export const topKOp: Op<TopK> = {
  name: 'topK',
  infer([x], { k }) {
    const { length } = rowsOf('topK', x!);
    if (!(Number.isInteger(k) && k >= 1 && k <= Math.min(length, MAX_K)))
      throw new OpError(
        'topK',
        `k must be an integer from 1 to ${MAX_K} and at most the row length, got ${k} for ${showShape(x!.shape)}`,
      );
    const shape = [...x!.shape.slice(0, -1), k];
    return [
      { shape, dtype: 'f32' },
      { shape, dtype: 'i32' },
    ];
  },
  grad: ({ inputs: [x], outputs, grads }) => [grads[0] ? putAlong(grads[0], outputs[1]!, x!.shape.at(-1)!) : null],
  reference([x], { k }): NdArray[] {
    const { rows, length } = rowsOf('topK', x!);
    const shape = [...x!.shape.slice(0, -1), k];
    const values = ndarray(shape);
    const columns = ndarray(shape, undefined, 'i32');
    for (let row = 0; row < rows; row++) {
      const elements = x!.data.subarray(row * length, (row + 1) * length);
      const order = Array.from(elements.keys()).sort((a, b) => elements[b]! - elements[a]! || a - b);
      for (let j = 0; j < k; j++) {
        columns.data[row * k + j] = order[j]!;
        values.data[row * k + j] = elements[order[j]!]!;
      }
    }
    return [values, columns];
  },
  samples: () => [
    { inputs: [distinctValues([3, 2, 9])], params: { k: 3 } },
    { inputs: [distinctValues([5, 40])], params: { k: 11 } },
    { inputs: [distinctValues([2, 20])], params: { k: 20 } },
    { inputs: [distinctValues([1])], params: { k: 1 } },
    { name: 'ties', inputs: [sampleIntegers([5, 32], -2, 2, 0, 'f32')], params: { k: 18 }, checkGrad: false },
    {
      name: 'ties in long rows',
      inputs: [sampleIntegers([3, 530], -9, 9, 0, 'f32')],
      params: { k: 21 },
      checkGrad: false,
    },
    { name: 'several parts', inputs: [distinctValues([2, 1032])], params: { k: 15 }, checkGrad: false },
    { name: 'fewer than k in the last part', inputs: [distinctValues([2, 1092])], params: { k: 8 }, checkGrad: false },
    { name: 'the most', inputs: [distinctValues([2, 1025])], params: { k: 64 }, checkGrad: false },
  ],
  kernels: [
    splitKernel,
    registersKernel('registers-vec4', 4),
    registersKernel('registers', 1),
    {
      name: 'naive',
      commands({ inputs: [x], params: { k } }): Command[] {
        const { rows, length } = rowsOf('topK', x!);
        return [
          {
            source: sourceNaive,
            uniforms: { rows, length, k },
            buffers: [input(0), output(0), output(1)],
            workgroups: linearGrid(rows, 64),
          },
        ];
      },
    },
  ],
  flops: ([x]) => sizeOf(x!.shape),
};

/**
 * The k largest elements of each row [...,C], descending, and their columns: f32 [...,k] and i32 [...,k]. Of equal
 * elements the one with the lower column comes first. k is at most 64.
 */
export function topK(x: TensorLike, k: number): { values: Tensor; indices: Tensor } {
  const [values, indices] = apply(topKOp, [x], { k });
  return { values: values!, indices: indices! };
}

export const selectKOps: Op[] = [argmaxOp, topKOp];
