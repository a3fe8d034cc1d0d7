/** How the kernels of depthwise convolutions divide the work among invocations. */
import { input, type Kernel, linearGrid, output } from '../op.js';
import { sizeOf, type TensorType } from '../types.js';
import type { DepthwiseSizes } from './depthwise_geometry.js';

export type SizesOf<P> = (inputs: readonly TensorType[], params: P) => DepthwiseSizes;

/** One invocation an element of the output. */
export function naive<P>(source: string, sizesOf: SizesOf<P>): Kernel<P> {
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
export function lanesOf({ in_c }: DepthwiseSizes) {
  return in_c % 4 === 0 ? { channels: in_c / 4, V: 'vec4f' } : { channels: in_c, V: 'f32' };
}

/** Width of a strip. */
export const COLUMNS = 4;

/** The strips that cover an image, within the phases of its dilation; those along an axis are about equally long. */
export function stripsOf(height: number, width: number, s: DepthwiseSizes, longest: number) {
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
export function fitsWindow(s: DepthwiseSizes): boolean {
  if (s.kernel_h !== 3 || s.kernel_w !== 3 || s.multiplier !== 1 || s.stride_h !== s.stride_w) return false;
  return s.stride_h === 1 || (s.stride_h === 2 && s.dilation_h === 1 && s.dilation_w === 1);
}
