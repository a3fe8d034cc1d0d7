import { describe, expect, it } from 'vitest';
import { openGpu } from '../../src/platform/gpu.js';
import { forEachBroadcast } from '../../src/tensor/broadcast.js';
import { assign, constant, currentGraph, scalar, scope, type Tensor } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import { add, exp, mul, mulScalar, relu, square, sub } from '../../src/tensor/ops/elementwise.js';
import { concat } from '../../src/tensor/ops/layout.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { reshape } from '../../src/tensor/ops/shape.js';
import { Resident } from '../../src/tensor/resident.js';
import { DeviceLostError, Runtime } from '../../src/tensor/runtime.js';
import { traceStep } from '../../src/tensor/trace.js';
import { f32, hostTensor, ndarray, sizeOf, valuesOf } from '../../src/tensor/types.js';
import { expectClose, rounded } from '../support/compare.js';
import { testGpu } from '../support/gpu.js';

const open = async () => new Runtime(await testGpu());
const vector = (...values: number[]) => hostTensor([values.length], values);

describe('a compiled step', () => {
  it('computes what was traced, for every shape it is given', async () => {
    using runtime = await open();
    using step = runtime.compile((x: Tensor, y: Tensor) => ({ total: sum(mul(x, y)), difference: sub(x, y) }));
    const first = await step.run(vector(1, 2, 3), vector(4, 5, 6));
    expect(await first.total.scalar()).toBe(32);
    expect([...(await first.difference.read()).data]).toEqual([-3, -3, -3]);
    const second = await step.run(vector(1, 2), vector(3, 4));
    expect(await second.total.scalar()).toBe(11);
    const again = await step.run(vector(1, 0, 0), vector(7, 5, 6));
    expect(await again.total.scalar()).toBe(7);
  });

  it.each([[[3, 4, 8]], [[3, 4, 7]], [[3, 4, 1]]])(
    'computes vectors in the kernel of %j that reads them on GPUs',
    async (shape) => {
      const { device, facts } = await testGpu();
      const step = (x: Tensor, channels: Tensor, rows: Tensor) => {
        const scale = exp(channels);
        return add(mul(x, scale), sub(square(rows), mulScalar(scale, 3)));
      };
      const inputs = [shape, shape.slice(-1), [4, 1]]
        .map((of) =>
          ndarray(
            of,
            Float64Array.from({ length: sizeOf(of) }, (_, i) => Math.sin(i)),
          ),
        )
        .map(rounded);
      using runtime = new Runtime({ device, facts: { ...facts, cpu: false } });
      using compiled = runtime.compile(step);
      expect((await compiled.plan(...inputs)).steps.length).toBe(1);
      const host = inputs.map(({ data }, i) => hostTensor(inputs[i]!.shape, data));
      const result = await (await compiled.run(...host)).read();
      const trace = traceStep(step, inputs);
      const [expected] = interpret(trace.graph, trace.results, { arguments: inputs });
      expectClose({ shape: result.shape, data: valuesOf(result) }, expected!, 1e-6, 'vectors');
    },
  );

  // On CPU adapters an invocation takes several elements of long tensors: of a row, or of neighbouring rows.
  it.each([
    [[128, 132], [132]],
    [
      [128, 132],
      [128, 1],
    ],
    [[131, 128], [128]],
    [
      [131, 126],
      [131, 1],
    ],
    [
      [4, 33, 128],
      [33, 1],
    ],
    [[16640], []],
  ])('computes %j elementwise with %j', async (shape, other) => {
    using runtime = await open();
    using step = runtime.compile((x: Tensor, y: Tensor) => add(mul(x, y), x));
    const numbers = (of: number[]) =>
      hostTensor(
        of,
        Array.from({ length: sizeOf(of) }, (_, i) => (i % 61) - 30),
      );
    const [x, y] = [numbers(shape), numbers(other)];
    const { data } = await (await step.run(x, y)).read();
    const expected = new Float32Array(data.length);
    forEachBroadcast(shape, [shape, other], (i, [, at]) => {
      expected[i] = x.data[i]! * y.data[at!]! + x.data[i]!;
    });
    expect(data).toEqual(expected);
  });

  it('traces once for each set of shapes', async () => {
    using runtime = await open();
    let traced = 0;
    using step = runtime.compile((x: Tensor) => {
      traced++;
      return sum(x);
    });
    for (let i = 0; i < 3; i++) await step.run(vector(i, 1));
    await step.run(vector(1, 2, 3));
    expect(traced).toBe(2);
  });

  it('gives residents their new value at the end of the step', async () => {
    using runtime = await open();
    using weights = runtime.resident('weights', vector(1, 2, 3, 4));
    using copy = runtime.resident('copy', f32([4]));
    using step = runtime.compile((x: Tensor) => {
      assign(copy, mulScalar(weights, 1));
      assign(weights, add(weights, x));
      // Reads the old value, although it comes after the assignment.
      return sum(weights);
    });
    const { data } = hostTensor([4], [10, 10, 10, 10]);
    expect(await (await step.run({ shape: [4], dtype: 'f32', data })).scalar()).toBe(10);
    expect(await (await step.run({ shape: [4], dtype: 'f32', data })).scalar()).toBe(50);
    expect([...(await runtime.read(weights)).data]).toEqual([21, 22, 23, 24]);
    expect([...(await runtime.read(copy)).data]).toEqual([11, 12, 13, 14]);
  });

  it('swaps two residents', async () => {
    using runtime = await open();
    using a = runtime.resident('a', vector(1));
    using b = runtime.resident('b', vector(2));
    await runtime.evaluate(() => {
      // Sources themselves: each gets a copy, so that neither assignment sees the other.
      assign(a, currentGraph().use(b));
      assign(b, currentGraph().use(a));
      return sum(a);
    });
    expect([(await runtime.read(a)).data[0], (await runtime.read(b)).data[0]]).toEqual([2, 1]);
  });

  it('accepts residents as arguments', async () => {
    using runtime = await open();
    using a = runtime.resident('a', vector(1, 2));
    using b = runtime.resident('b', vector(3, 4));
    using step = runtime.compile((x: Tensor) => sum(x));
    expect(await (await step.run(a)).scalar()).toBe(3);
    expect(await (await step.run(b)).scalar()).toBe(7);
  });

  it('keeps runs apart that are begun side by side', async () => {
    using runtime = await open();
    using total = runtime.resident('total', f32([2]));
    using step = runtime.compile((x: Tensor) => {
      assign(total, add(total, x));
      return sum(x);
    });
    await step.run(vector(0, 0));
    const [first, second] = await Promise.all([step.run(vector(1, 2)), step.run(vector(10, 20))]);
    expect(await second.scalar()).toBe(30);
    await expect(first.read()).rejects.toThrow('has run again');
    expect([...(await runtime.read(total)).data]).toEqual([11, 22]);
  });

  it('refuses results of an earlier run', async () => {
    using runtime = await open();
    using step = runtime.compile((x: Tensor) => sum(x), 'total');
    const first = await step.run(vector(1));
    await step.run(vector(2));
    await expect(first.read()).rejects.toThrow('total has run again: read its results before the next run');
  });
});

describe('clear errors', () => {
  it('outside of a trace, and for values used as numbers', async () => {
    using runtime = await open();
    expect(() => scalar(1)).toThrow('runtime.compile or runtime.evaluate');
    await expect(runtime.evaluate(() => scalar(Number(relu(scalar(1)))))).rejects.toThrow('has no value yet');
  });

  it('for tensors of another trace', async () => {
    using runtime = await open();
    let kept: Tensor | undefined;
    await runtime.evaluate(() => {
      kept = relu(scalar(1));
      return kept;
    });
    await expect(runtime.evaluate(() => relu(kept!))).rejects.toThrow('belongs to another trace');
  });

  it('for shapes that do not broadcast', async () => {
    using runtime = await open();
    using step = runtime.compile((x: Tensor, y: Tensor) => add(x, y));
    await expect(step.run(vector(1, 2, 3), vector(1, 2))).rejects.toThrow('add: shapes [3] and [2] do not broadcast');
  });

  it('for a tensor over the limits, naming it', async () => {
    const { device, facts } = await testGpu();
    const limits = { ...limitsOf(facts.limits), maxStorageBufferBindingSize: 1024 };
    using runtime = new Runtime({ device, facts: { ...facts, limits } });
    using step = runtime.compile((x: Tensor) =>
      scope('wide', () => sum(exp(add(reshape(x, [200, 1]), reshape(x, [1, 200]))))),
    );
    const run = step.run(hostTensor([200], new Array(200).fill(0)));
    await expect(run).rejects.toThrow(/wide: exp f32\[200,200\].*over this adapter's largest binding of 0\.001 MiB/);
  });

  it('for the first op that gives NaN, leaving residents as they were', async () => {
    using runtime = await open();
    using weights = runtime.resident('weights', vector(1, -1));
    using step = runtime.compile((x: Tensor) => {
      const value = scope('head', () => exp(sum(mul(weights, x))));
      assign(weights, add(weights, value));
      return value;
    });
    await step.runChecked(vector(1, 1));
    const before = [...(await runtime.read(weights)).data];
    await expect(step.runChecked(vector(200, 5))).rejects.toThrow(/head: exp f32\[\].*first value that is not finite/);
    expect([...(await runtime.read(weights)).data]).toEqual(before);
  });

  it('for values among the columns of another, of which it does not look at the rest', async () => {
    using runtime = await open();
    using step = runtime.compile((x: Tensor, y: Tensor) => concat([exp(x), exp(y)], 1));
    const filled = (value: number) => hostTensor([3, 64], new Array(192).fill(value));
    expect(step.plan(filled(0), filled(0)).steps.at(-1)!.commands).toHaveLength(0);
    await step.run(filled(0), filled(1000));
    await step.runChecked(filled(0), filled(1));
    const last = filled(1);
    last.data[130] = 1000;
    await expect(step.runChecked(filled(0), last)).rejects.toThrow('1 of 192 elements, the first is Infinity at 130');
  });

  it('for a kernel variant that does not exist', async () => {
    const { device, facts } = await testGpu();
    using runtime = new Runtime({ device, facts }, { kernels: { reduce: 'warp' } });
    await expect(runtime.evaluate(() => sum(reshape(scalar(1), [1])))).rejects.toThrow(
      'reduce has no kernel variant "warp"; it has split, naive',
    );
  });

  it('for data that are not what their type says', async () => {
    using runtime = await open();
    using step = runtime.compile((x: Tensor) => sum(x), 'total');
    const short = { shape: [3], dtype: 'f32' as const, data: new Float32Array(2) };
    await expect(step.run(short)).rejects.toThrow('total: argument 0 f32[3] takes 3 elements in a Float32Array, got 2');
    const other = { shape: [2], dtype: 'i32' as const, data: new Float32Array(2) };
    expect(() => runtime.resident('table', other)).toThrow('table i32[2] takes 2 elements in a Int32Array');
  });

  it('for extents that there cannot be', async () => {
    using runtime = await open();
    const x = () => constant([6], [1, 2, 3, 4, 5, 6]);
    await expect(runtime.evaluate(() => reshape(x(), [-1, 4]))).rejects.toThrow(
      /reshape f32\[1.5,4\].*positive integer/,
    );
    await expect(runtime.evaluate(() => sum(constant([0, 2], [])))).rejects.toThrow(/constant f32\[0,2\].*positive/);
    await expect(runtime.evaluate(() => constant([6], [1, 2, 3, 4, 5, 6], 'f16'))).rejects.toThrow(
      'constant f16[6]: only what has a last extent that divides by 4 can be f16',
    );
  });

  it('for steps that cannot be built, which leaves nothing behind', async () => {
    const gpu = await testGpu();
    using runtime = new Runtime(gpu);
    const unallocated = new Resident('weights', f32([4]));
    const buffers: GPUBuffer[] = [];
    const create = gpu.device.createBuffer.bind(gpu.device);
    gpu.device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      buffers.push(buffer);
      buffer.destroy = () => {
        buffers.splice(buffers.indexOf(buffer), 1);
        return destroy();
      };
      return buffer;
    };
    try {
      using step = runtime.compile((x: Tensor) => exp(add(x, unallocated)));
      await expect(step.run(vector(1, 2, 3, 4))).rejects.toThrow('weights f32[4] has no memory yet');
      expect(buffers).toEqual([]);
    } finally {
      gpu.device.createBuffer = create;
    }
    // No scope is left that would take an error for its own: popping one is an error by itself.
    await expect(gpu.device.popErrorScope()).rejects.toThrow();
  });

  it('for a lost device', async () => {
    const gpu = await openGpu({ notice: () => {} });
    using runtime = new Runtime(gpu);
    using step = runtime.compile((x: Tensor) => sum(x));
    await step.run(vector(1, 2));
    gpu.device.destroy();
    await gpu.device.lost;
    await expect(step.run(vector(1, 2))).rejects.toThrow(DeviceLostError);
    await gpu.close();
  });
});

function limitsOf(limits: GPUSupportedLimits) {
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = limits;
  const { maxComputeWorkgroupsPerDimension, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = limits;
  return {
    maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupStorageSize,
    maxComputeWorkgroupsPerDimension,
    maxStorageBufferBindingSize,
    maxStorageBuffersPerShaderStage,
  };
}
