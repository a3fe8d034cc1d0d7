/** Kernel variants of convolutions and their gradients. */
import filterGradNaive from '../../shaders/conv2d_filter_grad_naive.wgsl';
import inputGradNaive from '../../shaders/conv2d_input_grad_naive.wgsl';
import conv2dNaive from '../../shaders/conv2d_naive.wgsl';
import { type Dispatch, input, type Kernel, type KernelContext, linearGrid, output, scratch } from '../op.js';
import { BYTES_PER_ELEMENT, f32, sizeOf, type TensorType } from '../types.js';
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
import { winograd } from './conv_winograd.js';
import { type Product, productKernel } from './matmul_kernels.js';
import { padded, roundUp } from './padded.js';
import { type Family, splitSum, sumPartials } from './product_families.js';

type SizesOf<P> = (inputs: readonly TensorType[], params: P) => ConvSizes;

/** One invocation an element of the output. */
function naive<P>(source: string, sizesOf: SizesOf<P>): Kernel<P> {
  return {
    name: 'naive',
    commands: ({ inputs, outputs, params }) => [
      {
        source,
        uniforms: { ...sizesOf(inputs, params) },
        buffers: [input(0), input(1), output(0)],
        workgroups: linearGrid(sizeOf(outputs[0]!.shape), 64),
      },
    ],
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
  return {
    name: family.name,
    needs: family.needs,
    when: ({ adapter, inputs, params }) => family.suits(adapter) && channelsInVec4s(sizesOf(inputs, params)),
    commands({ inputs, params }) {
      const s = sizesOf(inputs, params);
      const small = { h: s.out_h, w: s.out_w, c: s.out_c };
      const large = { h: s.in_h, w: s.in_w, c: s.in_c };
      const [from, to] = backward ? [small, large] : [large, small];
      const lattices = backward ? backwardLattices(s) : forwardLattices(s);
      return lattices.map(({ pixels, uniforms }: Lattice): Dispatch => {
        const tile = family.tile(pixels, to.c);
        return {
          source: family.sources.conv2d,
          constants: { TRANSPOSE: backward, ...tile.constants },
          uniforms: {
            ...uniforms,
            from_h: from.h,
            from_w: from.w,
            from_c4: from.c / 4,
            to_h: to.h,
            to_w: to.w,
            to_c4: to.c / 4,
          },
          buffers: [input(0), input(1), output(0)],
          workgroups: [Math.ceil(to.c / tile.columns), Math.ceil(pixels / tile.rows)],
        };
      });
    },
  };
}

/** The filter gradient as an implicit matrix product whose sum runs over the output pixels. */
function scatter(family: Family): Kernel<ConvFilterGrad> {
  const planOf = (s: ConvSizes) => {
    const taps = s.kernel_h * s.kernel_w * s.in_c;
    const tile = family.tile(taps, s.out_c);
    const columns = Math.ceil(s.out_c / tile.columns);
    const rows = Math.ceil(taps / tile.rows);
    return { tile, columns, rows, ...splitSum(pixelsOf(s), columns * rows, family.workgroups) };
  };
  return {
    name: family.name,
    needs: family.needs,
    when: ({ adapter, inputs, params }) => family.suits(adapter) && channelsInVec4s(filterGradSizes(inputs, params)),
    scratch({ inputs, params }) {
      const { chunks } = planOf(filterGradSizes(inputs, params));
      return chunks === 1 ? [] : [chunks * sizeOf(params.filterShape) * BYTES_PER_ELEMENT];
    },
    commands({ inputs, params }) {
      const s = filterGradSizes(inputs, params);
      const { tile, columns, rows, chunk, chunks } = planOf(s);
      const { batches: _, in_c, out_c, ...extents } = s;
      const split = chunks > 1;
      const dispatch: Dispatch = {
        source: family.sources.filterGrad,
        constants: tile.constants,
        uniforms: { ...extents, in_c4: in_c / 4, out_c4: out_c / 4, pixels: pixelsOf(s), chunk },
        buffers: [input(0), input(1), split ? scratch(0) : output(0)],
        workgroups: [columns, rows, chunks],
      };
      return split ? [dispatch, sumPartials(sizeOf(params.filterShape), chunks, scratch(0), output(0))] : [dispatch];
    },
  };
}

const image = ({ shape }: TensorType) => f32(roundUp(shape, 1));
const filter = ({ shape }: TensorType) => f32(roundUp(shape, 2));

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
    naive(conv2dNaive, conv2dSizes),
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
      params: { ...context.params, inputShape: roundUp(context.params.inputShape, 1) },
    }),
    naive(inputGradNaive, inputGradSizes),
  );

export const filterGradKernelsOf = (among: readonly Family[]): Kernel<ConvFilterGrad>[] =>
  variants(
    among,
    (family) => [
      pointwise(family, filterGradSizes, (s) => ({ m: s.in_c, k: pixelsOf(s), transposeA: true })),
      scatter(family),
    ],
    (context) => ({
      ...context,
      inputs: context.inputs.map(image),
      outputs: [filter(context.outputs[0]!)],
      params: { ...context.params, filterShape: roundUp(context.params.filterShape, 2) },
    }),
    naive(filterGradNaive, filterGradSizes),
  );
