/** Kernel variants of the filter gradient of depthwise convolutions: sums over all output pixels, in parts. */
import naiveSource from '../../shaders/depthwise_filter_grad_naive.wgsl';
import tapsSource from '../../shaders/depthwise_filter_grad_taps.wgsl';
import windowSource from '../../shaders/depthwise_filter_grad_window.wgsl';
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
import { BYTES_PER_ELEMENT, sizeOf } from '../types.js';
import type { ConvFilterGrad } from './conv_geometry.js';
import { type DepthwiseSizes, filterGradSizes } from './depthwise_geometry.js';
import { fitsWindow, lanesOf, naive, stripsOf } from './depthwise_strips.js';
import { sumPartials } from './product_families.js';

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
      return counts.map((count) => count * size * BYTES_PER_ELEMENT.f32);
    },
    commands(context) {
      const { s, parts, group, groups, size } = stagesOf(context);
      const { adapter } = context;
      if (parts === 1) return [first(s, adapter, output(0))];
      if (groups === 1) return [first(s, adapter, scratch(0)), sumPartials(size, parts, scratch(0), output(0))];
      return [
        first(s, adapter, scratch(0)),
        sumPartials(size, parts, scratch(0), scratch(1), { group }),
        sumPartials(size, groups, scratch(1), output(0)),
      ];
    },
  };
}

/**
 * Rows of the longest strip. Longer than those of a convolution on a GPU: the nine sums of a strip are more than half of
 * what 4 rows of 4 columns hold.
 */
const longestStrip = ({ cpu }: AdapterFacts) => (cpu ? 32 : 8);

const byWindow = inParts(
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
      source: windowSource,
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

const byTaps = inParts(
  'taps',
  ({ multiplier }) => multiplier === 1,
  ({ batches, out_h }) => Math.ceil((batches * out_h) / CHUNK),
  (s, _, partials) => {
    const { channels, V } = lanesOf(s);
    const { batches, in_c: _in, out_c: _out, multiplier: _multiplier, ...extents } = s;
    const rows = batches * s.out_h;
    const count = Math.ceil(rows / CHUNK) * s.kernel_h * s.kernel_w * channels;
    return {
      source: tapsSource,
      constants: { V },
      uniforms: { ...extents, count, channels, rows, chunk: CHUNK },
      buffers: [input(0), input(1), partials],
      workgroups: linearGrid(count, 64),
    };
  },
);

export const filterGradKernels: Kernel<ConvFilterGrad>[] = [byWindow, byTaps, naive(naiveSource, filterGradSizes)];
