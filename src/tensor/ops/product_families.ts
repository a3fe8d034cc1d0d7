/**
 * The families of tuned kernels for matrix products and convolutions. All take the same uniforms and buffers, and
 * cover the result with tiles, one a workgroup; they differ in how a tile is computed.
 */
import filterGradTiled from '../../shaders/conv2d_filter_grad_tiled.wgsl';
import conv2dTiled from '../../shaders/conv2d_tiled.wgsl';
import matmulTiled from '../../shaders/matmul_tiled.wgsl';
import momentsTile from '../../shaders/moments_tile.wgsl';
import sumPartialsSource from '../../shaders/sum_partials.wgsl';
import {
  type AdapterFacts,
  type BufferRef,
  type Dispatch,
  type KernelContext,
  linearGrid,
  type ShaderSource,
} from '../op.js';
import { type Tuning, tuned } from '../tuning.js';
import type { DType } from '../types.js';
import { matrix } from './matrix_family.js';
import {
  type Layout,
  layoutOf,
  type ProductOp,
  type ProductShape,
  partsFor,
  rankLayouts,
  type Tile,
  type TileCost,
} from './product_layouts.js';
import { endingWith } from './product_moments.js';
import { roundsTo, type Stored, storedIn4s, wordsOf, writes1 } from './stored.js';

export interface Family {
  readonly name: string;
  readonly needs: readonly string[];
  suits(context: Pick<KernelContext<unknown>, 'adapter' | 'inputs'>): boolean;
  /** The shader that computes `op`. */
  source(op: ProductOp, adapter: AdapterFacts): ShaderSource;
  /** Its parameters for operands and a result that lie in memory like this. */
  parameters(stored: Stored, adapter: AdapterFacts): Readonly<Record<string, string>>;
  /** Source and parameters of the shader that also writes the moments of its tiles' columns, where there is one. */
  readonly moments?: {
    /** Whether there is on this adapter. Default: yes. */
    suits?(adapter: AdapterFacts): boolean;
    source(op: Exclude<ProductOp, 'filterGrad'>, adapter: AdapterFacts): ShaderSource;
    parameters(stored: Stored, adapter: AdapterFacts): Readonly<Record<string, string>>;
  };
  /** Ways to compute a product, the one to take first; the others are for tuning. */
  layouts(shape: ProductShape, adapter: AdapterFacts): readonly Layout[];
  /** Steps of a sum that its kernels take at a time; parts of a split sum are multiples of it. */
  readonly step: number;
  /** Whether its convolutions and input gradients can split their sums (uniform `chunk`). */
  readonly splitsConvolutions: boolean;
  /**
   * What reading or writing a value costs, in multiply-adds of a matrix product: whether Winograd's transforms pay.
   * Absent where they are not to be had.
   */
  readonly transferCost?: number;
}

/** The layout of a product: the one found by tuning, if there is one, else the one that the family takes first. */
export function layoutFor(family: Family, shape: ProductShape, adapter: AdapterFacts): Layout {
  return tuned(adapter, tuningKey(family, shape), family.layouts(shape, adapter));
}

/** Whether the moments of a result can be taken on the way: not of sums in parts, which are whole only later. */
export const takesMoments = ({ moments }: Family, { chunks }: Layout, adapter: AdapterFacts): boolean =>
  chunks === 1 && moments !== undefined && (moments.suits?.(adapter) ?? true);

/** `tiled conv2d 1764x256x2304`: family, op, rows, columns and length, batches where there are several, `f16` of halves. */
export function tuningKey(
  family: Family,
  { op, rows, columns, length, batches, splits, halves }: ProductShape,
): string {
  const of = `${batches > 1 ? ` of ${batches}` : ''}${splits ? '' : ' unsplit'}${halves ? ' f16' : ''}`;
  return `${family.name} ${op} ${rows}x${columns}x${length}${of}`;
}

/** What tuning may decide of a product. */
export function tuningOf(family: Family, shape: ProductShape, adapter: AdapterFacts): Tuning[] {
  return [{ key: tuningKey(family, shape), candidates: family.layouts(shape, adapter).map(({ name }) => name) }];
}

const STEP = 16;

/** Workgroups that keep a software adapter busy. */
const CPU_WORKGROUPS = 32;

/** Multiply-adds from which a software adapter saves more by a large tile than it takes to compile: 2 s, once. */
const LARGE_PRODUCT = 2 ** 27;

/** For software adapters: no workgroup memory, no barriers, lanes of a quad share what they load. */
export const quads: Family = {
  name: 'quads',
  needs: ['subgroups'],
  suits: ({ adapter }) => adapter.cpu,
  source: (op) => async () => (await import('./quads_shaders.js'))[op],
  parameters: storedIn4s,
  layouts({ op, rows, columns, length, batches, splits }) {
    const tileOf = (tall: boolean, wide: boolean): Tile => ({
      rows: tall ? 64 : 32,
      columns: wide ? 32 : 16,
      constants: { WIDE: wide, ...(op === 'matmul' && { TALL: tall, RAGGED: length % STEP > 0 }) },
    });
    const large = rows * columns * length * batches >= LARGE_PRODUCT;
    const heights = op === 'matmul' ? [large, !large] : [true];
    const tiles = [columns > 16, columns <= 16].flatMap((wide) => heights.map((tall) => tileOf(tall, wide)));
    return tiles.flatMap((tile) => {
      const workgroups = Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns) * batches;
      const parts = splits ? partsFor(length, workgroups, CPU_WORKGROUPS) : 1;
      const layouts = [parts, Math.ceil(parts / 2), 1].map((count) => layoutOf(tile, length, count, STEP));
      return layouts.filter(({ name }, i) => layouts.findIndex((other) => other.name === name) === i);
    });
  },
  step: STEP,
  splitsConvolutions: false,
  transferCost: 13,
};

/** 8 x 8 elements an invocation; `down` x `across` of them. Others than these the kernels cannot fetch. */
const tiledTile = (down: number, across: number): TileCost => ({
  rows: 8 * down,
  columns: 8 * across,
  constants: { DOWN: down, ACROSS: across },
  invocations: down * across,
  // Of what an invocation does, about 6 % are spent on each block of 4 x 4 that it fetches.
  multiplyAdds: 128 / (1 + (0.06 * 8 * (down + across)) / (down * across)),
  bytes: 4,
});
const TILED_TILES = [
  [16, 16],
  [16, 8],
  [8, 16],
  [8, 8],
  [16, 4],
  [8, 4],
].map(([down, across]) => tiledTile(down!, across!));

const partialOf = (rows: string, columns4: string) =>
  `put_partial(group, local, ${rows}, ${columns4}, sum00, sum01, sum10, sum11);`;

/** For GPUs: tiles in workgroup memory, 8 x 8 elements an invocation. */
export const tiled: Family = {
  name: 'tiled',
  needs: [],
  suits: ({ adapter }) => !adapter.cpu,
  source: (op) => ({ matmul: matmulTiled, conv2d: conv2dTiled, filterGrad: filterGradTiled })[op],
  parameters: storedIn4s,
  moments: {
    source: (op) =>
      op === 'matmul'
        ? endingWith(matmulTiled, partialOf('u.m', 'u.n4'), momentsTile)
        : endingWith(conv2dTiled, partialOf('u.batches * u.rows * u.columns', 'u.to_c4'), momentsTile),
    parameters: (stored) => ({ ...storedIn4s(stored), ...roundsTo(stored.c, 'as_stored') }),
  },
  layouts: (shape, adapter) => rankLayouts(shape, TILED_TILES, STEP, adapter),
  step: STEP,
  splitsConvolutions: true,
  // Not measured: by data sheets from 20 (A100) and 31 (H100) over 40 to 60 (Apple, RTX 3090, Arc) to 125 (RTX 4090).
  transferCost: 64,
};

export const families: readonly Family[] = [quads, matrix, tiled];

/**
 * Adds `parts` results of `size` elements that a split sum left in `partials`: all of them, or every `group` neighbouring
 * ones, where there are so many that the sums should be summed by another dispatch. `dtype` is that of the total.
 */
export function sumPartials(
  size: number,
  parts: number,
  partials: BufferRef,
  total: BufferRef,
  { group = parts, dtype = 'f32' }: { readonly group?: number; readonly dtype?: DType } = {},
): Dispatch {
  const words = wordsOf(dtype, Math.ceil(parts / group) * size);
  return {
    source: sumPartialsSource,
    constants: writes1(dtype, 'StoredC', 'stored'),
    uniforms: { size, parts, group, words },
    buffers: [partials, total],
    workgroups: linearGrid(words, 64),
  };
}
