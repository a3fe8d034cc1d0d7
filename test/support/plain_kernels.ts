/** For tests of networks: what the kernels compute is tested by themselves, and the plain ones compile in no time. */
import type { KernelOverrides } from '../../src/tensor/select.js';

export const PLAIN_CONVOLUTIONS: KernelOverrides = Object.fromEntries(
  ['conv2d', 'depthwiseConv2d'].flatMap((op) => ['', 'InputGrad', 'FilterGrad'].map((part) => [op + part, 'naive'])),
);

/** All ops of a training step whose other kernels take a software adapter seconds to compile. */
export const PLAIN_KERNELS: KernelOverrides = {
  ...PLAIN_CONVOLUTIONS,
  ...Object.fromEntries(
    ['moments', 'normSums', 'matmul', 'reduce', 'segmentSum', 'assignClusters', 'ncaTerms', 'ncaTermsGrad'].map(
      (op) => [op, 'naive'],
    ),
  ),
};
