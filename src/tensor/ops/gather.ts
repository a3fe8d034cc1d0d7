/** Rows of a table by index, and the transposed operation, sums of rows by segment. Each is the other's gradient. */
import sourceGather from '../../shaders/gather.wgsl';
import sourceChunks from '../../shaders/segment_sum_chunks.wgsl';
import sourceMerge from '../../shaders/segment_sum_merge.wgsl';
import sourceNaive from '../../shaders/segment_sum_naive.wgsl';
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import {
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
import { type NdArray, ndarray, type Shape, sameShape, showShape, sizeOf, type TensorType } from '../types.js';
import { oneHotOp } from './one_hot.js';
import { sampleIntegers, sampleValues } from './sample_values.js';

export interface Gather {
  /** The first axis of both inputs counts independent tables. */
  readonly batched: boolean;
}

export interface SegmentSum extends Gather {
  readonly segments: number;
}

function checkIds(op: string, what: string, ids: TensorType, batched: boolean): void {
  if (ids.dtype !== 'i32') throw new OpError(op, `expects ${what} of i32, got ${ids.dtype}${showShape(ids.shape)}`);
  if (batched && ids.shape.length < 1) throw new OpError(op, `batched ${what} need a batch axis`);
}

/** Tables, positions a table, rows a table, and elements a row. */
function gatherExtents([table, indices]: readonly TensorType[], { batched }: Gather) {
  const lead = batched ? 1 : 0;
  const batch = batched ? table!.shape[0]! : 1;
  const width = sizeOf(table!.shape.slice(lead + 1));
  return { batch, positions: sizeOf(indices!.shape) / batch, rows: table!.shape[lead]!, width };
}

function gatherKernel(name: string, lanes: 1 | 4): Kernel<Gather> {
  return {
    name,
    when: ({ inputs, params }) => gatherExtents(inputs, params).width % lanes === 0,
    commands({ inputs, params, adapter }): Command[] {
      const { batch, positions, rows, width } = gatherExtents(inputs, params);
      const run = adapter.cpu ? Math.min(width / lanes, 8) : 1;
      const runs = Math.ceil(width / lanes / run);
      const count = batch * positions * runs;
      return [
        {
          source: sourceGather,
          constants: { V: lanes === 4 ? 'vec4u' : 'u32' },
          uniforms: { count, run, runs, width: width / lanes, rows, positions },
          buffers: [input(0), input(1), output(0)],
          workgroups: linearGrid(count, 64),
        },
      ];
    },
  };
}

export const gatherOp: Op<Gather> = {
  name: 'gather',
  infer([table, indices], { batched }) {
    checkIds('gather', 'indices', indices!, batched);
    const lead = batched ? 1 : 0;
    if (table!.shape.length < lead + 1)
      throw new OpError('gather', `expects a table [${batched ? 'N,' : ''}T,...], got ${showShape(table!.shape)}`);
    if (batched && table!.shape[0] !== indices!.shape[0])
      throw new OpError(
        'gather',
        `${table!.shape[0]} tables ${showShape(table!.shape)}, indices for ${indices!.shape[0]} ${showShape(indices!.shape)}`,
      );
    return [{ shape: [...indices!.shape, ...table!.shape.slice(lead + 1)], dtype: table!.dtype }];
  },
  grad: ({ inputs: [table, indices], grads, params: { batched } }) => [
    segmentSum(grads[0]!, indices!, { segments: table!.shape[batched ? 1 : 0]!, batched }),
    null,
  ],
  reference([table, indices], params): NdArray[] {
    const [{ shape, dtype }] = this.infer([table!, indices!], params) as [TensorType];
    const { positions, rows, width } = gatherExtents([table!, indices!], params);
    const data = new Float64Array(sizeOf(shape));
    for (const [position, row] of indices!.data.entries()) {
      if (row < 0 || row >= rows) continue;
      const start = (Math.floor(position / positions) * rows + row) * width;
      data.set(table!.data.subarray(start, start + width), position * width);
    }
    return [{ shape, dtype, data }];
  },
  samples: () => [
    { inputs: [sampleValues([5, 3]), sampleIntegers([7], -2, 7)], params: { batched: false } },
    { inputs: [sampleValues([6, 2, 20]), sampleIntegers([3, 4], -1, 6)], params: { batched: false } },
    { inputs: [sampleValues([9]), sampleIntegers([2, 5], 0, 9)], params: { batched: false } },
    { inputs: [sampleValues([3, 4, 8]), sampleIntegers([3, 11], -1, 5)], params: { batched: true } },
    { inputs: [sampleValues([2, 4, 3]), sampleIntegers([2, 3, 2], -1, 5)], params: { batched: true } },
    {
      inputs: [sampleIntegers([4, 5], -9, 9), sampleIntegers([6], -1, 5)],
      params: { batched: false },
      checkGrad: false,
    },
  ],
  kernels: [gatherKernel('vec4', 4), gatherKernel('naive', 1)],
  flops: () => 0,
};

/**
 * Rows of a table [T,D...] by i32 indices [P...], to [P...,D...]; zeros where the index is outside of 0 to T - 1,
 * as -1 for `none`. Batched: tables [N,T,D...] and indices [N,P...], to [N,P...,D...].
 */
export function gather(table: TensorLike, indices: TensorLike, options: Partial<Gather> = {}): Tensor {
  return apply1(gatherOp, [table, indices], { batched: options.batched ?? false });
}

/** Tables, positions and segments a table, and elements a row. */
function segmentExtents([values, ids]: readonly TensorType[], { batched, segments }: SegmentSum) {
  const batch = batched ? ids!.shape[0]! : 1;
  return {
    batch,
    positions: sizeOf(ids!.shape) / batch,
    segments,
    width: sizeOf(values!.shape.slice(ids!.shape.length)),
  };
}

const MAX_SCRATCH_BYTES = 64 << 20;

/**
 * How the positions of a table are cut up. Every chunk costs a table to clear and add, so there are no more than keep
 * that below the cost of walking the values, and no more than make use of the adapter's parallelism.
 */
function chunksOf({ inputs, params, adapter }: KernelContext<SegmentSum>, lanes: number) {
  const { batch, positions, segments, width } = segmentExtents(inputs, params);
  const columns = width / lanes;
  const invocations = adapter.cpu ? 256 : 16384;
  const shortest = Math.max(16, adapter.cpu ? segments : segments / 8);
  const wanted = Math.min(
    invocations / (batch * columns),
    positions / shortest,
    MAX_SCRATCH_BYTES / (batch * segments * width * 4),
  );
  const chunks = Math.max(1, Math.floor(wanted));
  const chunk = Math.ceil(positions / chunks);
  return { chunk, chunks: Math.ceil(positions / chunk), columns };
}

function chunkedKernel(name: string, lanes: 1 | 4): Kernel<SegmentSum> {
  return {
    name,
    when: ({ inputs, params }) => segmentExtents(inputs, params).width % lanes === 0,
    scratch(context) {
      const { batch, segments, width } = segmentExtents(context.inputs, context.params);
      const { chunks } = chunksOf(context, lanes);
      return chunks > 1 ? [batch * chunks * segments * width * 4] : [];
    },
    commands(context): Command[] {
      const { batch, positions, segments } = segmentExtents(context.inputs, context.params);
      const { chunk, chunks, columns } = chunksOf(context, lanes);
      const constants = { V: lanes === 4 ? 'vec4f' : 'f32' };
      const count = batch * chunks * columns;
      const sums = batch * segments * columns;
      const walk: Command = {
        source: sourceChunks,
        constants,
        uniforms: { count, positions, segments, width: columns, chunks, chunk },
        buffers: [input(0), input(1), chunks > 1 ? scratch(0) : output(0)],
        workgroups: linearGrid(count, 16),
      };
      if (chunks === 1) return [walk];
      return [
        walk,
        {
          source: sourceMerge,
          constants,
          uniforms: { count: sums, chunks, size: segments * columns },
          buffers: [scratch(0), output(0)],
          workgroups: linearGrid(sums, 64),
        },
      ];
    },
  };
}

export const segmentSumOp: Op<SegmentSum> = {
  name: 'segmentSum',
  infer([values, ids], { segments, batched }) {
    checkIds('segmentSum', 'ids', ids!, batched);
    const positions = ids!.shape.length;
    if (values!.dtype !== 'f32' || !sameShape(values!.shape.slice(0, positions), ids!.shape))
      throw new OpError(
        'segmentSum',
        `values ${values!.dtype}${showShape(values!.shape)} must be f32 and begin with the shape of the ids ${showShape(ids!.shape)}`,
      );
    if (!(Number.isInteger(segments) && segments > 0))
      throw new OpError('segmentSum', `segments must be a positive integer, got ${segments}`);
    const lead: Shape = batched ? [ids!.shape[0]!] : [];
    return [{ shape: [...lead, segments, ...values!.shape.slice(positions)], dtype: 'f32' }];
  },
  grad: ({ inputs: [, ids], grads, params: { batched } }) => [gather(grads[0]!, ids!, { batched }), null],
  reference([values, ids], params): NdArray[] {
    const sums = ndarray(this.infer([values!, ids!], params)[0]!.shape);
    const { positions, segments, width } = segmentExtents([values!, ids!], params);
    for (const [position, id] of ids!.data.entries()) {
      if (id < 0 || id >= segments) continue;
      const row = Math.floor(position / positions) * segments + id;
      for (let d = 0; d < width; d++) sums.data[row * width + d]! += values!.data[position * width + d]!;
    }
    return [sums];
  },
  samples: () => [
    { inputs: [sampleValues([9, 3]), sampleIntegers([9], -1, 6)], params: { segments: 5, batched: false } },
    { inputs: [sampleValues([4, 5, 8]), sampleIntegers([4, 5], -1, 4)], params: { segments: 4, batched: false } },
    { inputs: [sampleValues([30]), sampleIntegers([30], 0, 3)], params: { segments: 3, batched: false } },
    { inputs: [sampleValues([3, 10, 4]), sampleIntegers([3, 10], -1, 4)], params: { segments: 3, batched: true } },
    {
      name: 'several chunks',
      inputs: [sampleValues([300, 12]), sampleIntegers([300], -1, 8)],
      params: { segments: 7, batched: false },
      checkGrad: false,
    },
    {
      name: 'several chunks of several images',
      inputs: [sampleValues([3, 100, 5]), sampleIntegers([3, 100], -1, 8)],
      params: { segments: 6, batched: true },
      checkGrad: false,
    },
  ],
  kernels: [
    chunkedKernel('chunks-vec4', 4),
    chunkedKernel('chunks', 1),
    {
      name: 'naive',
      commands({ inputs, outputs, params }): Command[] {
        const { positions, segments, width } = segmentExtents(inputs, params);
        const count = sizeOf(outputs[0]!.shape);
        return [
          {
            source: sourceNaive,
            uniforms: { count, positions, segments, width },
            buffers: [input(0), input(1), output(0)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
  flops: ([values]) => sizeOf(values!.shape),
};

/**
 * Sums of values [P...,D...] by i32 segment ids [P...], to [segments,D...]; ids outside of 0 to segments - 1 are
 * skipped. Batched: values [N,P...,D...] and ids [N,P...], to [N,segments,D...]. The order of summation is fixed.
 */
export function segmentSum(
  values: TensorLike,
  ids: TensorLike,
  options: { segments: number; batched?: boolean },
): Tensor {
  return apply1(segmentSumOp, [values, ids], { segments: options.segments, batched: options.batched ?? false });
}

export { oneHot, oneHotOp } from './one_hot.js';

export const gatherOps: Op[] = [gatherOp, segmentSumOp, oneHotOp];
