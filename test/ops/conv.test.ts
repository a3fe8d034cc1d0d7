/** What the generic suite does not see of matrix products and convolutions. */
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { apply1, constant, type Tensor } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import type { AdapterFacts, KernelContext, Op } from '../../src/tensor/op.js';
import { conv2d, conv2dFilterGradOp, conv2dInputGradOp, conv2dOp } from '../../src/tensor/ops/conv.js';
import { convParams } from '../../src/tensor/ops/conv_geometry.js';
import { add, mul } from '../../src/tensor/ops/elementwise.js';
import { matmul, matmulOp } from '../../src/tensor/ops/matmul.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { sampleValues } from '../../src/tensor/ops/sample_values.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { selectKernel } from '../../src/tensor/select.js';
import { traceStep } from '../../src/tensor/trace.js';
import { f32, hostTensor, type NdArray, type Shape } from '../../src/tensor/types.js';
import { relativeError } from '../support/compare.js';
import { GPU_FACTS } from '../support/facts.js';
import { testGpu } from '../support/gpu.js';

const infer = (op: Op, shapes: Shape[], params: unknown) => () => op.infer(shapes.map(f32), params);

describe('errors of shape inference', () => {
  const plain = convParams({});

  it('names the channels that do not match', () => {
    expect(
      infer(
        conv2dOp,
        [
          [2, 84, 84, 32],
          [3, 3, 64, 128],
        ],
        plain,
      ),
    ).toThrow('conv2d: filter [3,3,64,128] expects 64 channels, input [2,84,84,32] has 32');
  });

  it('names a filter that spans more than the image', () => {
    const dilated = convParams({ dilation: 4, padding: [1, 1, 0, 0] });
    expect(
      infer(
        conv2dOp,
        [
          [1, 8, 8, 4],
          [3, 3, 4, 4],
        ],
        dilated,
      ),
    ).toThrow(
      'conv2d: filter [3,3,4,4] with dilation 4 spans 9 pixels of width, input [1,8,8,4] with padding [1,1,0,0] has 8',
    );
  });

  it('names ranks, strides, dilations and paddings that make no sense', () => {
    expect(
      infer(
        conv2dOp,
        [
          [84, 84, 32],
          [3, 3, 32, 8],
        ],
        plain,
      ),
    ).toThrow('must be [batch,height,width,channels]');
    expect(
      infer(
        conv2dOp,
        [
          [1, 9, 9, 32],
          [3, 32, 8],
        ],
        plain,
      ),
    ).toThrow('must be [height,width,channels in,channels out]');
    const images = [
      [1, 9, 9, 4],
      [3, 3, 4, 4],
    ];
    expect(infer(conv2dOp, images, convParams({ stride: 0 }))).toThrow('conv2d: stride must be');
    expect(infer(conv2dOp, images, convParams({ dilation: [1, 1.5] }))).toThrow('conv2d: dilation must be');
    expect(infer(conv2dOp, images, convParams({ padding: -1 }))).toThrow('conv2d: padding must be');
  });

  it('names a gradient that is not of the output', () => {
    const params = { ...convParams({ stride: 2 }), inputShape: [1, 9, 9, 4] };
    expect(
      infer(
        conv2dInputGradOp,
        [
          [1, 9, 9, 8],
          [3, 3, 4, 8],
        ],
        params,
      ),
    ).toThrow(
      'conv2dInputGrad: input [1,9,9,4] and filter [3,3,4,8] give an output [1,4,4,8], but its gradient is [1,9,9,8]',
    );
    expect(
      infer(
        conv2dFilterGradOp,
        [
          [1, 9, 9, 4],
          [1, 4, 4, 7],
        ],
        { ...convParams({ stride: 2 }), filterShape: [3, 3, 4, 8] },
      ),
    ).toThrow('conv2dFilterGrad: input [1,9,9,4] and filter [3,3,4,8] give an output [1,4,4,8], but its gradient');
  });

  it('names matrices that do not fit, as they are multiplied', () => {
    const transposed = { transposeA: false, transposeB: true };
    expect(
      infer(
        matmulOp,
        [
          [4, 5],
          [5, 6],
        ],
        transposed,
      ),
    ).toThrow('matmul: [4,5] has 5 columns, [5,6] transposed has 6 rows');
    expect(
      infer(
        matmulOp,
        [
          [2, 4, 5],
          [3, 5, 6],
        ],
        { transposeA: false, transposeB: false },
      ),
    ).toThrow(
      'matmul: batch dimensions of [2,4,5] and [3,5,6] differ; they must be equal, or one operand a single matrix',
    );
    expect(infer(matmulOp, [[5], [5, 6]], transposed)).toThrow('matmul: expects matrices, got [5]');
  });
});

describe('second derivatives', () => {
  /** d/dx and d/dw of <v, d loss/dx> + <v', d loss/dw>, against central differences of the first gradients. */
  function checkSecond(inputs: NdArray[], loss: (a: Tensor, b: Tensor) => Tensor): void {
    const directions = inputs.map(({ shape }, i) => sampleValues(shape, 70 + i));
    const trace = traceStep((a: Tensor, b: Tensor) => {
      const [da, db] = grad(loss(a, b), [a, b]);
      const [va, vb] = directions.map(({ shape, data }) => constant(shape, data));
      const slope = add(sum(mul(da!, va!)), sum(mul(db!, vb!)));
      const [dda, ddb] = grad(slope, [a, b]);
      return { slope, dda: dda!, ddb: ddb! };
    }, inputs);
    const { slope, dda, ddb } = trace.structure as Record<string, Tensor>;
    const at = (wanted: Tensor, values: NdArray[]) => interpret(trace.graph, [wanted], { arguments: values })[0]!.data;
    for (const [which, second] of [dda!, ddb!].entries()) {
      const analytic = at(second, inputs);
      const h = 1e-5;
      const numeric = analytic.map((value, i) => {
        if (i % 7 !== 0) return value;
        const moved = (delta: number) =>
          inputs.map((array, j) =>
            j === which ? { ...array, data: array.data.map((x, k) => (k === i ? x + delta : x)) } : array,
          );
        return (at(slope!, moved(h))[0]! - at(slope!, moved(-h))[0]!) / (2 * h);
      });
      expect(relativeError(analytic, numeric)).toBeLessThan(1e-6);
    }
  }
  const squares = (y: Tensor) => sum(mul(y, mul(y, y)));

  it('of a strided, dilated convolution', () => {
    const options = { stride: [2, 1], dilation: [1, 2], padding: [1, 0, 2, 1] } as const;
    checkSecond([sampleValues([1, 5, 6, 2], 1), sampleValues([3, 2, 2, 3], 2)], (x, w) =>
      squares(conv2d(x, w, options)),
    );
  });

  it('of a matrix product with a shared operand', () => {
    checkSecond([sampleValues([2, 4, 3], 1), sampleValues([5, 4], 2)], (a, b) =>
      squares(matmul(a, b, { transposeA: true, transposeB: true })),
    );
  });
});

describe('kernel choice', () => {
  const facts = (cpu: boolean, features: string[] = ['subgroups']): AdapterFacts => ({
    cpu,
    features: new Set(features),
    limits: {
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupStorageSize: 16384,
      maxComputeWorkgroupsPerDimension: 65535,
      maxStorageBufferBindingSize: 2 ** 27,
      maxStorageBuffersPerShaderStage: 8,
    },
  });
  const chosen = (op: Op, shapes: Shape[], params: unknown, adapter: AdapterFacts) => {
    const inputs = shapes.map(f32);
    const context: KernelContext<unknown> = { inputs, outputs: op.infer(inputs, params), params, adapter };
    return selectKernel(op, context, {}).name;
  };
  const same = convParams({ padding: 1 });

  it.for([
    [[1, 42, 42, 256], [3, 3, 256, 256], same, 'winograd-quads', 'winograd-tiled'],
    [[1, 42, 42, 128], [3, 3, 128, 128], same, 'winograd-quads', 'tiled'],
    [[16, 20, 20, 32], [3, 3, 32, 16], same, 'quads', 'tiled'],
    [[1, 42, 42, 256], [1, 1, 256, 64], convParams({}), 'pointwise-quads', 'pointwise-tiled'],
    [[1, 42, 42, 256], [1, 1, 256, 64], convParams({ stride: 2 }), 'quads', 'tiled'],
    [[8, 64, 64, 3], [7, 7, 3, 64], convParams({ stride: 2, padding: 3 }), 'padded-quads', 'padded-tiled'],
  ] as const)('of %j %j', ([image, filter, params, cpu, gpu]) => {
    expect(chosen(conv2dOp, [image, filter], params, facts(true))).toBe(cpu);
    expect(chosen(conv2dOp, [image, filter], params, facts(false))).toBe(gpu);
    expect(chosen(conv2dOp, [image, filter], params, facts(true, []))).toBe('naive');
  });

  it('takes a variant that does not pay where it is asked for', () => {
    const inputs = [f32([1, 8, 8, 4]), f32([3, 3, 4, 4])];
    const context = { inputs, outputs: conv2dOp.infer(inputs, same), params: same, adapter: facts(false) };
    expect(selectKernel(conv2dOp, context, {}).name).toBe('tiled');
    expect(selectKernel(conv2dOp, context, { conv2d: 'winograd-tiled' }).name).toBe('winograd-tiled');
  });
});

it.each([
  [
    'matmul',
    matmulOp,
    [
      [70000, 4, 4],
      [70000, 4, 4],
    ],
    { transposeA: false, transposeB: false },
  ],
  [
    'conv2d',
    conv2dOp,
    [
      [2, 1024, 2048, 8],
      [5, 5, 8, 8],
    ],
    convParams({ padding: 2 }),
  ],
] as const)('%s takes a kernel whose dispatches the adapter allows', (_, op: Op, shapes, params) => {
  for (const cpu of [true, false]) {
    const adapter = { ...GPU_FACTS, cpu, features: new Set(['subgroups']) };
    const limits = { ...adapter.limits, maxStorageBufferBindingSize: 2 ** 31 };
    const inputs = shapes.map((shape) => f32(shape));
    const context = { inputs, outputs: op.infer(inputs, params), params, adapter: { ...adapter, limits } };
    for (const command of selectKernel(op, context, {}).commands(context))
      if ('source' in command) for (const count of command.workgroups) expect(count ?? 1).toBeLessThanOrEqual(65535);
  }
});

describe("Winograd's transforms", () => {
  const params = convParams({ padding: 1 });
  const run = async (op: Op, kernel: string, given: unknown, inputs: readonly NdArray[], largest = 2 ** 27) => {
    const { device, facts } = await testGpu();
    const limits = { ...GPU_FACTS.limits, maxStorageBufferBindingSize: largest };
    using runtime = new Runtime({ device, facts: { ...facts, limits } }, { kernels: { [op.name]: kernel } });
    using step = runtime.compile((...args: Tensor[]) => apply1(op, args, given));
    const { steps } = await step.plan(...inputs);
    const values = await (await step.run(...inputs.map(({ shape, data }) => hostTensor(shape, data)))).read();
    return { variant: steps[0]!.variant, dispatches: steps[0]!.commands.length, data: values.data };
  };

  it.for([
    ['windows of a convolution', conv2dOp, [1, 32, 32, 16], [3, 3, 16, 16], params, 7],
    [
      'windows of an input gradient',
      conv2dInputGradOp,
      [1, 32, 32, 16],
      [3, 3, 16, 16],
      { ...params, inputShape: [1, 32, 32, 16] },
      7,
    ],
    [
      'channels of a filter gradient',
      conv2dFilterGradOp,
      [1, 8, 8, 136],
      [1, 8, 8, 8],
      { ...params, filterShape: [3, 3, 136, 8] },
      7,
    ],
  ] as const)('take %s in parts where memory is short', async ([, op, first, second, given, dispatches]) => {
    const inputs = [sampleValues(first, 1), sampleValues(second, 2)];
    const direct = await run(op, 'naive', given, inputs);
    const whole = await run(op, 'winograd-quads', given, inputs);
    const parts = await run(op, 'winograd-quads', given, inputs, 200_000);
    expect([whole.variant, whole.dispatches]).toEqual(['winograd-quads', 4]);
    expect([parts.variant, parts.dispatches]).toEqual(['winograd-quads', dispatches]);
    expect(relativeError(parts.data, direct.data)).toBeLessThan(1e-5);
    expect(parts.data).toEqual(whole.data);
  });
});
