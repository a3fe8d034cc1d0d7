import { describe, expect, it } from 'vitest';
import { assign, scope, type Tensor } from '../../src/tensor/graph.js';
import { add, exp, mul } from '../../src/tensor/ops/elementwise.js';
import { concat } from '../../src/tensor/ops/layout.js';
import { matmul } from '../../src/tensor/ops/matmul.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { reshape } from '../../src/tensor/ops/shape.js';
import { record } from '../../src/tensor/recorder.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { f32, hostTensor } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';

const open = async () => new Runtime(await testGpu(), { kernels: { matmul: 'naive', reduce: 'naive' } });
const filled = (shape: number[], value: number) =>
  hostTensor(shape, new Array(shape.reduce((a, b) => a * b, 1)).fill(value));

/** Kernels, copies, a reshape, and a value that lives to the end. */
const body = (x: Tensor) => {
  const early = scope('early', () => exp(x));
  const joined = scope('joined', () => concat([matmul(early, early), early], 0));
  return { early, total: scope('late', () => sum(mul(reshape(joined, [-1]), reshape(joined, [-1])))) };
};

describe('a recording', () => {
  it('has all kernels of all replays, in order, in the time of the host', async () => {
    using runtime = await open();
    using step = runtime.compile(body, 'body');
    const x = filled([32, 32], 0.5);
    const plain = await (await step.run(x)).total.scalar();
    let recorded = 0;
    const begin = performance.now();
    const { replays, spans, timestamps } = await record(runtime, async () => {
      await step.run(x);
      recorded = await (await step.run(x)).total.scalar();
    });
    const end = performance.now();
    expect(recorded).toBe(plain);
    expect(runtime.recorder).toBeNull();
    expect(timestamps).toBe(runtime.device.features.has('timestamp-query'));
    expect(replays.map(({ name }) => name)).toEqual(['body', 'body']);
    const kernels = replays.flatMap((replay) => replay.kernels);
    const labels = ['early: exp', 'joined: matmul', 'joined: concat', 'late: mul', 'late: reduce'];
    expect(kernels.map(({ label }) => label)).toEqual([...labels, ...labels]);
    // Chrome rounds the GPU's clock to 0.1 ms.
    let earlier = begin - 1;
    for (const kernel of kernels) {
      expect(kernel.begin).toBeGreaterThanOrEqual(earlier);
      expect(kernel.milliseconds).toBeGreaterThanOrEqual(0);
      earlier = kernel.begin + kernel.milliseconds;
    }
    expect(earlier).toBeLessThanOrEqual(end + 1);
    expect(kernels[1]).toMatchObject({
      op: 'matmul',
      variant: 'naive',
      shapes: '[32,32] [32,32] -> [32,32]',
      flops: 2 * 32 ** 3,
    });
    const names = spans.map(({ name }) => name);
    expect(new Set(names)).toEqual(new Set(['upload', 'encode', 'finish', 'submit', 'readback']));
    expect(names.filter((name) => name === 'submit')).toHaveLength(2);
    for (const span of spans) {
      expect(span.waits).toBe(span.name === 'readback');
      expect(span.end).toBeGreaterThanOrEqual(span.begin);
    }
  });

  it('goes by the clock of the host where the GPU has none', async () => {
    using runtime = await open();
    const { device } = runtime;
    const without = {
      features: new Set(),
      queue: device.queue,
      createCommandEncoder: (descriptor?: GPUCommandEncoderDescriptor) => device.createCommandEncoder(descriptor),
    };
    using step = runtime.compile(body, 'body');
    const x = filled([8, 8], 0.25);
    const plain = await (await step.run(x)).total.scalar();
    Object.defineProperty(runtime, 'device', { value: without });
    let result: { scalar(): Promise<number> } | null = null;
    const { replays, timestamps } = await record(runtime, async () => {
      // What is uploaded is there already.
      result = (await step.run(x)).total;
    });
    Object.defineProperty(runtime, 'device', { value: device });
    expect(timestamps).toBe(false);
    expect(replays[0]!.kernels).toHaveLength(5);
    for (const { milliseconds } of replays[0]!.kernels) expect(milliseconds).toBeGreaterThan(0);
    expect(await result!.scalar()).toBe(plain);
  });

  it('is made once at a time, and ends where what it records fails', async () => {
    using runtime = await open();
    await expect(record(runtime, () => record(runtime, async () => {}))).rejects.toThrow('is being recorded already');
    expect(runtime.recorder).toBeNull();
  });
});

describe('the bytes alive', () => {
  it('are most where the plan says, and never more than its slots', async () => {
    using runtime = await open();
    using state = runtime.resident('state', f32([64]));
    using step = runtime.compile((x: Tensor) => {
      assign(state, sum(add(x, state), [0]));
      return body(matmul(x, reshape(x, [64, 16])));
    });
    const plan = await step.plan(f32([16, 64]));
    const { alive } = plan;
    expect(alive).toHaveLength(plan.steps.length);
    expect(Math.max(...alive)).toBe(plan.liveBytes);
    expect(Math.min(...alive)).toBeGreaterThan(0);
    // At the end: two results, the assigned value, and what the last step reads and its scratch.
    expect(alive.at(-1)).toBeGreaterThanOrEqual(16 * 16 * 4 + 64 * 4 + 16);
    expect(alive.at(-1)).toBeLessThan(plan.liveBytes);
  });
});
