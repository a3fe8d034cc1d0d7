/** Kernel variants of convolutions and their gradients. */
import {
  type AdapterFacts,
  type BufferRef,
  type Dispatch,
  type Epilogue,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  output,
  scratch,
} from '../op.js';
import { BYTES_PER_ELEMENT, sizeOf, type TensorType } from '../types.js';
import {
  type Conv,
  type ConvFilterGrad,
  type ConvInputGrad,
  type ConvSizes,
  conv2dSizes,
  filterGradSizes,
  inputGradSizes,
} from './conv_geometry.js';
import { backwardLattices, forwardLattices, type Lattice } from './conv_lattice.js';
import { winograd, winogradFilterGrad } from './conv_winograd.js';
import { type Product, productKernel } from './matmul_kernels.js';
import { padded, roundUp, roundUpShape } from './padded.js';
import { type Family, layoutFor, sumPartials, takesMoments, tuningOf } from './product_families.js';
import { type Layout, layoutOf, type ProductShape } from './product_layouts.js';
import { withMoments } from './product_moments.js';
import { hasHalves, type Stored, storedIn1s, storedOf, wordsOf } from './stored.js';

type SizesOf<P> = (inputs: readonly TensorType[], params: P) => ConvSizes;

/** One invocation an element of the output. `names` are the operands' in the shader. */
function naive<P>(
  op: 'conv2d' | 'conv2dInputGrad' | 'conv2dFilterGrad',
  sizesOf: SizesOf<P>,
  names: readonly [string, string],
): Kernel<P> {
  return {
    name: 'naive',
    commands({ inputs, outputs, params }) {
      const stored = storedOf({ inputs, outputs });
      const words = wordsOf(stored.c, sizeOf(outputs[0]!.shape));
      return [
        {
          source: async () => (await import('./naive_shaders.js'))[op],
          constants: storedIn1s(stored, ...names),
          uniforms: { words, ...sizesOf(inputs, params) },
          buffers: [input(0), input(1), output(0)],
          workgroups: linearGrid(words, 64),
        },
      ];
    },
  };
}

/** A convolution that uses every pixel by itself is a matrix product of pixels and channels. */
function pointwise<P>(family: Family, sizesOf: SizesOf<P>, product: (s: ConvSizes) => Partial<Product>): Kernel<P> {
  return productKernel(family, `pointwise-${family.name}`, ({ inputs, params }) => {
    const s = sizesOf(inputs, params);
    const taps = s.kernel_h * s.kernel_w * s.stride_h * s.stride_w;
    if (taps !== 1 || s.in_h !== s.out_h || s.in_w !== s.out_w) return null;
    const plain = { batches: 1, sharedA: false, sharedB: false, transposeA: false, transposeB: false };
    return { ...plain, m: pixelsOf(s), n: s.out_c, k: s.in_c, ...product(s) };
  });
}

const pixelsOf = (s: ConvSizes) => s.batches * s.out_h * s.out_w;
const channelsInVec4s = (s: ConvSizes) => s.in_c % 4 === 0 && s.out_c % 4 === 0;

/** A convolution or its input gradient as implicit matrix products of the pixels of lattices and channels. */
function gather<P>(family: Family, sizesOf: SizesOf<P>, backward: boolean): Kernel<P> {
  const planOf = (context: KernelContext<P>) => {
    const s = sizesOf(context.inputs, context.params);
    const small = { h: s.out_h, w: s.out_w, c: s.out_c };
    const large = { h: s.in_h, w: s.in_w, c: s.in_c };
    const [from, to] = backward ? [small, large] : [large, small];
    const lattices = backward ? backwardLattices(s) : forwardLattices(s);
    const shape: ProductShape = {
      op: 'conv2d',
      rows: Math.max(...lattices.map(({ pixels }) => pixels)),
      columns: to.c,
      length: Math.max(...lattices.map(({ taps }) => taps)) * from.c,
      batches: 1,
      splits: family.splitsConvolutions,
      halves: hasHalves(storedOf(context)),
    };
    return { from, to, lattices, shape, size: s.batches * to.h * to.w * to.c };
  };
  const dispatches = (
    { from, to, lattices }: ReturnType<typeof planOf>,
    { tile, chunks }: Layout,
    stored: Stored,
    result: BufferRef,
    adapter: AdapterFacts,
    { source, parameters }: Pick<Family, 'source' | 'parameters'> = family,
  ): Dispatch[] =>
    lattices.map(({ pixels, taps, uniforms }: Lattice) => {
      // Every lattice has as many parts, for all of them are summed at once; shorter ones of zeros, if need be.
      const { chunk } = layoutOf(tile, taps * from.c, chunks, family.step);
      return {
        source: source('conv2d', adapter),
        constants: { TRANSPOSE: backward, ...parameters(stored, adapter), ...tile.constants },
        uniforms: {
          ...uniforms,
          from_h: from.h,
          from_w: from.w,
          from_c4: from.c / 4,
          to_h: to.h,
          to_w: to.w,
          to_c4: to.c / 4,
          ...(family.splitsConvolutions ? { chunk } : {}),
        },
        buffers: [input(0), input(1), result],
        workgroups: [Math.ceil(to.c / tile.columns), Math.ceil(pixels / tile.rows), chunks],
      };
    });
  const moments: Epilogue<P> = {
    passes(context) {
      const { adapter } = context;
      const plan = planOf(context);
      const layout = layoutFor(family, plan.shape, adapter);
      if (!takesMoments(family, layout, adapter)) return null;
      // Forward there is one lattice, whose pixels are the result's in their order.
      const [dispatch] = dispatches(plan, layout, storedOf(context), output(0), adapter, family.moments);
      return withMoments(dispatch!, { ...plan.shape, chunk: layout.tile.rows });
    },
  };
  return {
    name: family.name,
    needs: family.needs,
    when: ({ adapter, inputs, params }) =>
      family.suits({ adapter, inputs }) && channelsInVec4s(sizesOf(inputs, params)),
    scratch(context) {
      const { shape, size } = planOf(context);
      const { chunks } = layoutFor(family, shape, context.adapter);
      return chunks === 1 ? [] : [chunks * size * BYTES_PER_ELEMENT.f32];
    },
    commands(context) {
      const { adapter } = context;
      const stored = storedOf(context);
      const plan = planOf(context);
      const layout = layoutFor(family, plan.shape, adapter);
      if (layout.chunks === 1) return dispatches(plan, layout, stored, output(0), adapter);
      return [
        ...dispatches(plan, layout, { ...stored, c: 'f32' }, scratch(0), adapter),
        sumPartials(plan.size, layout.chunks, scratch(0), output(0), { dtype: stored.c }),
      ];
    },
    ...(family.moments && !backward ? { epilogues: { moments } } : {}),
    tuning: (context) => tuningOf(family, planOf(context).shape, context.adapter),
  };
}

/** The filter gradient as an implicit matrix product whose sum runs over the output pixels. */
function scatter(family: Family): Kernel<ConvFilterGrad> {
  const shapeOf = (context: KernelContext<ConvFilterGrad>): ProductShape => {
    const s = filterGradSizes(context.inputs, context.params);
    return {
      op: 'filterGrad',
      rows: s.kernel_h * s.kernel_w * s.in_c,
      columns: s.out_c,
      length: pixelsOf(s),
      batches: 1,
      splits: true,
      halves: hasHalves(storedOf(context)),
    };
  };
  return {
    name: family.name,
    needs: family.needs,
    when: ({ adapter, inputs, params }) =>
      family.suits({ adapter, inputs }) && channelsInVec4s(filterGradSizes(inputs, params)),
    scratch(context) {
      const { chunks } = layoutFor(family, shapeOf(context), context.adapter);
      return chunks === 1 ? [] : [chunks * sizeOf(context.params.filterShape) * BYTES_PER_ELEMENT.f32];
    },
    commands(context) {
      const { adapter, inputs, params } = context;
      const s = filterGradSizes(inputs, params);
      const shape = shapeOf(context);
      const { tile, chunk, chunks } = layoutFor(family, shape, adapter);
      const { batches: _, in_c, out_c, ...extents } = s;
      const split = chunks > 1;
      const dispatch: Dispatch = {
        source: family.source('filterGrad', adapter),
        constants: { ...family.parameters(storedOf(context), adapter), ...tile.constants },
        uniforms: { ...extents, in_c4: in_c / 4, out_c4: out_c / 4, pixels: pixelsOf(s), chunk },
        buffers: [input(0), input(1), split ? scratch(0) : output(0)],
        workgroups: [Math.ceil(shape.columns / tile.columns), Math.ceil(shape.rows / tile.rows), chunks],
      };
      return split ? [dispatch, sumPartials(sizeOf(params.filterShape), chunks, scratch(0), output(0))] : [dispatch];
    },
    tuning: (context) => tuningOf(family, shapeOf(context), context.adapter),
  };
}

const image = (type: TensorType) => roundUp(type, 1);
const filter = (type: TensorType) => roundUp(type, 2);

/** The kernels of some families, for channels as they are and padded to multiples of 4, then the naive one. */
function variants<P>(
  among: readonly Family[],
  kernelsOf: (family: Family) => Kernel<P>[],
  pad: (context: KernelContext<P>) => KernelContext<P>,
  fallback: Kernel<P>,
): Kernel<P>[] {
  const tuned = among.flatMap(kernelsOf);
  return [...tuned, ...tuned.map((kernel) => padded(kernel, pad)), fallback];
}

export const conv2dKernelsOf = (among: readonly Family[]): Kernel<Conv>[] =>
  variants(
    among,
    (family) => [
      pointwise(family, conv2dSizes, () => ({})),
      ...winograd(family, conv2dSizes, false),
      gather(family, conv2dSizes, false),
    ],
    (context) => ({
      ...context,
      inputs: [image(context.inputs[0]!), filter(context.inputs[1]!)],
      outputs: [image(context.outputs[0]!)],
    }),
    naive('conv2d', conv2dSizes, ['x', 'filter_']),
  );

export const inputGradKernelsOf = (among: readonly Family[]): Kernel<ConvInputGrad>[] =>
  variants(
    among,
    (family) => [
      pointwise(family, inputGradSizes, (s) => ({ n: s.in_c, k: s.out_c, transposeB: true })),
      ...winograd(family, inputGradSizes, true),
      gather(family, inputGradSizes, true),
    ],
    (context) => ({
      ...context,
      inputs: [image(context.inputs[0]!), filter(context.inputs[1]!)],
      outputs: [image(context.outputs[0]!)],
      params: { ...context.params, inputShape: roundUpShape(context.params.inputShape, 1) },
    }),
    naive('conv2dInputGrad', inputGradSizes, ['dy', 'filter_']),
  );

export const filterGradKernelsOf = (among: readonly Family[]): Kernel<ConvFilterGrad>[] =>
  variants(
    among,
    (family) => [
      pointwise(family, filterGradSizes, (s) => ({ m: s.in_c, k: pixelsOf(s), transposeA: true })),
      ...winogradFilterGrad(family),
      scatter(family),
    ],
    (context) => ({
      ...context,
      inputs: context.inputs.map(image),
      outputs: [filter(context.outputs[0]!)],
      params: { ...context.params, filterShape: roundUpShape(context.params.filterShape, 2) },
    }),
    naive('conv2dFilterGrad', filterGradSizes, ['x', 'dy']),
  );
