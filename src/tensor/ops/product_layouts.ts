/**
 * Which tiles a matrix product is cut into, and into how many parts its sum: by a small model of what takes time on a
 * GPU. It knows no clock, only proportions, and depends on nothing but the shape and the adapter's facts, so that the
 * same machine makes the same choice, and the same sums, every time.
 */
import type { AdapterFacts } from '../op.js';

export type ProductOp = 'matmul' | 'conv2d' | 'filterGrad';

/** A matrix product, [rows, length] x [length, columns], possibly an implicit one. */
export interface ProductShape {
  readonly op: ProductOp;
  readonly rows: number;
  readonly columns: number;
  readonly length: number;
  readonly batches: number;
  /** Whether the sum may be split into parts. */
  readonly splits: boolean;
  /** Whether an operand lies in memory as halves, which tuning tells apart. */
  readonly halves?: boolean;
}

export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly constants: Readonly<Record<string, number | boolean>>;
}

/** How a product is computed: a workgroup takes a tile of the result and `chunk` terms of its sum. */
export interface Layout {
  /** `128x64/4`: rows and columns of a tile, and parts of the sum. */
  readonly name: string;
  readonly tile: Tile;
  readonly chunk: number;
  readonly chunks: number;
}

/** A tile and what the model has to know of it. */
export interface TileCost extends Tile {
  readonly invocations: number;
  /** Multiply-adds that a unit makes in a cycle with such a tile. */
  readonly multiplyAdds: number;
  /** Bytes that an element of the operands takes. */
  readonly bytes: number;
}

/** A shorter part is not worth writing and reading its partial result. */
const SHORTEST_PART = 256;

export function layoutOf(tile: Tile, length: number, parts: number, step: number): Layout {
  const chunk = Math.max(1, Math.ceil(length / parts / step)) * step;
  const chunks = Math.max(1, Math.ceil(length / chunk));
  return { name: `${tile.rows}x${tile.columns}/${chunks}`, tile, chunk, chunks };
}

/**
 * Into how many parts a sum of `length` terms is split so that there are about `wanted` workgroups. Depends on
 * nothing but these numbers, so that results can be reproduced.
 */
export function partsFor(length: number, workgroups: number, wanted: number): number {
  return Math.max(1, Math.min(Math.ceil(wanted / workgroups), Math.floor(length / SHORTEST_PART)));
}

const PARTS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

/** All layouts out of some tiles, those that should take the least time first. */
export function rankLayouts(
  shape: ProductShape,
  tiles: readonly TileCost[],
  step: number,
  adapter: AdapterFacts,
): Layout[] {
  const limit = adapter.limits.maxStorageBufferBindingSize;
  const ranked: { layout: Layout; cycles: number }[] = [];
  for (const tile of tiles) {
    const names = new Set<string>();
    for (const parts of PARTS) {
      if (parts > 1 && (!shape.splits || shape.length < parts * SHORTEST_PART)) break;
      const layout = layoutOf(tile, shape.length, parts, step);
      if (layout.chunks > 1 && 4 * layout.chunks * shape.batches * shape.rows * shape.columns > limit) break;
      if (names.has(layout.name)) continue;
      names.add(layout.name);
      ranked.push({ layout, cycles: predict(shape, tile, layout, unitsOf(adapter)) });
    }
  }
  // A stable sort: of equals the one named first.
  return ranked.sort((a, b) => a.cycles - b.cycles).map(({ layout }) => layout);
}

/** Invocations that hide each other's latencies: with fewer, a unit idles in proportion. */
const FILLING = 256;
/** Bytes a unit takes from the caches, and from memory, in a cycle. */
const CACHE_BYTES = 64;
const MEMORY_BYTES = 12;
/** Cycles that a workgroup takes to start, and to write its result; and another dispatch. */
const WORKGROUP = 1000;
const DISPATCH = 6000;

/** Cycles that the busiest of a GPU's `units` takes. */
export function predict(shape: ProductShape, tile: TileCost, { chunk, chunks }: Layout, units: number): number {
  const { rows, columns, batches } = shape;
  const workgroups = Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns) * batches * chunks;
  const each = Math.ceil(workgroups / units);
  const terms = tile.rows * tile.columns * Math.min(chunk, Math.max(1, shape.length));
  const compute = (terms / tile.multiplyAdds) * Math.max(each, FILLING / tile.invocations);
  const fetch = (each * (tile.rows + tile.columns) * chunk * tile.bytes) / CACHE_BYTES;
  // Workgroups that run side by side start together.
  const starts = Math.ceil((each * tile.invocations) / 1024) * WORKGROUP;
  const partials = chunks > 1 ? DISPATCH + (8 * chunks * batches * rows * columns) / (units * MEMORY_BYTES) : 0;
  // Of two that take as long, the one that computes less beyond the result's edges.
  const covered = Math.ceil(rows / tile.rows) * tile.rows * Math.ceil(columns / tile.columns) * tile.columns;
  const waste = 1 + 0.05 * Math.log2(covered / (rows * columns));
  return (Math.max(compute, fetch) + starts + partials) * waste;
}

/**
 * Multiprocessors (NVIDIA), compute units (AMD), cores (Apple, Intel) of GPUs by name; WebGPU does not tell. A browser
 * names only vendor and architecture, so that most of them are middling guesses.
 */
const UNITS: readonly (readonly [RegExp, number])[] = [
  [/\b(h100|h200|gh200)\b/, 132],
  [/\bb200\b/, 148],
  [/\ba100\b/, 108],
  [/\bl40s?\b/, 142],
  [/\bl4\b/, 58],
  [/\bt4\b/, 40],
  [/\bv100\b/, 80],
  [/\b5090\b/, 170],
  [/\b4090\b/, 128],
  [/\b4080\b/, 76],
  [/\b4070\b/, 46],
  [/\b3090\b/, 82],
  [/\b3080\b/, 68],
  [/\b3060\b/, 28],
  [/\bhopper\b|\bblackwell\b/, 132],
  [/\bnvidia\b/, 60],
  [/\bamd\b/, 48],
  [/\bapple\b/, 16],
  [/\bintel\b/, 16],
  [/\bqualcomm\b|\barm\b|\bimg-tec\b/, 8],
];
const UNKNOWN_UNITS = 48;

export function unitsOf({ vendor = '', architecture = '', device = '' }: AdapterFacts): number {
  const name = `${device} ${architecture} ${vendor}`.toLowerCase();
  return UNITS.find(([pattern]) => pattern.test(name))?.[1] ?? UNKNOWN_UNITS;
}
