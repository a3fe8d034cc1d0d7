/**
 * Kernel variants of depthwise convolutions and of their input gradients. There is little to compute for each value that is
 * read, so on either kind of adapter the point is to read few values twice. Adapters differ in how much they want to do at once.
 */
import inputGradNaive from '../../shaders/depthwise_input_grad_naive.wgsl';
import inputGradStride2 from '../../shaders/depthwise_input_grad_stride2.wgsl';
import forwardNaive from '../../shaders/depthwise_naive.wgsl';
import tapsSource from '../../shaders/depthwise_taps.wgsl';
import windowSource from '../../shaders/depthwise_window.wgsl';
import { type AdapterFacts, type Dispatch, input, type Kernel, linearGrid, output } from '../op.js';
import type { Conv, ConvInputGrad } from './conv_geometry.js';
import { backwardLattices, forwardLattices } from './conv_lattice.js';
import { forwardSizes, inputGradSizes } from './depthwise_geometry.js';
import { COLUMNS, fitsWindow, lanesOf, naive, type SizesOf, stripsOf } from './depthwise_strips.js';

/**
 * Rows of the longest strip: what a software adapter reads again where strips meet costs it most, a GPU needs many
 * invocations to be busy.
 */
const longestStrip = ({ cpu }: AdapterFacts) => (cpu ? 32 : 4);

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

/** The input gradient of a 3x3 convolution of stride 2, by strips too: two rows of dx for each of dy. */
const inputGradAtStride2: Kernel<ConvInputGrad> = {
  name: 'window-stride2',
  when({ inputs, params }) {
    const s = inputGradSizes(inputs, params);
    return fitsWindow(s) && s.stride_h === 2;
  },
  commands({ inputs, params, adapter }) {
    const s = inputGradSizes(inputs, params);
    const { in_h, in_w, out_h, out_w, pad_top, pad_left } = s;
    const { channels, V } = lanesOf(s);
    const halves = (extent: number, zeros: number) => Math.ceil((extent + (zeros % 2)) / 2);
    const strips = stripsOf(halves(in_h, pad_top), 2 * halves(in_w, pad_left), s, longestStrip(adapter));
    const { rows, strips_h, strips_w } = strips;
    const count = s.batches * strips_h * strips_w * channels;
    return [
      {
        source: inputGradStride2,
        constants: { V },
        uniforms: {
          ...{ count, channels, in_h, in_w, out_h, out_w, strips_h, strips_w, rows, pad_top, pad_left },
          first_row: Math.floor(pad_top / 2),
          first_column: Math.floor(pad_left / 2),
        },
        buffers: [input(0), input(1), output(0)],
        workgroups: linearGrid(count, 64),
      },
    ];
  },
};

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

export const forwardKernels: Kernel<Conv>[] = [
  window(forwardSizes, false),
  taps(forwardSizes, false),
  naive(forwardNaive, forwardSizes),
];
export const inputGradKernels: Kernel<ConvInputGrad>[] = [
  window(inputGradSizes, true),
  inputGradAtStride2,
  taps(inputGradSizes, true),
  naive(inputGradNaive, inputGradSizes),
];
