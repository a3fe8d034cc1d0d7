/**
 * The two passes of an exact search for the rows of a table nearest to each query, without storing all similarities.
 *
 * The first finds, for every query, the largest similarity in each group of 64 rows. The k most similar rows all lie in the k
 * groups with the largest maxima: before a row of any other group come the best rows of those k. The second pass compares the
 * query with the rows of these groups only. With ties going to the lower group and to the lower row this holds for
 * equal similarities too. (Chern et al., TPU-KNN, NeurIPS 2022, reduce by groups in the same way, and keep only the
 * maxima: an approximation, where looking into the groups again makes it exact.)
 */
import sourceNaive from '../../shaders/segsort_group_maxima_naive.wgsl';
import sourceQuads from '../../shaders/segsort_group_maxima_quads.wgsl';
import sourceTiled from '../../shaders/segsort_group_maxima_tiled.wgsl';
import sourceMembers from '../../shaders/segsort_group_members_naive.wgsl';
import sourceMembersVec4 from '../../shaders/segsort_group_members_vec4.wgsl';
import { apply, apply1, type Tensor, type TensorLike } from '../../tensor/graph.js';
import { type Command, input, type Kernel, linearGrid, type Op, OpError, output } from '../../tensor/op.js';
import { sampleIntegers, sampleValues } from '../../tensor/ops/sample_values.js';
import { type NdArray, ndarray, showShape, type TensorType } from '../../tensor/types.js';

/** Rows of a group. The kernel for GPUs is written for this size. */
export const GROUP = 64;

/** Below the similarity of any row: what takes the place of rows beyond the end of a table. */
export const NO_SIMILARITY = Math.fround(-3.4e38);

type None = Record<string, never>;

function extentsOf([queries, table]: readonly TensorType[]) {
  const [count, channels] = queries!.shape as [number, number];
  const rows = table!.shape[0]!;
  return { queries: count, channels, rows, groups: Math.ceil(rows / GROUP) };
}

function checkVectors(op: string, queries: TensorType, table: TensorType): void {
  const ofRows = ({ dtype, shape }: TensorType) => dtype === 'f32' && shape.length === 2 && shape.every((n) => n > 0);
  if (!ofRows(queries) || !ofRows(table) || queries.shape[1] !== table.shape[1])
    throw new OpError(
      op,
      `expects queries f32 [Q,D] and a table f32 [M,D], got ${queries.dtype}${showShape(queries.shape)} and ${table.dtype}${showShape(table.shape)}`,
    );
}

function dot(a: NdArray, i: number, b: NdArray, j: number): number {
  const channels = a.shape[1]!;
  let sum = 0;
  for (let c = 0; c < channels; c++) sum += a.data[i * channels + c]! * b.data[j * channels + c]!;
  return sum;
}

function tuned(name: string, source: string, queriesOfTile: number, needs: string[], cpu: boolean): Kernel<None> {
  return {
    name,
    needs,
    when: ({ inputs, adapter }) => adapter.cpu === cpu && extentsOf(inputs).channels % 4 === 0,
    commands({ inputs }): Command[] {
      const { queries, channels, rows, groups } = extentsOf(inputs);
      const extents = { queries, groups, rows, channels4: channels / 4 };
      return [
        {
          source,
          uniforms: cpu ? { ...extents, group: GROUP } : extents,
          buffers: [input(0), input(1), output(0)],
          workgroups: linearGrid(Math.ceil(queries / queriesOfTile) * groups, 1),
        },
      ];
    },
  };
}

const naive: Kernel<None> = {
  name: 'naive',
  commands({ inputs }): Command[] {
    const { queries, channels, rows, groups } = extentsOf(inputs);
    return [
      {
        source: sourceNaive,
        uniforms: { count: queries * groups, groups, group: GROUP, rows, channels },
        buffers: [input(0), input(1), output(0)],
        workgroups: linearGrid(queries * groups, 64),
      },
    ];
  },
};

export const groupMaximaOp: Op<None> = {
  name: 'groupMaxima',
  infer([queries, table]) {
    checkVectors('groupMaxima', queries!, table!);
    const { queries: count, groups } = extentsOf([queries!, table!]);
    return [{ shape: [count, groups], dtype: 'f32' }];
  },
  reference([queries, table]): NdArray[] {
    const { queries: count, rows, groups } = extentsOf([queries!, table!]);
    const maxima = ndarray([count, groups]);
    maxima.data.fill(Number.NEGATIVE_INFINITY);
    for (let query = 0; query < count; query++)
      for (let row = 0; row < rows; row++) {
        const at = query * groups + Math.floor(row / GROUP);
        maxima.data[at] = Math.max(maxima.data[at]!, dot(queries!, query, table!, row));
      }
    return [maxima];
  },
  samples: () => [
    { inputs: [sampleValues([5, 8]), sampleValues([3, 8], 1)], params: {} },
    { inputs: [sampleValues([7, 5]), sampleValues([130, 5], 1)], params: {} },
    { inputs: [sampleValues([131, 32]), sampleValues([203, 32], 1)], params: {} },
    { inputs: [sampleValues([66, 20]), sampleValues([128, 20], 1)], params: {} },
  ],
  kernels: [tuned('quads', sourceQuads, 32, ['subgroups'], true), tuned('tiled', sourceTiled, 128, [], false), naive],
  flops(inputs) {
    const { queries, channels, rows } = extentsOf(inputs);
    return 2 * queries * rows * channels;
  },
};

const membersVec4: Kernel<None> = {
  name: 'vec4',
  when: ({ inputs }) => extentsOf(inputs).channels % 4 === 0,
  commands({ inputs }): Command[] {
    const { queries, channels, rows } = extentsOf(inputs);
    const chosen = inputs[2]!.shape[1]!;
    const count = (queries * chosen * GROUP) / 4;
    return [
      {
        source: sourceMembersVec4,
        uniforms: { count, chosen, group4: GROUP / 4, rows, channels4: channels / 4 },
        buffers: [input(0), input(1), input(2), output(0), output(1)],
        workgroups: linearGrid(count, 64),
      },
    ];
  },
};

const membersNaive: Kernel<None> = {
  name: 'naive',
  commands({ inputs }): Command[] {
    const { queries, channels, rows } = extentsOf(inputs);
    const chosen = inputs[2]!.shape[1]!;
    const count = queries * chosen * GROUP;
    return [
      {
        source: sourceMembers,
        uniforms: { count, chosen, group: GROUP, rows, channels },
        buffers: [input(0), input(1), input(2), output(0), output(1)],
        workgroups: linearGrid(count, 64),
      },
    ];
  },
};

export const groupMembersOp: Op<None> = {
  name: 'groupMembers',
  infer([queries, table, groups]) {
    checkVectors('groupMembers', queries!, table!);
    const { queries: count } = extentsOf([queries!, table!]);
    const [rows, chosen] = groups!.shape;
    if (groups!.dtype !== 'i32' || groups!.shape.length !== 2 || rows !== count || !chosen)
      throw new OpError(
        'groupMembers',
        `groups must be i32 [${count},G], got ${groups!.dtype}${showShape(groups!.shape)}`,
      );
    const shape = [count, chosen * GROUP];
    return [
      { shape, dtype: 'f32' },
      { shape, dtype: 'i32' },
    ];
  },
  reference([queries, table, groups]): NdArray[] {
    const { queries: count, rows } = extentsOf([queries!, table!]);
    const chosen = groups!.shape[1]!;
    const shape = [count, chosen * GROUP];
    const similarities = ndarray(shape).data.fill(NO_SIMILARITY);
    const members = ndarray(shape, undefined, 'i32').data.fill(-1);
    for (let query = 0; query < count; query++) {
      const own = groups!.data.slice(query * chosen, (query + 1) * chosen).sort();
      for (const [place, group] of own.entries())
        for (let row = group * GROUP; row < Math.min((group + 1) * GROUP, rows); row++) {
          const at = query * shape[1]! + place * GROUP + row - group * GROUP;
          similarities[at] = dot(queries!, query, table!, row);
          members[at] = row;
        }
    }
    return [ndarray(shape, similarities), ndarray(shape, members, 'i32')];
  },
  samples: () => [
    {
      inputs: [sampleValues([2, 8]), sampleValues([256, 8], 1), ndarray([2, 3], [3, 0, 2, 1, 2, 3], 'i32')],
      params: {},
    },
    { inputs: [sampleValues([2, 5]), sampleValues([128, 5], 1), ndarray([2, 1], [1, 0], 'i32')], params: {} },
    {
      name: 'every group of many',
      inputs: [
        sampleValues([1, 4]),
        sampleValues([1280, 4], 1),
        ndarray(
          [1, 20],
          Array.from({ length: 20 }, (_, i) => (i * 7) % 20),
          'i32',
        ),
      ],
      params: {},
    },
    {
      name: 'a last group that is not full',
      inputs: [sampleValues([2, 4]), sampleValues([70, 4], 1), ndarray([2, 2], [1, 0, 0, 1], 'i32')],
      params: {},
    },
    {
      name: 'one group',
      inputs: [sampleValues([9, 4]), sampleValues([64, 4], 1), sampleIntegers([9, 1], 0, 1)],
      params: {},
    },
  ],
  kernels: [membersVec4, membersNaive],
  flops(inputs) {
    const { queries, channels } = extentsOf(inputs);
    return 2 * queries * inputs[2]!.shape[1]! * GROUP * channels;
  },
};

export const nearestGroupsOps: readonly Op[] = [groupMaximaOp, groupMembersOp];

/** The largest dot product of each query f32 [Q,D] with each 64 rows of a table f32 [M,D]: f32 [Q, ceil(M / 64)]. */
export function groupMaxima(queries: TensorLike, table: TensorLike): Tensor {
  return apply1(groupMaximaOp, [queries, table], {});
}

/**
 * The rows of a table f32 [M,D] in the groups i32 [Q,G] of each query f32 [Q,D]: their dot products f32 [Q,G*64] and
 * numbers i32 [Q,G*64], in ascending order. A query's groups must differ. Beyond the end of the table the number is -1
 * and the product `NO_SIMILARITY`.
 */
export function groupMembers(
  queries: TensorLike,
  table: TensorLike,
  groups: TensorLike,
): { readonly similarities: Tensor; readonly rows: Tensor } {
  const [similarities, rows] = apply(groupMembersOp, [queries, table, groups], {});
  return { similarities: similarities!, rows: rows! };
}
