/** Kernel variants of convolutions and their gradients. */

import filterGradNaiveSource from '../../shaders/conv2d_filter_grad_naive.wgsl';
import inputGradNaiveSource from '../../shaders/conv2d_input_grad_naive.wgsl';
import conv2dNaiveSource from '../../shaders/conv2d_naive.wgsl';
import { input, type Kernel, type KernelContext, linearGrid, output } from '../op.js';
import { sizeOf, type TensorType } from '../types.js';
import {
  type Conv,
  type ConvFilterGrad,
  type ConvInputGrad,
  type ConvSizes,
  conv2dSizes,
  filterGradSizes,
  inputGradSizes,
} from './conv_geometry.js';

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

export const conv2dKernels: readonly Kernel<Conv>[] = [naive(conv2dNaiveSource, conv2dSizes)];
export const inputGradKernels: readonly Kernel<ConvInputGrad>[] = [naive(inputGradNaiveSource, inputGradSizes)];
export const filterGradKernels: readonly Kernel<ConvFilterGrad>[] = [naive(filterGradNaiveSource, filterGradSizes)];
