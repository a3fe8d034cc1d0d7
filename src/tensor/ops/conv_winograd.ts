/**
 * 3x3 convolutions of stride 1 and their gradients by Winograd's minimal filtering (Lavin and Gray, CVPR 2016): cheap
 * transforms around 16 matrix products, which make 16 multiplications where there were 36. F(2x2, 3x3) computes results and
 * input gradients, F(3x3, 2x2) filter gradients: both look at windows of 4 x 4 pixels, 2 apart.
 *
 * A dilated convolution is one of ordinary ones of the images' phases: every dilation-th pixel of a row and column.
 */
import {
  type AdapterFacts,
  type BufferRef,
  type Command,
  type Dispatch,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  output,
  scratch,
} from '../op.js';
import type { Tuning } from '../tuning.js';
import { BYTES_PER_ELEMENT, type TensorType } from '../types.js';
import { type ConvFilterGrad, type ConvSizes, filterGradSizes } from './conv_geometry.js';
import { innerProduct, type Product } from './matmul_kernels.js';
import type { Family } from './product_families.js';
import { reads4, writes4 } from './stored.js';

/** Windows along an axis: as many in each phase as the longest one needs. */
const windowsAlong = (extent: number, dilation: number) => Math.ceil(Math.ceil(extent / dilation) / 2) * dilation;

interface Extents {
  readonly h: number;
  readonly w: number;
  readonly c: number;
}

/** The windows of `from` from which, 2 x 2 pixels each, `to` is computed. */
interface Windows {
  readonly from: Extents;
  readonly to: Extents;
  /** Of all images. */
  readonly count: number;
  /** What all transforms have to know. */
  readonly uniforms: Readonly<Record<'windows_h' | 'windows_w' | 'dilation_h' | 'dilation_w', number>>;
  /** Of the first. */
  readonly origin: Readonly<Record<'origin_row' | 'origin_column', number>>;
}

function windowsOf(s: ConvSizes, backward: boolean): Windows {
  const y = { h: s.out_h, w: s.out_w, c: s.out_c };
  const x = { h: s.in_h, w: s.in_w, c: s.in_c };
  const [from, to] = backward ? [y, x] : [x, y];
  const { dilation_h, dilation_w } = s;
  const windows_h = windowsAlong(to.h, dilation_h);
  const windows_w = windowsAlong(to.w, dilation_w);
  // Backward, the taps in reverse order reach from padding - 2 * dilation to padding.
  const origin_row = backward ? s.pad_top - 2 * dilation_h : -s.pad_top;
  const origin_column = backward ? s.pad_left - 2 * dilation_w : -s.pad_left;
  return {
    ...{ from, to, count: s.batches * windows_h * windows_w },
    uniforms: { windows_h, windows_w, dilation_h, dilation_w },
    origin: { origin_row, origin_column },
  };
}

/** Bytes of 16 values for each channel of each window, or for each pair of channels. */
const bytesFor = (values: number) => 16 * values * BYTES_PER_ELEMENT.f32;

/**
 * More windows, or channels of a filter gradient's input, are transformed in parts: of a head on thousands of channels they would
 * take more than all the rest of the network.
 */
const MOST_BYTES = 2 ** 26;
/** Parts are multiples of this: of any tile's rows. */
const WHOLE_TILES = 128;

interface Range {
  readonly first: number;
  readonly extent: number;
}

/** `count` windows or channels, of which each takes `bytes`, in parts. */
function partsWithin(count: number, bytes: number, { limits }: AdapterFacts): Range[] {
  const most = Math.min(MOST_BYTES, limits.maxStorageBufferBindingSize);
  const fit = Math.max(1, Math.floor(most / bytes / WHOLE_TILES)) * WHOLE_TILES;
  return Array.from({ length: Math.ceil(count / fit) }, (_, i) => ({
    first: i * fit,
    extent: Math.min(fit, count - i * fit),
  }));
}

/** Some channels of some windows of input 0 to 16 values each. */
function transformInput(
  { from, uniforms, origin }: Windows,
  { dtype }: TensorType,
  windows: Range,
  channels: Range,
  to: BufferRef,
): Dispatch {
  return {
    source: async () => (await import('./winograd_shaders.js')).input,
    constants: reads4(dtype, 'StoredA', 'widen_a'),
    uniforms: {
      ...{ first_window: windows.first, windows: windows.extent, ...uniforms },
      ...{ first_c4: channels.first / 4, channels4: channels.extent / 4 },
      ...{ from_h: from.h, from_w: from.w, from_c4: from.c / 4, ...origin },
    },
    buffers: [input(0), to],
    workgroups: linearGrid((windows.extent * channels.extent) / 4, 64),
  };
}

type SizesOf<P> = (inputs: readonly TensorType[], params: P) => ConvSizes;

/** A computation between transforms. */
interface Plan {
  /** Bytes of scratch buffers. */
  readonly scratch: readonly number[];
  readonly commands: readonly Command[];
  readonly tuning: readonly Tuning[];
}

/** A variant, if the family has it. `costOf` gives multiply-adds, and what else takes as long. */
function variant<P>(
  family: Family,
  sizesOf: SizesOf<P>,
  costOf: (s: ConvSizes, transferCost: number) => number,
  planOf: (s: ConvSizes, context: KernelContext<P>) => Plan,
): Kernel<P>[] {
  const { transferCost } = family;
  if (transferCost === undefined) return [];
  const sizes = ({ inputs, params }: KernelContext<P>) => sizesOf(inputs, params);
  const plan = (context: KernelContext<P>) => planOf(sizes(context), context);
  return [
    {
      name: `winograd-${family.name}`,
      needs: family.needs,
      when(context) {
        const s = sizes(context);
        const is3x3 = s.kernel_h === 3 && s.kernel_w === 3 && s.stride_h === 1 && s.stride_w === 1;
        const inVec4s = s.in_c % 4 === 0 && s.out_c % 4 === 0;
        return is3x3 && inVec4s && family.suits(context);
      },
      pays(context) {
        const s = sizes(context);
        return costOf(s, transferCost) < s.batches * s.out_h * s.out_w * 9 * s.in_c * s.out_c;
      },
      scratch: (context) => [...plan(context).scratch],
      commands: (context) => [...plan(context).commands],
      tuning: (context) => plan(context).tuning,
    },
  ];
}

const productOf = (product: Pick<Product, 'm' | 'n' | 'k'> & Partial<Product>): Product => ({
  ...{ batches: 16, sharedA: false, sharedB: false, transposeA: false, transposeB: false },
  ...product,
});

/** Of a convolution or its input gradient: for some windows at a time. */
export const winograd = <P>(family: Family, sizesOf: SizesOf<P>, backward: boolean): Kernel<P>[] =>
  variant(
    family,
    sizesOf,
    (s, transferCost) => {
      const { from, to, count } = windowsOf(s, backward);
      // A window is 16 values read and 16 written of every source channel, 16 read and 4 written of every result channel.
      return count * (16 * from.c * to.c + transferCost * (32 * from.c + 20 * to.c));
    },
    (s, { adapter, inputs, outputs }) => {
      const windows = windowsOf(s, backward);
      const { from, to, count, uniforms } = windows;
      const [filters, inputs16, products] = [scratch(0), scratch(1), scratch(2)];
      const weights = (from.c * to.c) / 4;
      const transformFilters: Dispatch = {
        source: async () => (await import('./winograd_shaders.js')).filter,
        constants: { FLIP: backward, ...reads4(inputs[1]!.dtype, 'StoredB', 'widen_b') },
        uniforms: { size: weights },
        buffers: [input(1), filters],
        workgroups: linearGrid(weights, 64),
      };
      const parts = partsWithin(count, bytesFor(Math.max(from.c, to.c)), adapter).map((part) => {
        const product = productOf({ m: part.extent, n: to.c, k: from.c, transposeB: backward });
        return { part, inner: innerProduct(family, product, adapter, { splits: false }) };
      });
      const commandsOf = ({ part, inner }: (typeof parts)[number]): Command[] => [
        transformInput(windows, inputs[0]!, part, { first: 0, extent: from.c }, inputs16),
        inner.dispatch([inputs16, filters, products]),
        {
          source: async () => (await import('./winograd_shaders.js')).output,
          constants: writes4(outputs[0]!.dtype, 'StoredC', 'narrow'),
          uniforms: {
            ...{ first_window: part.first, windows: part.extent, ...uniforms },
            ...{ to_h: to.h, to_w: to.w, to_c4: to.c / 4 },
          },
          buffers: [products, output(0)],
          workgroups: linearGrid((part.extent * to.c) / 4, 64),
        },
      ];
      const { extent } = parts[0]!.part;
      return {
        scratch: [from.c * to.c, extent * from.c, extent * to.c].map(bytesFor),
        commands: [transformFilters, ...parts.flatMap(commandsOf)],
        tuning: parts[0]!.inner.tuning,
      };
    },
  );

/** Of a filter gradient, which is a sum over all windows: for some channels of the input at a time. */
export const winogradFilterGrad = (family: Family): Kernel<ConvFilterGrad>[] =>
  variant(
    family,
    filterGradSizes,
    (s, transferCost) => {
      const { count } = windowsOf(s, false);
      // A window is 16 values read and 16 written of every channel in, 4 read and 16 written of every channel out; a pair of
      // channels is 16 products read and 9 taps written.
      const transfers = count * (32 * s.in_c + 20 * s.out_c) + 25 * s.in_c * s.out_c;
      return count * 16 * s.in_c * s.out_c + transferCost * transfers;
    },
    (s, { adapter, inputs }) => {
      const windows = windowsOf(s, false);
      const { to, count, uniforms } = windows;
      const [blocks, inputs16, products] = [scratch(0), scratch(1), scratch(2)];
      const transformBlocks: Dispatch = {
        source: async () => (await import('./winograd_shaders.js')).blocks,
        constants: reads4(inputs[1]!.dtype, 'StoredB', 'widen_b'),
        uniforms: { windows: count, ...uniforms, from_h: to.h, from_w: to.w, from_c4: to.c / 4 },
        buffers: [input(1), blocks],
        workgroups: linearGrid((count * to.c) / 4, 64),
      };
      const parts = partsWithin(s.in_c, bytesFor(count), adapter).map((part) => {
        const product = productOf({ m: part.extent, n: to.c, k: count, transposeA: true });
        return { part, size: part.extent * to.c, inner: innerProduct(family, product, adapter, { splits: true }) };
      });
      const commandsOf = ({ part, size, inner }: (typeof parts)[number]): Command[] => [
        transformInput(windows, inputs[0]!, { first: 0, extent: count }, part, inputs16),
        inner.dispatch([inputs16, blocks, products]),
        {
          source: async () => (await import('./winograd_shaders.js')).filterGrad,
          uniforms: {
            ...{ parts: inner.parts, size: size / 4 },
            ...{ first: (part.first * to.c) / 4, stride: (s.in_c * to.c) / 4 },
          },
          buffers: [products, output(0)],
          workgroups: linearGrid(size / 4, 64),
        },
      ];
      const results = Math.max(...parts.map(({ size, inner }) => inner.parts * size));
      return {
        scratch: [count * to.c, count * parts[0]!.part.extent, results].map(bytesFor),
        commands: [transformBlocks, ...parts.flatMap(commandsOf)],
        tuning: parts[0]!.inner.tuning,
      };
    },
  );
