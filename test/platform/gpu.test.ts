import { expect, test } from 'vitest';
import { openGpu } from '../../src/platform/gpu.js';
import type { AdapterFacts } from '../../src/tensor/op.js';
import { testGpu } from '../support/gpu.js';
import source from './double.wgsl';

async function double(device: GPUDevice, values: Float32Array<ArrayBuffer>): Promise<Float32Array> {
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const size = values.byteLength;
  const buffer = device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  const readback = device.createBuffer({ size, usage: MAP_READ | COPY_DST });
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code: source }) },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  device.queue.writeBuffer(buffer, 0, values);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(Math.ceil(values.length / 64));
  pass.end();
  encoder.copyBufferToBuffer(buffer, 0, readback, 0, size);
  device.queue.submit([encoder.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  return new Float32Array(readback.getMappedRange().slice(0));
}

test('a compute shader runs and its result is read back', async () => {
  const { device } = await testGpu();
  const values = Float32Array.from({ length: 1000 }, (_, i) => i / 8);
  expect(await double(device, values)).toEqual(values.map((value) => 2 * value));
});

test('the facts are what kernels choose by', async () => {
  const { facts, device } = await testGpu();
  const adapter: AdapterFacts = facts;
  expect(adapter.features).toEqual(new Set(device.features));
  expect(adapter.limits.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(128 * 2 ** 20);
  expect(adapter.limits.maxComputeInvocationsPerWorkgroup).toBeGreaterThanOrEqual(256);
  if (facts.architecture === 'swiftshader') {
    expect(facts.cpu).toBe(true);
    // Beyond the default limit of 128 MiB, and features that are not there unless asked for.
    expect(adapter.limits.maxStorageBufferBindingSize).toBe(2 ** 30);
    expect([...facts.features]).toEqual(expect.arrayContaining(['subgroups', 'timestamp-query']));
    expect(facts.subgroupMinSize).toBe(4);
  }
});

test('closing twice is harmless, and destroys the device', async () => {
  const gpu = await openGpu({ notice: () => {} });
  await Promise.all([gpu.close(), gpu.close()]);
  expect((await gpu.device.lost).reason).toBe('destroyed');
});

test('several devices are open at once', async () => {
  const gpus = await Promise.all([openGpu({ notice: () => {} }), openGpu({ notice: () => {} })]);
  const results = await Promise.all(gpus.map(({ device }) => double(device, new Float32Array([21]))));
  expect(results).toEqual([new Float32Array([42]), new Float32Array([42])]);
  await Promise.all(gpus.map((gpu) => gpu.close()));
});
