/** Kernel variants of matrix products, also used by the convolutions that are one. */
import {
  type AdapterFacts,
  type BufferRef,
  type Dispatch,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  output,
  type Passes,
  scratch,
} from '../op.js';
import type { Tuning } from '../tuning.js';
import { BYTES_PER_ELEMENT, type TensorType } from '../types.js';
import { type Matmul, matmulSizes } from './matmul_geometry.js';
import { padded, roundUp } from './padded.js';
import { type Family, layoutFor, sumPartials, takesMoments, tuningOf } from './product_families.js';
import type { Layout, ProductShape } from './product_layouts.js';
import { withMoments } from './product_moments.js';
import { ALL_F32, hasHalves, type Stored, storedIn1s, storedOf, wordsOf } from './stored.js';

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
      const product = family.suits(context) ? productOf(context) : null;
      return product !== null && inVec4s(product);
    },
    scratch(context) {
      const product = productOf(context)!;
      const { chunks } = layoutFor(family, shapeOf(product, storedOf(context)), context.adapter);
      return chunks === 1 ? [] : [chunks * product.batches * product.m * product.n * BYTES_PER_ELEMENT.f32];
    },
    commands: (context) => multiply(family, productOf(context)!, storedOf(context), context.adapter),
    ...(family.moments && {
      epilogues: { moments: { passes: (context) => multiplyWithMoments(family, productOf(context)!, context) } },
    }),
    tuning: (context) => tuningOf(family, shapeOf(productOf(context)!, storedOf(context)), context.adapter),
  };
}

/** Whether the rows of every operand, as stored, are multiples of 4. */
function inVec4s({ m, n, k, transposeA, transposeB }: Product): boolean {
  const rowOfA = transposeA ? m : k;
  const rowOfB = transposeB ? k : n;
  return n % 4 === 0 && rowOfA % 4 === 0 && rowOfB % 4 === 0;
}

function shapeOf({ batches, m, n, k }: Product, stored: Stored, splits = true): ProductShape {
  return { op: 'matmul', rows: m, columns: n, length: k, batches, splits, halves: hasHalves(stored) };
}

/** A product of f32 from and to other buffers than an op's own, for kernels that are made around one. */
export interface InnerProduct {
  /** Of its sum: the result is [parts, batches, m, n]. */
  readonly parts: number;
  readonly tuning: readonly Tuning[];
  /** From and to [a, b, c]. */
  dispatch(buffers: readonly BufferRef[]): Dispatch;
}

export function innerProduct(
  family: Family,
  product: Product,
  adapter: AdapterFacts,
  { splits }: { readonly splits: boolean },
): InnerProduct {
  const shape = shapeOf(product, ALL_F32, splits);
  const layout = layoutFor(family, shape, adapter);
  return {
    parts: layout.chunks,
    tuning: tuningOf(family, shape, adapter),
    dispatch: (buffers) => dispatchOf(family, product, layout, buffers, ALL_F32, adapter),
  };
}

function multiply(family: Family, product: Product, stored: Stored, adapter: AdapterFacts): Dispatch[] {
  const layout = layoutFor(family, shapeOf(product, stored), adapter);
  if (layout.chunks === 1)
    return [dispatchOf(family, product, layout, [input(0), input(1), output(0)], stored, adapter)];
  return [
    dispatchOf(family, product, layout, [input(0), input(1), scratch(0)], { ...stored, c: 'f32' }, adapter),
    sumPartials(product.batches * product.m * product.n, layout.chunks, scratch(0), output(0), { dtype: stored.c }),
  ];
}

/** The product and the moments of its columns; null for several products, and for a sum in parts. */
function multiplyWithMoments(family: Family, product: Product, context: KernelContext<unknown>): Passes | null {
  const { adapter } = context;
  const stored = storedOf(context);
  const layout = layoutFor(family, shapeOf(product, stored), adapter);
  if (product.batches > 1 || !takesMoments(family, layout, adapter)) return null;
  const buffers = [input(0), input(1), output(0)];
  const dispatch = dispatchOf(family, product, layout, buffers, stored, adapter, family.moments);
  return withMoments(dispatch, { rows: product.m, columns: product.n, chunk: layout.tile.rows });
}

function dispatchOf(
  family: Family,
  { batches, m, n, k, sharedA, sharedB, transposeA, transposeB }: Product,
  { tile, chunk, chunks }: Layout,
  buffers: readonly BufferRef[],
  stored: Stored,
  adapter: AdapterFacts,
  { source, parameters }: Pick<Family, 'source' | 'parameters'> = family,
): Dispatch {
  return {
    source: source('matmul', adapter),
    constants: {
      TRANSPOSE_A: transposeA,
      TRANSPOSE_B: transposeB,
      ...parameters(stored, adapter),
      ...tile.constants,
    },
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
    workgroups: [Math.ceil(n / tile.columns), Math.ceil(m / tile.rows), batches * chunks],
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
  const up = (type: TensorType) => roundUp(type, 2);
  return { ...context, inputs: context.inputs.map(up), outputs: context.outputs.map(up) };
}

const naive: Kernel<Matmul> = {
  name: 'naive',
  commands(context) {
    const { batches, m, n, k, sharedA, sharedB, transposeA, transposeB }: Product = productOf(context);
    const stored = storedOf(context);
    const words = wordsOf(stored.c, batches * m * n);
    return [
      {
        source: async () => (await import('./naive_shaders.js')).matmul,
        constants: storedIn1s(stored, 'a', 'b'),
        uniforms: {
          words,
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
        workgroups: linearGrid(words, 64),
      },
    ];
  },
};

export function matmulKernelsOf(among: readonly Family[]): Kernel<Matmul>[] {
  const tuned = among.map((family) => productKernel(family, family.name, productOf));
  return [...tuned, ...tuned.map((kernel) => padded(kernel, padMatrices)), naive];
}
