/** What must hold of moments that a product's kernel computes on the way. */
import { expect } from 'vitest';
import type { Tensor } from '../../src/tensor/graph.js';
import { moments, momentsOp } from '../../src/tensor/ops/batch_norm.js';
import type { Runtime } from '../../src/tensor/runtime.js';
import { hostTensor, type NdArray, ndarray, valuesOf } from '../../src/tensor/types.js';
import { relativeError, rounded } from './compare.js';

export interface ProductWithMoments {
  readonly runtime: Runtime;
  /** The op that makes the product, and the kernel it is to take. */
  readonly op: string;
  readonly kernel: string;
  readonly product: (...inputs: Tensor[]) => Tensor;
  readonly inputs: readonly NdArray[];
}

/**
 * Runs a product and the moments of its result, which must be one step, and compares the moments with those of the values
 * that were stored. Returns the values.
 */
export async function checkMoments({ runtime, op, kernel, product, inputs }: ProductWithMoments): Promise<NdArray> {
  const values = inputs.map(rounded);
  using step = runtime.compile((...args: Tensor[]) => {
    const y = product(...args);
    return { y, ...moments(y) };
  });
  expect(step.plan(...values).steps.map((planned) => [planned.op, planned.variant])).toEqual([
    [`${op}+moments`, kernel],
  ]);
  const results = await step.run(...values.map(({ shape, data, dtype }) => hostTensor(shape, data, dtype)));
  const y = await results.y.read();
  const stored = ndarray(y.shape, valuesOf(y), y.dtype);
  const [mean, variance] = momentsOp.reference!([stored], {});
  expect(relativeError((await results.mean.read()).data, mean!.data), 'mean').toBeLessThan(2e-6);
  expect(relativeError((await results.variance.read()).data, variance!.data), 'variance').toBeLessThan(2e-5);
  runtime.check();
  return stored;
}
