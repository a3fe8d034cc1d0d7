/** For tests of networks: what the kernels compute is tested by themselves, and the plain ones compile in no time. */
import type { KernelOverrides } from '../../src/tensor/select.js';

export const PLAIN_CONVOLUTIONS: KernelOverrides = Object.fromEntries(
  ['conv2d', 'depthwiseConv2d'].flatMap((op) => ['', 'InputGrad', 'FilterGrad'].map((part) => [op + part, 'naive'])),
);
