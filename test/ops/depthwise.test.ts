/** What the generic suite does not see of depthwise convolutions. */
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { constant, type Tensor } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import type { Op } from '../../src/tensor/op.js';
import { conv2d } from '../../src/tensor/ops/conv.js';
import { convParams } from '../../src/tensor/ops/conv_geometry.js';
import {
  depthwiseConv2d,
  depthwiseConv2dFilterGradOp,
  depthwiseConv2dInputGradOp,
  depthwiseConv2dOp,
} from '../../src/tensor/ops/depthwise.js';
import { add, mul } from '../../src/tensor/ops/elementwise.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { sampleValues } from '../../src/tensor/ops/sample_values.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { selectKernel } from '../../src/tensor/select.js';
import { traceStep } from '../../src/tensor/trace.js';
import { f32, hostTensor, type NdArray, ndarray, type Shape } from '../../src/tensor/types.js';
import { expectClose, relativeError } from '../support/compare.js';
import { testGpu } from '../support/gpu.js';
import { testOps } from '../support/op_suite.js';

describe('errors of shape inference', () => {
  const infer = (op: Op, a: Shape, b: Shape, params: unknown) => () => op.infer([f32(a), f32(b)], params);
  const plain = convParams({});

  it('names the channels that do not match', () => {
    expect(infer(depthwiseConv2dOp, [2, 84, 84, 32], [3, 3, 64, 1], plain)).toThrow(
      'depthwiseConv2d: filter [3,3,64,1] expects 64 channels, input [2,84,84,32] has 32',
    );
  });

  it('names filters that are no filters, and that span more than the image', () => {
    expect(infer(depthwiseConv2dOp, [1, 9, 9, 4], [3, 3, 4], plain)).toThrow(
      'depthwiseConv2d: the filter must be [height,width,channels,multiplier], not [3,3,4]',
    );
    expect(infer(depthwiseConv2dOp, [1, 8, 8, 4], [3, 3, 4, 1], convParams({ dilation: 4 }))).toThrow(
      'depthwiseConv2d: filter [3,3,4,1] with dilation 4 spans 9 pixels of height',
    );
  });

  it('names a gradient that is not of the output', () => {
    const params = convParams({ stride: 2 });
    const message = 'input [1,9,9,4] and filter [3,3,4,2] give an output [1,4,4,8], but its gradient is [1,4,4,4]';
    const inputGrad = { ...params, inputShape: [1, 9, 9, 4] };
    expect(infer(depthwiseConv2dInputGradOp, [1, 4, 4, 4], [3, 3, 4, 2], inputGrad)).toThrow(message);
    const filterGrad = { ...params, filterShape: [3, 3, 4, 2] };
    expect(infer(depthwiseConv2dFilterGradOp, [1, 9, 9, 4], [1, 4, 4, 4], filterGrad)).toThrow(message);
  });
});

it('is an ordinary convolution whose filter lets no channels mix', () => {
  const [channels, multiplier] = [3, 2];
  const image = sampleValues([2, 7, 6, channels], 1);
  const filter = sampleValues([3, 2, channels, multiplier], 2);
  const full = ndarray([3, 2, channels, channels * multiplier]);
  for (const [i, weight] of filter.data.entries()) {
    const channel = Math.floor(i / multiplier) % channels;
    const tap = Math.floor(i / (channels * multiplier));
    full.data[(tap * channels + channel) * channels * multiplier + (i % (channels * multiplier))] = weight;
  }
  const options = { stride: [1, 2], dilation: [2, 1], padding: [1, 2, 0, 3] } as const;
  const inputs = [image, filter, full];
  const trace = traceStep((x: Tensor, separate: Tensor, dense: Tensor) => {
    return { depthwise: depthwiseConv2d(x, separate, options), ordinary: conv2d(x, dense, options) };
  }, inputs);
  const { depthwise, ordinary } = trace.structure as Record<string, Tensor>;
  const [a, b] = interpret(trace.graph, [depthwise!, ordinary!], { arguments: inputs });
  expectClose(a!, b!, 1e-12, 'depthwise against ordinary');
});

it('has second derivatives, also where a filter is used twice', () => {
  const inputs = [sampleValues([1, 5, 6, 2], 1), sampleValues([3, 2, 2, 1], 2)];
  const directions = inputs.map(({ shape }, i) => sampleValues(shape, 70 + i));
  const trace = traceStep((x: Tensor, w: Tensor) => {
    const once = depthwiseConv2d(x, w, { dilation: [1, 2], padding: [1, 1, 2, 0] });
    const y = depthwiseConv2d(once, w, { stride: [2, 1], padding: 1 });
    const [dx, dw] = grad(sum(mul(y, mul(y, y))), [x, w]);
    const [vx, vw] = directions.map(({ shape, data }) => constant(shape, data));
    const slope = add(sum(mul(dx!, vx!)), sum(mul(dw!, vw!)));
    const [ddx, ddw] = grad(slope, [x, w]);
    return { slope, ddx: ddx!, ddw: ddw! };
  }, inputs);
  const { slope, ddx, ddw } = trace.structure as Record<string, Tensor>;
  const at = (wanted: Tensor, values: NdArray[]) => interpret(trace.graph, [wanted], { arguments: values })[0]!.data;
  for (const [which, second] of [ddx!, ddw!].entries()) {
    const analytic = at(second, inputs);
    const numeric = analytic.map((_, i) => {
      const moved = (delta: number) =>
        inputs.map((array, j) =>
          j === which ? { ...array, data: array.data.map((x, k) => (k === i ? x + delta : x)) } : array,
        );
      return (at(slope!, moved(1e-5))[0]! - at(slope!, moved(-1e-5))[0]!) / 2e-5;
    });
    expect(relativeError(analytic, numeric)).toBeLessThan(1e-6);
  }
});

it('sums a filter gradient in the same order every time', async () => {
  const { device, facts } = await testGpu();
  const runtime = new Runtime({ device, facts });
  const [x, w] = [sampleValues([40, 24, 6, 4], 1), sampleValues([3, 3, 4, 1], 2)].map(({ shape, data }) =>
    hostTensor(shape, data),
  );
  const step = runtime.compile((image: Tensor, filter: Tensor) => {
    const y = depthwiseConv2d(image, filter, { padding: 1 });
    return { gradient: grad(sum(mul(y, y)), [filter])[0]! };
  });
  const first = (await (await step.run(x!, w!)).gradient!.read()).data.slice();
  for (let i = 0; i < 3; i++) expect((await (await step.run(x!, w!)).gradient!.read()).data).toEqual(first);
  runtime[Symbol.dispose]();
});

describe('kernel choice', () => {
  const same = (stride: number, dilation: number) => convParams({ stride, dilation, padding: dilation });
  it.for([
    ['of MobileNetV2', [1, 56, 56, 96], [3, 3, 96, 1], same(1, 1), ['window', 'window', 'window']],
    ['at stride 2', [1, 56, 56, 96], [3, 3, 96, 1], same(2, 1), ['window', 'window-stride2', 'window']],
    ['of an atrous one', [1, 42, 42, 256], [3, 3, 256, 1], same(1, 12), ['window', 'window', 'window']],
    ['of a stranger one', [1, 42, 42, 256], [5, 5, 256, 1], same(2, 2), ['taps', 'taps', 'taps']],
    ['with a multiplier', [1, 56, 56, 96], [3, 3, 96, 2], same(1, 1), ['naive', 'naive', 'naive']],
  ] as const)('%s', async ([, image, filter, params, names]) => {
    const adapter = (await testGpu()).facts;
    const y = depthwiseConv2dOp.infer([f32(image), f32(filter)], params)[0]!;
    const chosen = <P>(op: Op<P>, inputs: Shape[], given: P) => {
      const types = inputs.map(f32);
      const context = { inputs: types, outputs: op.infer(types, given), params: given, adapter };
      return selectKernel(op, context, {}).name;
    };
    expect([
      chosen(depthwiseConv2dOp, [image, filter], params),
      chosen(depthwiseConv2dInputGradOp, [y.shape, filter], { ...params, inputShape: image }),
      chosen(depthwiseConv2dFilterGradOp, [image, y.shape], { ...params, filterShape: filter }),
    ]).toEqual(names);
  });
});

/** The short strips, for GPUs: the generic suite runs a kernel under one kind of adapter, and with long strips. */
const inShortStrips = <P>(op: Op<P>): Op<P> => ({
  ...op,
  name: `${op.name} in short strips`,
  grad: undefined,
  kernels: op
    .kernels!.filter((kernel) => kernel.name.startsWith('window'))
    .map((kernel) => ({
      ...kernel,
      when: (context) => !context.adapter.cpu && (kernel.when?.(context) ?? true),
    })),
  samples: () => op.samples().filter(({ inputs: [a] }) => a!.shape[1]! > 8),
});
testOps([
  inShortStrips(depthwiseConv2dOp),
  inShortStrips(depthwiseConv2dInputGradOp),
  inShortStrips(depthwiseConv2dFilterGradOp),
]);
