/**
 * Kernel variants of depthwise convolutions and their gradients. There is little to compute for each value that is read,
 * so on either kind of adapter the point is to read few values twice. Adapters differ in how much they want to do at once.
 */
import filterGradNaive from '../../shaders/depthwise_filter_grad_naive.wgsl';
import filterGradTaps from '../../shaders/depthwise_filter_grad_taps.wgsl';
import filterGradWindow from '../../shaders/depthwise_filter_grad_window.wgsl';
import inputGradNaive from '../../shaders/depthwise_input_grad_naive.wgsl';
import forwardNaive from '../../shaders/depthwise_naive.wgsl';
import tapsSource from '../../shaders/depthwise_taps.wgsl';
import windowSource from '../../shaders/depthwise_window.wgsl';
import {
  type AdapterFacts,
  type BufferRef,
  type Dispatch,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  output,
  scratch,
} from '../op.js';
import { BYTES_PER_ELEMENT, sizeOf, type TensorType } from '../types.js';
import type { Conv, ConvFilterGrad, ConvInputGrad } from './conv_geometry.js';
import { backwardLattices, forwardLattices } from './conv_lattice.js';
import { type DepthwiseSizes, filterGradSizes, forwardSizes, inputGradSizes } from './depthwise_geometry.js';
import { sumPartials } from './product_families.js';

type SizesOf<P> = (inputs: readonly TensorType[], params: P) => DepthwiseSizes;

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

/** Channels an invocation takes, and the type of its values. Neighbouring invocations take neighbouring channels. */
function lanesOf({ in_c }: DepthwiseSizes) {
  return in_c % 4 === 0 ? { channels: in_c / 4, V: 'vec4f' } : { channels: in_c, V: 'f32' };
}

/**
 * Longest strip of rows: what a software adapter reads again where strips meet costs it most, a GPU needs many
 * invocations to be busy.
 */
const longestStrip = ({ cpu }: AdapterFacts) => (cpu ? 32 : 4);

/** Width of a strip. */
const COLUMNS = 4;

/** The strips that cover an image, within the phases of its dilation; those along an axis are about equally long. */
function stripsOf(height: number, width: number, s: DepthwiseSizes, longest: number) {
  const phase = Math.ceil(height / s.dilation_h);
  const down = Math.ceil(phase / longest);
  return {
    rows: Math.ceil(phase / down),
    strips_h: down * s.dilation_h,
    strips_w: Math.ceil(Math.ceil(width / s.dilation_w) / COLUMNS) * s.dilation_w,
    step_h: s.dilation_h,
    step_w: s.dilation_w,
  };
}

/** Whether strips know this convolution: 3x3, of stride 1 with any dilation, or of stride 2 without. */
function fitsWindow(s: DepthwiseSizes): boolean {
  if (s.kernel_h !== 3 || s.kernel_w !== 3 || s.multiplier !== 1 || s.stride_h !== s.stride_w) return false;
  return s.stride_h === 1 || (s.stride_h === 2 && s.dilation_h === 1 && s.dilation_w === 1);
}

/** A 3x3 convolution, or its input gradient at stride 1, by strips that read every row once. */
function window<P>(sizesOf: SizesOf<P>, backward: boolean): Kernel<P> {
  return {
    name: 'window',
    when({ inputs, params }) {
      const s = sizesOf(inputs, params);
      return fitsWindow(s) && (s.stride_h === 1 || !backward);
    },
    commands({ inputs, params, adapter }) {
      const s = sizesOf(inputs, params);
      const small = { h: s.out_h, w: s.out_w };
      const large = { h: s.in_h, w: s.in_w };
      const [from, to] = backward ? [small, large] : [large, small];
      const { channels, V } = lanesOf(s);
      const strips = stripsOf(to.h, to.w, s, longestStrip(adapter));
      const count = s.batches * strips.strips_h * strips.strips_w * channels;
      return [
        {
          source: windowSource,
          constants: { V, STRIDE: s.stride_h },
          uniforms: {
            ...{ count, channels, ...strips },
            ...{ from_h: from.h, from_w: from.w, to_h: to.h, to_w: to.w },
            // Backward, the taps in reverse order reach from padding - 2 * dilation to padding.
            origin_row: backward ? s.pad_top - 2 * s.dilation_h : -s.pad_top,
            origin_column: backward ? s.pad_left - 2 * s.dilation_w : -s.pad_left,
            first_tap: backward ? 8 : 0,
            tap_step: backward ? -1 : 1,
          },
          buffers: [input(0), input(1), output(0)],
          workgroups: linearGrid(count, 64),
        },
      ];
    },
  };
}

/** Any convolution of one filter a channel, or its input gradient, tap by tap. */
function taps<P>(sizesOf: SizesOf<P>, backward: boolean): Kernel<P> {
  return {
    name: 'taps',
    when: ({ inputs, params }) => sizesOf(inputs, params).multiplier === 1,
    commands({ inputs, params }) {
      const s = sizesOf(inputs, params);
      const small = { h: s.out_h, w: s.out_w };
      const large = { h: s.in_h, w: s.in_w };
      const [from, to] = backward ? [small, large] : [large, small];
      const { channels, V } = lanesOf(s);
      return (backward ? backwardLattices(s) : forwardLattices(s)).map(({ uniforms }): Dispatch => {
        const count = s.batches * uniforms.rows! * Math.ceil(uniforms.columns! / COLUMNS) * channels;
        return {
          source: tapsSource,
          constants: { V },
          uniforms: { ...uniforms, count, channels, from_h: from.h, from_w: from.w, to_h: to.h, to_w: to.w },
          buffers: [input(0), input(1), output(0)],
          workgroups: linearGrid(count, 64),
        };
      });
    },
  };
}

/** More partial results than this are summed in two stages, of about as many terms each. */
const PARTS_AT_ONCE = 256;

/** A filter gradient as the sum of `partsOf` partial ones, which the dispatch that `first` gives writes to a buffer. */
function inParts(
  name: string,
  fits: (s: DepthwiseSizes) => boolean,
  partsOf: (s: DepthwiseSizes, adapter: AdapterFacts) => number,
  first: (s: DepthwiseSizes, adapter: AdapterFacts, partials: BufferRef) => Dispatch,
): Kernel<ConvFilterGrad> {
  const stagesOf = ({ inputs, params, adapter }: KernelContext<ConvFilterGrad>) => {
    const s = filterGradSizes(inputs, params);
    const parts = partsOf(s, adapter);
    const group = parts > PARTS_AT_ONCE ? Math.ceil(Math.sqrt(parts)) : parts;
    return { s, parts, group, groups: Math.ceil(parts / group), size: sizeOf(params.filterShape) };
  };
  return {
    name,
    when: ({ inputs, params }) => fits(filterGradSizes(inputs, params)),
    scratch(context) {
      const { parts, groups, size } = stagesOf(context);
      const counts = parts === 1 ? [] : groups === 1 ? [parts] : [parts, groups];
      return counts.map((count) => count * size * BYTES_PER_ELEMENT);
    },
    commands(context) {
      const { s, parts, group, groups, size } = stagesOf(context);
      const { adapter } = context;
      if (parts === 1) return [first(s, adapter, output(0))];
      if (groups === 1) return [first(s, adapter, scratch(0)), sumPartials(size, parts, scratch(0), output(0))];
      return [
        first(s, adapter, scratch(0)),
        sumPartials(size, parts, scratch(0), scratch(1), group),
        sumPartials(size, groups, scratch(1), output(0)),
      ];
    },
  };
}

const filterGradByWindow = inParts(
  'window',
  fitsWindow,
  (s, adapter) => {
    const { strips_h, strips_w } = stripsOf(s.out_h, s.out_w, s, longestStrip(adapter));
    return s.batches * strips_h * strips_w;
  },
  (s, adapter, partials) => {
    const { channels, V } = lanesOf(s);
    const strips = stripsOf(s.out_h, s.out_w, s, longestStrip(adapter));
    const { in_h, in_w, out_h, out_w } = s;
    const count = s.batches * strips.strips_h * strips.strips_w * channels;
    return {
      source: filterGradWindow,
      constants: { V, STRIDE: s.stride_h },
      uniforms: {
        ...{ count, channels, ...strips, in_h, in_w, out_h, out_w },
        origin_row: -s.pad_top,
        origin_column: -s.pad_left,
      },
      buffers: [input(0), input(1), partials],
      workgroups: linearGrid(count, 64),
    };
  },
);

/** Output rows that an invocation of the filter gradient sums one tap over. */
const CHUNK = 8;

const filterGradByTaps = inParts(
  'taps',
  ({ multiplier }) => multiplier === 1,
  ({ batches, out_h }) => Math.ceil((batches * out_h) / CHUNK),
  (s, _, partials) => {
    const { channels, V } = lanesOf(s);
    const { batches, in_c: _in, out_c: _out, multiplier: _multiplier, ...extents } = s;
    const rows = batches * s.out_h;
    const count = Math.ceil(rows / CHUNK) * s.kernel_h * s.kernel_w * channels;
    return {
      source: filterGradTaps,
      constants: { V },
      uniforms: { ...extents, count, channels, rows, chunk: CHUNK },
      buffers: [input(0), input(1), partials],
      workgroups: linearGrid(count, 64),
    };
  },
);

export const forwardKernels: Kernel<Conv>[] = [
  window(forwardSizes, false),
  taps(forwardSizes, false),
  naive(forwardNaive, forwardSizes),
];
export const inputGradKernels: Kernel<ConvInputGrad>[] = [
  window(inputGradSizes, true),
  taps(inputGradSizes, true),
  naive(inputGradNaive, inputGradSizes),
];
export const filterGradKernels: Kernel<ConvFilterGrad>[] = [
  filterGradByWindow,
  filterGradByTaps,
  naive(filterGradNaive, filterGradSizes),
];
