/** Kernel variants of convolutions and their gradients. */
import filterGradNaiveSource from '../../shaders/conv2d_filter_grad_naive.wgsl';
import filterGradQuadsSource from '../../shaders/conv2d_filter_grad_quads.wgsl';
import inputGradNaiveSource from '../../shaders/conv2d_input_grad_naive.wgsl';
import conv2dNaiveSource from '../../shaders/conv2d_naive.wgsl';
import quadsSource from '../../shaders/conv2d_quads.wgsl';
import { type Dispatch, input, type Kernel, type KernelContext, linearGrid, output, scratch } from '../op.js';
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
import { type Product, quadsFit, quadsProduct, quadsScratch, splitSum, sumPartials } from './matmul_kernels.js';

type SizesOf<P> = (inputs: readonly TensorType[], params: P) => ConvSizes;

/** One invocation an element of the output. */
function naive<P>(source: string, sizesOf: SizesOf<P>): Kernel<P> {
  return {
    name: 'naive',
    commands: ({ inputs, outputs, params }: KernelContext<P>) => [
      {
        source,
        uniforms: { ...sizesOf(inputs, params) },
        buffers: [input(0), input(1), output(0)],
        workgroups: linearGrid(sizeOf(outputs[0]!.shape), 64),
      },
    ],
  };
}

/** Whether the convolution uses every pixel by itself: then it is a matrix product of pixels and channels. */
function isPointwise(s: ConvSizes): boolean {
  const taps = s.kernel_h * s.kernel_w;
  return taps === 1 && s.stride_h * s.stride_w === 1 && s.in_h === s.out_h && s.in_w === s.out_w;
}

/** A convolution that is a matrix product, by the kernel for those. */
function pointwiseQuads<P>(sizesOf: SizesOf<P>, productOf: (s: ConvSizes) => Product): Kernel<P> {
  const product = ({ inputs, params }: KernelContext<P>) => productOf(sizesOf(inputs, params));
  return {
    name: 'pointwise-quads',
    needs: ['subgroups'],
    when: (context) =>
      context.adapter.cpu && isPointwise(sizesOf(context.inputs, context.params)) && quadsFit(product(context)),
    scratch: (context) => quadsScratch(product(context)),
    commands: (context) => quadsProduct(product(context), input(0), input(1)),
  };
}

const single = { batches: 1, sharedA: false, sharedB: false, transposeA: false, transposeB: false };
const pixelsOf = (s: ConvSizes) => s.batches * s.out_h * s.out_w;
const conv2dProduct = (s: ConvSizes): Product => ({ ...single, m: pixelsOf(s), n: s.out_c, k: s.in_c });
const inputGradProduct = (s: ConvSizes): Product => ({
  ...single,
  m: pixelsOf(s),
  n: s.in_c,
  k: s.out_c,
  transposeB: true,
});
const filterGradProduct = (s: ConvSizes): Product => ({
  ...single,
  m: s.in_c,
  n: s.out_c,
  k: pixelsOf(s),
  transposeA: true,
});

const TILE_ROWS = 64;
const tileColumns = (channels: number) => (channels > 16 ? 32 : 16);
const channelsFit = (s: ConvSizes) => s.in_c % 4 === 0 && s.out_c % 4 === 0;

/** Implicit matrix product without memory or barriers between invocations, for software adapters. */
function quads<P>(sizesOf: SizesOf<P>, backward: boolean): Kernel<P> {
  return {
    name: 'quads',
    needs: ['subgroups'],
    when: ({ adapter, inputs, params }) => adapter.cpu && channelsFit(sizesOf(inputs, params)),
    commands({ inputs, params }) {
      const s = sizesOf(inputs, params);
      const { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left } = s;
      const small = { h: s.out_h, w: s.out_w, c: s.out_c };
      const large = { h: s.in_h, w: s.in_w, c: s.in_c };
      const [to, from] = backward ? [large, small] : [small, large];
      const classes = backward ? [stride_h, stride_w] : [1, 1];
      // Of the class with the most pixels.
      const pixels = s.batches * Math.ceil(to.h / classes[0]!) * Math.ceil(to.w / classes[1]!);
      return [
        {
          source: quadsSource,
          constants: { BACKWARD: backward, WIDE: tileColumns(to.c) === 32 },
          uniforms: {
            batches: s.batches,
            to_h: to.h,
            to_w: to.w,
            to_c4: to.c / 4,
            from_h: from.h,
            from_w: from.w,
            from_c4: from.c / 4,
            ...{ kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left },
          },
          buffers: [input(0), input(1), output(0)],
          workgroups: [Math.ceil(to.c / tileColumns(to.c)), Math.ceil(pixels / TILE_ROWS), classes[0]! * classes[1]!],
        },
      ];
    },
  };
}

function filterGradPlan(s: ConvSizes) {
  const columns = Math.ceil(s.out_c / tileColumns(s.out_c));
  const rows = Math.ceil((s.kernel_h * s.kernel_w * s.in_c) / TILE_ROWS);
  return { columns, rows, ...splitSum(pixelsOf(s), columns * rows, 32, 256, 4) };
}

const filterGradQuads: Kernel<ConvFilterGrad> = {
  name: 'quads',
  needs: ['subgroups'],
  when: ({ adapter, inputs, params }) => adapter.cpu && channelsFit(filterGradSizes(inputs, params)),
  scratch({ inputs, outputs, params }) {
    const { chunks } = filterGradPlan(filterGradSizes(inputs, params));
    return chunks === 1 ? [] : [chunks * sizeOf(outputs[0]!.shape) * BYTES_PER_ELEMENT];
  },
  commands({ inputs, outputs, params }) {
    const s = filterGradSizes(inputs, params);
    const { columns, rows, chunk, chunks } = filterGradPlan(s);
    const { batches: _, in_c, out_c, ...extents } = s;
    const multiply: Dispatch = {
      source: filterGradQuadsSource,
      constants: { WIDE: tileColumns(out_c) === 32 },
      uniforms: { ...extents, in_c4: in_c / 4, out_c4: out_c / 4, pixels: pixelsOf(s), chunk },
      buffers: [input(0), input(1), chunks === 1 ? output(0) : scratch(0)],
      workgroups: [columns, rows, chunks],
    };
    return chunks === 1
      ? [multiply]
      : [multiply, sumPartials(sizeOf(outputs[0]!.shape), chunks, scratch(0), output(0))];
  },
};

export const conv2dKernels: readonly Kernel<Conv>[] = [
  pointwiseQuads(conv2dSizes, conv2dProduct),
  quads(conv2dSizes, false),
  naive(conv2dNaiveSource, conv2dSizes),
];
export const inputGradKernels: readonly Kernel<ConvInputGrad>[] = [
  pointwiseQuads(inputGradSizes, inputGradProduct),
  quads(inputGradSizes, true),
  naive(inputGradNaiveSource, inputGradSizes),
];
export const filterGradKernels: readonly Kernel<ConvFilterGrad>[] = [
  pointwiseQuads(filterGradSizes, filterGradProduct),
  filterGradQuads,
  naive(filterGradNaiveSource, filterGradSizes),
];
