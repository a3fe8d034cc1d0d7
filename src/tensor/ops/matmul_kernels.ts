/** Kernel variants of matrix products, also used by the convolutions that are one. */
import naiveSource from '../../shaders/matmul_naive.wgsl';
import quadsSource from '../../shaders/matmul_quads.wgsl';
import sumPartialsSource from '../../shaders/sum_partials.wgsl';
import { type BufferRef, type Dispatch, input, type Kernel, linearGrid, output, scratch } from '../op.js';
import { BYTES_PER_ELEMENT } from '../types.js';
import { type Matmul, matmulSizes } from './matmul_geometry.js';

/** A matrix product c = a b of row-major matrices; batches beyond the first start one matrix further, or are shared. */
export interface Product {
  readonly batches: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly sharedA: boolean;
  readonly sharedB: boolean;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

function productOf(context: Parameters<Kernel<Matmul>['commands']>[0]): Product {
  const sizes = matmulSizes(context.inputs, context.params);
  const { transposeA, transposeB } = context.params;
  // Batches that share b are rows of one tall product.
  if (sizes.sharedB && !transposeA)
    return { ...sizes, transposeA, transposeB, batches: 1, m: sizes.batches * sizes.m, sharedB: false };
  return { ...sizes, transposeA, transposeB };
}

/**
 * Into how many equal parts a sum of `length` terms is split so that there are about `wanted` workgroups. Each part is
 * a multiple of `step` and no shorter than `shortest`. Depends on nothing but these numbers: results are reproducible.
 */
export function splitSum(length: number, groups: number, wanted: number, shortest: number, step: number) {
  const parts = Math.max(1, Math.min(Math.ceil(wanted / groups), Math.floor(length / shortest)));
  const chunk = Math.ceil(length / parts / step) * step;
  return { chunk, chunks: Math.ceil(length / chunk) };
}

/** Adds `parts` results of `size` elements that a split sum left in `partials`. */
export function sumPartials(size: number, parts: number, partials: BufferRef, total: BufferRef): Dispatch {
  return {
    source: sumPartialsSource,
    uniforms: { size, parts },
    buffers: [partials, total],
    workgroups: linearGrid(size, 64),
  };
}

const TILE_ROWS = 64;

function quadsPlan({ batches, m, n, k }: Product) {
  const wide = n > 16;
  const columns = Math.ceil(n / (wide ? 32 : 16));
  const rows = Math.ceil(m / TILE_ROWS);
  return { wide, columns, rows, ...splitSum(k, rows * columns * batches, 32, 256, 4) };
}

/** Whether rows of every operand can be read and written four elements at a time. */
export function quadsFit({ m, n, k, transposeA, transposeB }: Product): boolean {
  const rowsOfA = transposeA ? m : k;
  const rowsOfB = transposeB ? k : n;
  return n % 4 === 0 && rowsOfA % 4 === 0 && rowsOfB % 4 === 0;
}

/** Bytes of scratch that `quadsProduct` needs: none, or one buffer of partial sums. */
export function quadsScratch(product: Product): number[] {
  const { chunks } = quadsPlan(product);
  return chunks === 1 ? [] : [chunks * product.batches * product.m * product.n * BYTES_PER_ELEMENT];
}

export function quadsProduct(product: Product, a: BufferRef, b: BufferRef): Dispatch[] {
  const { batches, m, n, k, sharedA, sharedB, transposeA, transposeB } = product;
  const { wide, columns, rows, chunk, chunks } = quadsPlan(product);
  const multiply: Dispatch = {
    source: quadsSource,
    constants: { TRANSPOSE_A: transposeA, TRANSPOSE_B: transposeB, WIDE: wide },
    uniforms: {
      m,
      n4: n / 4,
      k,
      chunk,
      chunks,
      batches,
      a_batch: sharedA ? 0 : (m * k) / 4,
      b_batch: sharedB ? 0 : (k * n) / 4,
    },
    buffers: [a, b, chunks === 1 ? output(0) : scratch(0)],
    workgroups: [columns, rows, batches * chunks],
  };
  return chunks === 1 ? [multiply] : [multiply, sumPartials(batches * m * n, chunks, scratch(0), output(0))];
}

const quads: Kernel<Matmul> = {
  name: 'quads',
  needs: ['subgroups'],
  when: (context) => context.adapter.cpu && quadsFit(productOf(context)),
  scratch: (context) => quadsScratch(productOf(context)),
  commands: (context) => quadsProduct(productOf(context), input(0), input(1)),
};

const naive: Kernel<Matmul> = {
  name: 'naive',
  commands(context) {
    const { batches, m, n, k, sharedA, sharedB, transposeA, transposeB } = productOf(context);
    return [
      {
        source: naiveSource,
        uniforms: {
          batches,
          m,
          n,
          k,
          a_batch: sharedA ? 0 : m * k,
          a_m: transposeA ? 1 : k,
          a_k: transposeA ? m : 1,
          b_batch: sharedB ? 0 : k * n,
          b_k: transposeB ? 1 : n,
          b_n: transposeB ? k : 1,
        },
        buffers: [input(0), input(1), output(0)],
        workgroups: linearGrid(batches * m * n, 64),
      },
    ];
  },
};

export const matmulKernels: readonly Kernel<Matmul>[] = [quads, naive];
