/** Kernels for matrix units as the check on a GPU meets them, on a device that has such units and computes nothing. */
import { expect, test } from 'vitest';
import { checkVariants } from '../../bench/harness/check_variants.js';
import type { Gpu } from '../../src/platform/gpu.js';
import type { Op } from '../../src/tensor/op.js';
import { conv2dFilterGradOp, conv2dInputGradOp, conv2dOp } from '../../src/tensor/ops/conv.js';
import { matmulOp } from '../../src/tensor/ops/matmul.js';
import { testGpu } from '../support/gpu.js';
import { nullGpu } from '../support/null_gpu.node.js';

test('are run with halves and with rounding, and are wrong where nothing is computed', async () => {
  const { facts } = await testGpu();
  const nothing = await nullGpu();
  try {
    const { device, lanes } = nothing;
    const matrixUnits = { M: 16, N: 16, K: 16, component: 'f16', dialect: 'vectors', lanes } as const;
    const features = new Set<string>(device.features);
    const gpu: Pick<Gpu, 'device' | 'facts'> = {
      device,
      facts: { ...facts, cpu: false, limits: device.limits, features, matrixUnits },
    };
    const only = (op: Op): Op => ({
      ...op,
      kernels: op.kernels!.filter(({ name }) => name === 'matrix'),
      // Two of them will do.
      samples: () => op.samples().slice(-2),
    });
    const ops = [matmulOp, conv2dOp, conv2dInputGradOp, conv2dFilterGradOp].map(only);
    const { checked } = await checkVariants(gpu, ops);
    const forms = (name: string) => checked.filter(({ op }) => op === name).map(({ form }) => form);
    for (const { name } of ops) expect(forms(name), name).toEqual(expect.arrayContaining(['rounding']));
    expect(checked.some(({ form }) => form === 'f16')).toBe(true);
    expect(checked.some(({ form }) => form === 'f32')).toBe(false);
    for (const { op, form, wrong } of checked)
      if (!op.endsWith('+moments')) expect(wrong, `${op} ${form}`).toMatch(/^error .* over/);
  } finally {
    nothing.close();
  }
});
