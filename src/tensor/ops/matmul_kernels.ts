/** Kernel variants of matrix products, also used by the convolutions that are one. */
import naiveSource from '../../shaders/matmul_naive.wgsl';
import {
  type BufferRef,
  type Dispatch,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  output,
  scratch,
} from '../op.js';
import { BYTES_PER_ELEMENT, f32 } from '../types.js';
import { type Matmul, matmulSizes } from './matmul_geometry.js';
import { padded, roundUp } from './padded.js';
import { type Family, splitSum, sumPartials } from './product_families.js';

/** A product of row-major matrices; those of further batches follow in memory, or all batches share one. */
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

/** The kernel variant of a family, for an op that is the matrix product `productOf` of its inputs. */
export function productKernel<P>(
  family: Family,
  name: string,
  productOf: (context: KernelContext<P>) => Product | null,
): Kernel<P> {
  return {
    name,
    needs: family.needs,
    when(context) {
      const product = family.suits(context.adapter) ? productOf(context) : null;
      return product !== null && inVec4s(product);
    },
    scratch(context) {
      const product = productOf(context)!;
      const { chunks } = plan(family, product);
      return chunks === 1 ? [] : [chunks * product.batches * product.m * product.n * BYTES_PER_ELEMENT];
    },
    commands: (context) => multiply(family, productOf(context)!),
  };
}

/** Whether the rows of every operand, as stored, are multiples of 4. */
function inVec4s({ m, n, k, transposeA, transposeB }: Product): boolean {
  const rowOfA = transposeA ? m : k;
  const rowOfB = transposeB ? k : n;
  return n % 4 === 0 && rowOfA % 4 === 0 && rowOfB % 4 === 0;
}

function plan(family: Family, { batches, m, n, k }: Product) {
  const tile = family.tile(m, n);
  const columns = Math.ceil(n / tile.columns);
  const rows = Math.ceil(m / tile.rows);
  return { tile, columns, rows, ...splitSum(k, rows * columns * batches, family.workgroups) };
}

/** The whole product in one dispatch, from and to the buffers [a, b, c]. */
export function multiplyAll(family: Family, product: Product, buffers: readonly BufferRef[]): Dispatch {
  return multiplyParts(family, product, { ...plan(family, product), chunk: product.k, chunks: 1 }, buffers);
}

function multiply(family: Family, product: Product): Dispatch[] {
  const parts = plan(family, product);
  if (parts.chunks === 1) return [multiplyParts(family, product, parts, [input(0), input(1), output(0)])];
  return [
    multiplyParts(family, product, parts, [input(0), input(1), scratch(0)]),
    sumPartials(product.batches * product.m * product.n, parts.chunks, scratch(0), output(0)),
  ];
}

function multiplyParts(
  family: Family,
  { batches, m, n, k, sharedA, sharedB, transposeA, transposeB }: Product,
  { tile, columns, rows, chunk, chunks }: ReturnType<typeof plan>,
  buffers: readonly BufferRef[],
): Dispatch {
  return {
    source: family.sources.matmul,
    constants: { TRANSPOSE_A: transposeA, TRANSPOSE_B: transposeB, ...tile.constants },
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
    buffers,
    workgroups: [columns, rows, batches * chunks],
  };
}

function productOf({ inputs, params }: KernelContext<Matmul>): Product {
  const sizes = matmulSizes(inputs, params);
  const { transposeA, transposeB } = params;
  // Batches that share b are rows of one tall product.
  if (sizes.sharedB && !transposeA)
    return { ...sizes, transposeA, transposeB, batches: 1, m: sizes.batches * sizes.m, sharedB: false };
  return { ...sizes, transposeA, transposeB };
}

function padMatrices(context: KernelContext<Matmul>): KernelContext<Matmul> {
  const inputs = context.inputs.map(({ shape }) => f32(roundUp(shape, 2)));
  return { ...context, inputs, outputs: context.outputs.map(({ shape }) => f32(roundUp(shape, 2))) };
}

const naive: Kernel<Matmul> = {
  name: 'naive',
  commands(context) {
    const { batches, m, n, k, sharedA, sharedB, transposeA, transposeB }: Product = productOf(context);
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

export function matmulKernelsOf(among: readonly Family[]): Kernel<Matmul>[] {
  const tuned = among.map((family) => productKernel(family, family.name, productOf));
  return [...tuned, ...tuned.map((kernel) => padded(kernel, padMatrices)), naive];
}
