/**
 * 3x3 convolutions of stride 1, and their input gradients, by Winograd's minimal filtering F(2x2, 3x3): 16 products
 * for 2 x 2 results instead of 36 (Lavin and Gray, CVPR 2016). Three cheap transforms around 16 matrix products.
 *
 * A dilated convolution is one of ordinary ones of the images' phases: every dilation-th pixel of a row and column.
 */
import { type Command, input, type Kernel, linearGrid, output, scratch } from '../op.js';
import { BYTES_PER_ELEMENT, type TensorType } from '../types.js';
import type { ConvSizes } from './conv_geometry.js';
import { multiplyAll } from './matmul_kernels.js';
import type { Family } from './product_families.js';
import { reads4, writes4 } from './stored.js';

/** Windows along an axis: as many in each phase as the longest one needs. */
const windowsAlong = (extent: number, dilation: number) => Math.ceil(Math.ceil(extent / dilation) / 2) * dilation;

function planOf(s: ConvSizes, backward: boolean) {
  const y = { h: s.out_h, w: s.out_w, c: s.out_c };
  const x = { h: s.in_h, w: s.in_w, c: s.in_c };
  const [from, to] = backward ? [y, x] : [x, y];
  const windows_h = windowsAlong(to.h, s.dilation_h);
  const windows_w = windowsAlong(to.w, s.dilation_w);
  // Backward, the taps in reverse order reach from padding - 2 * dilation to padding.
  const origin_row = backward ? s.pad_top - 2 * s.dilation_h : -s.pad_top;
  const origin_column = backward ? s.pad_left - 2 * s.dilation_w : -s.pad_left;
  return { from, to, windows_h, windows_w, windows: s.batches * windows_h * windows_w, origin_row, origin_column };
}

/** Bytes of the transformed filter, the transformed source and the products. */
function scratchOf(s: ConvSizes, backward: boolean): number[] {
  const { from, to, windows } = planOf(s, backward);
  return [from.c * to.c, windows * from.c, windows * to.c].map((size) => 16 * size * BYTES_PER_ELEMENT.f32);
}

/** Whether the transforms cost less than the products they save. */
function pays(transferCost: number, s: ConvSizes, backward: boolean): boolean {
  const { from, to, windows } = planOf(s, backward);
  const direct = s.batches * to.h * to.w * 9 * from.c * to.c;
  // A window is 16 values read and 16 written of every source channel, 16 read and 4 written of every result channel.
  return windows * (16 * from.c * to.c + transferCost * (32 * from.c + 20 * to.c)) < direct;
}

/** The variant of a family, if it is known when it pays. */
export function winograd<P>(
  family: Family,
  sizesOf: (inputs: readonly TensorType[], params: P) => ConvSizes,
  backward: boolean,
): Kernel<P>[] {
  const { transferCost } = family;
  if (transferCost === undefined) return [];
  const kernel: Kernel<P> = {
    name: `winograd-${family.name}`,
    needs: family.needs,
    when({ adapter, inputs, params }) {
      const s = sizesOf(inputs, params);
      const is3x3 = s.kernel_h === 3 && s.kernel_w === 3 && s.stride_h === 1 && s.stride_w === 1;
      const inVec4s = s.in_c % 4 === 0 && s.out_c % 4 === 0;
      const fits = Math.max(...scratchOf(s, backward)) <= adapter.limits.maxStorageBufferBindingSize;
      return is3x3 && inVec4s && fits && family.suits({ adapter, inputs }) && pays(transferCost, s, backward);
    },
    scratch: ({ inputs, params }) => scratchOf(sizesOf(inputs, params), backward),
    commands({ adapter, inputs, outputs, params }): Command[] {
      const s = sizesOf(inputs, params);
      const { from, to, windows_h, windows_w, windows, origin_row, origin_column } = planOf(s, backward);
      const { dilation_h, dilation_w } = s;
      const [filters, inputs16, products] = [scratch(0), scratch(1), scratch(2)];
      const weights = (s.in_c * s.out_c) / 4;
      return [
        {
          source: async () => (await import('./winograd_shaders.js')).filter,
          constants: { FLIP: backward, ...reads4(inputs[1]!.dtype, 'StoredB', 'widen_b') },
          uniforms: { size: weights },
          buffers: [input(1), filters],
          workgroups: linearGrid(weights, 64),
        },
        {
          source: async () => (await import('./winograd_shaders.js')).input,
          constants: reads4(inputs[0]!.dtype, 'StoredA', 'widen_a'),
          uniforms: {
            ...{ windows, windows_h, windows_w, dilation_h, dilation_w, origin_row, origin_column },
            from_h: from.h,
            from_w: from.w,
            from_c4: from.c / 4,
          },
          buffers: [input(0), inputs16],
          workgroups: linearGrid((windows * from.c) / 4, 64),
        },
        multiplyAll(
          family,
          {
            batches: 16,
            m: windows,
            n: to.c,
            k: from.c,
            sharedA: false,
            sharedB: false,
            transposeA: false,
            transposeB: backward,
          },
          [inputs16, filters, products],
          adapter,
        ),
        {
          source: async () => (await import('./winograd_shaders.js')).output,
          constants: writes4(outputs[0]!.dtype, 'StoredC', 'narrow'),
          uniforms: {
            ...{ windows, windows_h, windows_w, dilation_h, dilation_w },
            to_h: to.h,
            to_w: to.w,
            to_c4: to.c / 4,
          },
          buffers: [products, output(0)],
          workgroups: linearGrid((windows * to.c) / 4, 64),
        },
      ];
    },
  };
  return [kernel];
}
