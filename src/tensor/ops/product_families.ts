/**
 * The two families of tuned kernels for matrix products and convolutions. Both take the same uniforms and buffers, and
 * cover the result with tiles, one a workgroup; they differ in how a tile is computed.
 */
import filterGradQuads from '../../shaders/conv2d_filter_grad_quads.wgsl';
import filterGradTiled from '../../shaders/conv2d_filter_grad_tiled.wgsl';
import conv2dQuads from '../../shaders/conv2d_quads.wgsl';
import conv2dTiled from '../../shaders/conv2d_tiled.wgsl';
import matmulQuads from '../../shaders/matmul_quads.wgsl';
import matmulTiled from '../../shaders/matmul_tiled.wgsl';
import sumPartialsSource from '../../shaders/sum_partials.wgsl';
import { type AdapterFacts, type BufferRef, type Dispatch, linearGrid } from '../op.js';

export interface Family {
  readonly name: string;
  readonly needs: readonly string[];
  suits(adapter: AdapterFacts): boolean;
  readonly sources: { readonly matmul: string; readonly conv2d: string; readonly filterGrad: string };
  /** Choice of tile for a result of this size. */
  tile(rows: number, columns: number): Tile;
  /** Workgroups that keep the adapter busy; longer sums are split to get there. */
  readonly workgroups: number;
  /**
   * What reading or writing a value costs, in multiply-adds of a matrix product: whether Winograd's transforms pay.
   * Absent where it has not been measured.
   */
  readonly transferCost?: number;
}

export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly constants: Readonly<Record<string, number | boolean>>;
}

/** For software adapters: no workgroup memory, no barriers, lanes of a quad share what they load. */
export const quads: Family = {
  name: 'quads',
  needs: ['subgroups'],
  suits: (adapter) => adapter.cpu,
  sources: { matmul: matmulQuads, conv2d: conv2dQuads, filterGrad: filterGradQuads },
  tile: (_, columns) => ({ rows: 64, columns: columns > 16 ? 32 : 16, constants: { WIDE: columns > 16 } }),
  workgroups: 32,
  transferCost: 13,
};

/** For GPUs: tiles in workgroup memory, 8 x 8 elements an invocation. */
export const tiled: Family = {
  name: 'tiled',
  needs: [],
  suits: (adapter) => !adapter.cpu,
  sources: { matmul: matmulTiled, conv2d: conv2dTiled, filterGrad: filterGradTiled },
  tile(rows, columns) {
    const tile = (down: number, across: number) => ({
      rows: 8 * down,
      columns: 8 * across,
      constants: { DOWN: down, ACROSS: across },
    });
    if (columns <= 32) return tile(16, 4);
    // Large tiles read least, but it takes many of them to occupy a GPU.
    return Math.ceil(rows / 128) * Math.ceil(columns / 128) >= 96 ? tile(16, 16) : tile(8, 8);
  },
  workgroups: 256,
};

export const families: readonly Family[] = [quads, tiled];

/** Steps of a sum that a kernel takes at a time; parts of a split sum are multiples of it. */
const STEP = 16;
/** A shorter part is not worth writing and reading its partial result. */
const SHORTEST_PART = 256;

/**
 * Into how many parts a sum of `length` terms is split so that there are about `wanted` workgroups. Depends on
 * nothing but these numbers, so that results can be reproduced.
 */
export function splitSum(length: number, workgroups: number, wanted: number) {
  const parts = Math.max(1, Math.min(Math.ceil(wanted / workgroups), Math.floor(length / SHORTEST_PART)));
  const chunk = Math.ceil(length / parts / STEP) * STEP;
  return { chunk, chunks: Math.ceil(length / chunk) };
}

/**
 * Adds `parts` results of `size` elements that a split sum left in `partials`: all of them, or every `group` neighbouring
 * ones, where there are so many that the sums should be summed by another dispatch.
 */
export function sumPartials(
  size: number,
  parts: number,
  partials: BufferRef,
  total: BufferRef,
  group: number = parts,
): Dispatch {
  return {
    source: sumPartialsSource,
    uniforms: { size, parts, group },
    buffers: [partials, total],
    workgroups: linearGrid(Math.ceil(parts / group) * size, 64),
  };
}
