/** The kernels that measure what a device can do at best: all are valid, and one that does not run costs only itself. */
import { expect, test } from 'vitest';
import fma from '../../bench/ceilings/fma_vec4.wgsl';
import { type CeilingOptions, matrixShader, measureCeilings } from '../../bench/harness/ceilings.js';
import type { Gpu } from '../../src/platform/gpu.js';
import { MATRIX_DIALECTS } from '../../src/platform/matrix_units.js';
import { specialize } from '../../src/tensor/wgsl.js';
import { testGpu } from '../support/gpu.js';
import { nullGpu } from '../support/null_gpu.node.js';

test('the loop on matrix units is valid in every form', async () => {
  const nothing = await nullGpu();
  try {
    for (const dialect of MATRIX_DIALECTS)
      for (const resultComponentType of ['f16', 'f32'])
        for (const [M, N, K] of [
          [16, 16, 16],
          [16, 8, 16],
          [8, 8, 8],
        ] as const) {
          const { code } = matrixShader({ M, N, K, resultComponentType }, dialect, nothing.lanes);
          expect(await nothing.failureOf(code), `${dialect}, ${M}x${N}x${K} to ${resultComponentType}`).toBeUndefined();
        }
  } finally {
    nothing.close();
  }
});

test('the loop of multiply-adds of halves is valid', async () => {
  const nothing = await nullGpu();
  try {
    for (const FUSED of [true, false]) {
      const { code } = specialize(`enable f16;\n${fma}`, { CHAINS: 8, FUSED, SIZE: 256, S: 'f16', V: 'vec4h' });
      expect(await nothing.failureOf(code)).toBeUndefined();
    }
  } finally {
    nothing.close();
  }
});

/** A clock on which everything takes a second, so that nothing is repeated. */
function instant(): CeilingOptions['clock'] {
  let time = 0;
  return { now: () => (time += 1000), cpu: async () => null };
}

/** A device on which pipelines of these labels cannot be made, and copying is refused. */
function failing({ device: real, facts }: Gpu, label: RegExp): Gpu {
  const device = {
    queue: real.queue,
    createShaderModule: (descriptor: GPUShaderModuleDescriptor) => real.createShaderModule(descriptor),
    createComputePipelineAsync: (descriptor: GPUComputePipelineDescriptor) =>
      label.test(descriptor.label ?? '')
        ? Promise.reject(new Error('internal compiler error\nand more'))
        : real.createComputePipelineAsync(descriptor),
    createBuffer: (descriptor: GPUBufferDescriptor) =>
      real.createBuffer({ ...descriptor, usage: descriptor.usage & ~GPUBufferUsage.COPY_SRC }),
    createBindGroup: (descriptor: GPUBindGroupDescriptor) => real.createBindGroup(descriptor),
    createCommandEncoder: (descriptor: GPUCommandEncoderDescriptor) => real.createCommandEncoder(descriptor),
    pushErrorScope: (filter: GPUErrorFilter) => real.pushErrorScope(filter),
    popErrorScope: () => real.popErrorScope(),
  } as unknown as GPUDevice;
  return { device, facts } as Gpu;
}

test('what does not compile, or is refused when it runs, is left out with a note', async () => {
  const gpu = await testGpu();
  const errors: string[] = [];
  gpu.device.addEventListener('uncapturederror', ({ error }) => errors.push(error.message));
  const notes: string[] = [];
  const note = (line: string) => notes.push(line);
  const ceilings = await measureCeilings(failing(gpu, /fma/), { clock: instant(), note });
  const f32 = ceilings.find(({ kind }) => kind === 'f32')!;
  expect(Object.keys(f32.tried).sort()).toEqual([
    '2 products with mat4x4',
    '4 products with mat4x4',
    '4 vectors, a * x + y',
  ]);
  expect(notes).toContain('no ceiling of f32 by 4 vectors, fma: internal compiler error');
  expect(notes.some((line) => line.startsWith('no ceiling of copy command by copyBufferToBuffer'))).toBe(true);
  expect(ceilings.map(({ kind }) => kind)).toEqual(['f32', 'copy kernel']);
  await gpu.device.queue.onSubmittedWorkDone();
  expect(errors).toEqual([]);
});
