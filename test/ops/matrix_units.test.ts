/** Kernels for matrix units, with the units emulated (see `emulated_matrix.ts`), against the ops' references. */
import type { Op } from '../../src/tensor/op.js';
import { conv2dFilterGradOp, conv2dInputGradOp, conv2dOp } from '../../src/tensor/ops/conv.js';
import { conv2dKernelsOf, filterGradKernelsOf, inputGradKernelsOf } from '../../src/tensor/ops/conv_kernels.js';
import { matmulOp } from '../../src/tensor/ops/matmul.js';
import { matmulKernelsOf } from '../../src/tensor/ops/matmul_kernels.js';
import { emulatedFamily } from '../support/emulated_matrix.js';
import { testOps } from '../support/op_suite.js';

// Several of everything: fragments, subgroups, steps in a tile's depth, and parts of the sums that are long enough.
const family = emulatedFamily('emulated', { K: 8, fragments: [2, 2], subgroups: [2, 2], depth: 16, parts: 3 });

const only = <P>(op: Op<P>, kernels: Op<P>['kernels'], include: (params: P) => boolean = () => true): Op<P> => ({
  ...op,
  name: `${op.name} on matrix units`,
  grad: undefined,
  kernels: kernels!.filter((kernel) => kernel.name === 'emulated'),
  samples: () => op.samples!().filter(({ params }) => include(params)),
});

testOps([
  // The operands' transposes have nothing to do with each other.
  only(matmulOp, matmulKernelsOf([family]), ({ transposeA, transposeB }) => transposeA === transposeB),
  only(conv2dOp, conv2dKernelsOf([family])),
  only(conv2dInputGradOp, inputGradKernelsOf([family])),
  only(conv2dFilterGradOp, filterGradKernelsOf([family])),
]);
