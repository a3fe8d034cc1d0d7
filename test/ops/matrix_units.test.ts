/** Kernels for matrix units, with the units emulated (see `emulated_matrix.ts`), against the ops' references. */
import { expect, it } from 'vitest';
import { apply1 } from '../../src/tensor/graph.js';
import type { Op } from '../../src/tensor/op.js';
import { conv2dFilterGradOp, conv2dInputGradOp, conv2dOp } from '../../src/tensor/ops/conv.js';
import { convParams } from '../../src/tensor/ops/conv_geometry.js';
import { conv2dKernelsOf, filterGradKernelsOf, inputGradKernelsOf } from '../../src/tensor/ops/conv_kernels.js';
import { matmulOp } from '../../src/tensor/ops/matmul.js';
import { matmulKernelsOf } from '../../src/tensor/ops/matmul_kernels.js';
import { sampleValues } from '../../src/tensor/ops/sample_values.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { emulatedFamily } from '../support/emulated_matrix.js';
import { testGpu } from '../support/gpu.js';
import { checkMoments } from '../support/moments_suite.js';
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

it('take the moments of their tiles on the way', async () => {
  using runtime = new Runtime(await testGpu());
  const whole = emulatedFamily('emulated', { K: 8, fragments: [2, 2], subgroups: [2, 2], depth: 16, parts: 1 });
  const named = <P>(op: Op<P>, kernels: Op<P>['kernels']): Op<P> => ({
    ...op,
    kernels: kernels!.filter(({ name }) => name === 'emulated'),
  });
  const product = named(matmulOp, matmulKernelsOf([whole]));
  // Tiles of 16 x 32 reach beyond both edges. Values around 100.
  const a = sampleValues([37, 12], 1);
  const stored = await checkMoments({
    ...{ runtime, op: 'matmul', kernel: 'emulated' },
    product: (x, y) => apply1(product, [x, y], { transposeA: false, transposeB: false }),
    inputs: [{ ...a, data: a.data.map((value, i) => (i % 12 === 0 ? 50 : value)) }, ones([12, 44])],
  });
  expect(Math.min(...stored.data)).toBeGreaterThan(40);
  const convolution = named(conv2dOp, conv2dKernelsOf([whole]));
  await checkMoments({
    ...{ runtime, op: 'conv2d', kernel: 'emulated' },
    product: (x, y) => apply1(convolution, [x, y], convParams({ stride: 2, dilation: 2, padding: [3, 1, 2, 2] })),
    inputs: [sampleValues([2, 11, 13, 4], 3), sampleValues([3, 3, 4, 36], 4)],
  });
});

/** Ones, but in the first row, which is of twos. */
function ones([rows, columns]: readonly [number, number]) {
  const b = sampleValues([rows, columns]);
  return { ...b, data: b.data.map((_, i) => (i < columns ? 2 : 1)) };
}
