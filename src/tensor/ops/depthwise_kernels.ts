/** Kernel variants of depthwise convolutions and their gradients. */
import filterGradNaive from '../../shaders/depthwise_filter_grad_naive.wgsl';
import inputGradNaive from '../../shaders/depthwise_input_grad_naive.wgsl';
import forwardNaive from '../../shaders/depthwise_naive.wgsl';
import { input, type Kernel, linearGrid, output } from '../op.js';
import { sizeOf, type TensorType } from '../types.js';
import type { Conv, ConvFilterGrad, ConvInputGrad } from './conv_geometry.js';
import { type DepthwiseSizes, filterGradSizes, forwardSizes, inputGradSizes } from './depthwise_geometry.js';

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

export const forwardKernels: Kernel<Conv>[] = [naive(forwardNaive, forwardSizes)];
export const inputGradKernels: Kernel<ConvInputGrad>[] = [naive(inputGradNaive, inputGradSizes)];
export const filterGradKernels: Kernel<ConvFilterGrad>[] = [naive(filterGradNaive, filterGradSizes)];
