/** How products are summed, and the largest tiles, which no sample of the generic suite is large enough for. */
import { expect, it } from 'vitest';
import type { Tensor } from '../../src/tensor/graph.js';
import type { Op } from '../../src/tensor/op.js';
import { conv2dFilterGradOp, conv2dOp } from '../../src/tensor/ops/conv.js';
import { conv2dKernelsOf, filterGradKernelsOf } from '../../src/tensor/ops/conv_kernels.js';
import { matmul, matmulOp } from '../../src/tensor/ops/matmul.js';
import { matmulKernelsOf } from '../../src/tensor/ops/matmul_kernels.js';
import { type Family, quads, tiled } from '../../src/tensor/ops/product_families.js';
import { layoutOf } from '../../src/tensor/ops/product_layouts.js';
import { sampleValues } from '../../src/tensor/ops/sample_values.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { hostTensor } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';
import { testOps } from '../support/op_suite.js';

it('sums in the same order every time', async () => {
  const { device, facts } = await testGpu();
  const runtime = new Runtime({ device, facts });
  const step = runtime.compile((a: Tensor, b: Tensor) => ({ c: matmul(a, b, { transposeA: true }) }));
  const [a, b] = [sampleValues([2000, 8], 1), sampleValues([2000, 12], 2)].map(({ shape, data }) =>
    hostTensor(shape, data),
  );
  const plan = await step.plan(a!, b!);
  expect(plan.steps.length).toBeGreaterThan(0);
  const first = (await (await step.run(a!, b!)).c!.read()).data.slice();
  for (let i = 0; i < 3; i++) expect((await (await step.run(a!, b!)).c!.read()).data).toEqual(first);
  runtime[Symbol.dispose]();
});

it('sums in the same order everywhere in a result', async () => {
  const { device, facts } = await testGpu();
  using runtime = new Runtime({ device, facts });
  // Seven rows and five columns, again and again.
  const [rows, columns, length] = [70, 40, 48];
  const [few, fewer] = [sampleValues([7, length], 1).data, sampleValues([length, 5], 2).data];
  const a = Float32Array.from({ length: rows * length }, (_, i) => few[i % few.length]!);
  const b = Float32Array.from(
    { length: length * columns },
    (_, i) => fewer[Math.floor(i / columns) * 5 + ((i % columns) % 5)]!,
  );
  const step = runtime.compile((a: Tensor, b: Tensor) => ({ c: matmul(a, b) }));
  const { c } = await step.run(hostTensor([rows, length], a), hostTensor([length, columns], b));
  const { data } = await c!.read();
  const at = (row: number, column: number) => data[row * columns + column]!;
  expect(data).toEqual(data.map((_, i) => at(Math.floor(i / columns) % 7, (i % columns) % 5)));
});

/** The largest tiles of some families, which they take for results too large for a test. */
const largeTiles: Family = {
  ...tiled,
  name: 'large-tiles',
  layouts: ({ length }) => [
    layoutOf({ rows: 128, columns: 128, constants: { DOWN: 16, ACROSS: 16 } }, length, 1, tiled.step),
  ],
};
const tallQuads: Family = {
  ...quads,
  name: 'tall-quads',
  layouts: (shape, adapter) => quads.layouts(shape, adapter).filter(({ tile }) => tile.constants.TALL),
};
const some = <P>({ name }: Family, op: Op<P>, kernels: Op<P>['kernels'], positions: readonly number[]): Op<P> => ({
  ...op,
  name: `${op.name} in ${name}`,
  grad: undefined,
  kernels: kernels!.filter((kernel) => kernel.name === name),
  samples: () => op.samples().filter((_, i) => positions.includes(i)),
});
testOps([
  some(largeTiles, matmulOp, matmulKernelsOf([largeTiles]), [2]),
  some(largeTiles, conv2dOp, conv2dKernelsOf([largeTiles]), [3, 10]),
  some(largeTiles, conv2dFilterGradOp, filterGradKernelsOf([largeTiles]), [3, 10]),
  // Operands as they are and both transposed, of lengths that are no multiple of 16.
  some(tallQuads, matmulOp, matmulKernelsOf([tallQuads]), [2, 29]),
]);
