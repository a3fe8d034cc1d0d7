/**
 * Every head, and every family of backbones, against PyTorch, forward and backward, with batch and with running statistics.
 * `scripts/goldens/designs.py` says how parameters are made and gradients compared.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { toHostTensor } from '../../src/checkpoints/host_tensors.js';
import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import { deeplabV2Head } from '../../src/models/deeplab_v2.js';
import { type DeeplabV3Spec, deeplabV3Head } from '../../src/models/deeplab_v3.js';
import { type DeeplabV3PlusSpec, deeplabV3PlusHead } from '../../src/models/deeplab_v3plus.js';
import type { HeadBuilder } from '../../src/models/design.js';
import type { HeadName } from '../../src/models/designs.js';
import { fcnHead } from '../../src/models/fcn.js';
import { Pass } from '../../src/models/layers.js';
import { type MobileNetV2Spec, mobileNetV2 } from '../../src/models/mobilenet_v2.js';
import { assembleNetwork, type Network } from '../../src/models/network.js';
import { allocateParameters, type Parameter } from '../../src/models/parameter.js';
import { type PspSpec, pspHead } from '../../src/models/pspnet.js';
import { type ResNetSpec, resNet } from '../../src/models/resnet.js';
import { type SkipHeadSpec, skipHead } from '../../src/models/skip_head.js';
import type { Tensor } from '../../src/tensor/graph.js';
import { mul } from '../../src/tensor/ops/elementwise.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { type HostTensor, hostTensor, type Shape } from '../../src/tensor/types.js';
import { expectClose } from '../support/compare.js';
import { readFixture, readJsonFixture } from '../support/files.js';
import { between } from '../support/formula.js';
import { testGpu } from '../support/gpu.js';
import { PLAIN_CONVOLUTIONS } from '../support/plain_kernels.js';

interface Params {
  readonly backbone:
    | { readonly kind: 'resnet'; readonly spec: ResNetSpec }
    | { readonly kind: 'mobilenet-v2'; readonly spec: MobileNetV2Spec };
  readonly head: { readonly name: HeadName; readonly options: object };
  /** Of the backbone and of the head. */
  readonly decay: readonly [number, number];
  readonly epsilon: number;
  readonly draw: number;
  readonly shape: Shape;
  readonly outputs: number;
  readonly statistics: 'batch' | 'running';
  /** Names of the rows of `outputs/batch` and `grads/all`. */
  readonly batch: readonly string[];
  readonly gradients: readonly string[];
}

const HEADS: Record<HeadName, (options: object) => HeadBuilder> = {
  psp: (options) => pspHead(options as PspSpec),
  'deeplab-v2': (options) => deeplabV2Head((options as { rates: readonly number[] }).rates),
  fcn: () => fcnHead(),
  'deeplab-v3': (options) => deeplabV3Head(options as DeeplabV3Spec),
  'deeplab-v3plus': (options) => deeplabV3PlusHead(options as DeeplabV3PlusSpec),
  skip: (options) => skipHead(options as SkipHeadSpec),
};

function build({ backbone, head, outputs }: Params): Network {
  return assembleNetwork(
    { outputs },
    {
      backbone: backbone.kind === 'resnet' ? resNet(backbone.spec) : mobileNetV2(backbone.spec),
      head: HEADS[head.name](head.options),
    },
  );
}

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  gamma: [0.6, 1.4],
  beta: [-0.3, 0.3],
  biases: [-0.3, 0.3],
  moving_mean: [-0.3, 0.3],
  moving_variance: [0.5, 1.5],
};

function drawn({ name, shape }: Parameter, draw: number): HostTensor {
  const role = name.slice(name.lastIndexOf('/') + 1);
  const fanIn = shape.slice(0, role === 'depthwise_weights' ? 2 : 3).reduce((product, n) => product * n, 1);
  const limit = Math.sqrt(6 / fanIn);
  const [low, high] = RANGES[role] ?? [-limit, limit];
  return hostTensor(shape, between(`${draw} ${name}`, shape, low, high));
}

/** Product with the formula's vector, and length. */
function measured(name: string, { data }: HostTensor): readonly [number, number] {
  const direction = between(`${name} direction`, [data.length], -1, 1);
  let product = 0;
  let squares = 0;
  for (const [i, value] of data.entries()) {
    product += value * direction[i]!;
    squares += value * value;
  }
  return [product, Math.sqrt(squares)];
}

/** The rows of `expected` [names,2] against the values by name, relative to the expected lengths. */
function expectMeasured(
  values: ReadonlyMap<string, HostTensor>,
  names: readonly string[],
  expected: HostTensor,
  tolerance: number,
): void {
  expect([...values.keys()]).toEqual(expect.arrayContaining([...names]));
  for (const [row, name] of names.entries()) {
    const [product, length] = measured(name, values.get(name)!);
    const [expectedProduct, expectedLength] = expected.data.subarray(2 * row, 2 * row + 2) as Float32Array;
    const error = Math.max(Math.abs(product - expectedProduct!), Math.abs(length - expectedLength!)) / expectedLength!;
    if (!(error <= tolerance))
      throw new Error(`${name}: (${product}, ${length}) instead of (${expectedProduct}, ${expectedLength})`);
  }
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = new Runtime(await testGpu(), { kernels: PLAIN_CONVOLUTIONS });
});
afterAll(() => runtime[Symbol.dispose]());

const { design: cases } = await readJsonFixture<{ design: string[] }>('goldens/index.json');
describe('designs', () => {
  it.for(cases)('%s', async (name) => {
    const file = `goldens/${name}.safetensors`;
    const { tensors, metadata } = parseSafetensors(await readFixture(file), file);
    const params: Params = JSON.parse(metadata.params!);
    const expected = (key: string) => toHostTensor(tensors.get(key)!, file, key);
    const network = build(params);
    const { parameters } = network;
    for (const { role, part, decay } of parameters)
      if (role === 'statistic') expect(decay).toBe(params.decay[part === 'backbone' ? 0 : 1]);
    expect(network.backbone.batchNorm.epsilon).toBe(params.epsilon);

    const groups = allocateParameters(runtime, parameters, () => ({}), 0);
    for (const parameter of parameters) runtime.write(parameter, drawn(parameter, params.draw));
    const golden = expected('outputs/y');
    const trained = parameters.filter(({ role }) => role !== 'statistic');
    using step = runtime.compile((x, dy) => {
      const pass = new Pass({ batchStatistics: params.statistics === 'batch' });
      const y = network.forward(x, pass);
      const gradients = grad(sum(mul(y, dy)), [x, ...trained]);
      const observed = [...pass.observed].map(([of, value]): [string, Tensor] => [`batch ${of.name}`, value]);
      const named = ['x', ...trained.map((parameter) => parameter.name)].map((of, i): [string, Tensor] => [
        `grad ${of}`,
        gradients[i]!,
      ]);
      return { y, ...Object.fromEntries([...observed, ...named]) };
    }, name);
    const results = await step.run(
      hostTensor(params.shape, between(`${params.draw} x`, params.shape, -2, 2)),
      hostTensor(golden.shape, between(`${params.draw} dy`, golden.shape, -1, 1)),
    );
    const values = new Map<string, HostTensor>();
    for (const [key, result] of Object.entries(results)) values.set(key, await result.read());
    const under = (prefix: string) =>
      new Map(
        [...values].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), value]),
      );

    expectClose(values.get('y')!, golden, 1e-4, `${name}: y`);
    if (params.statistics === 'batch') expectMeasured(under('batch '), params.batch, expected('outputs/batch'), 1e-4);
    expect(under('batch ').size).toBe(params.batch.length);
    expectMeasured(under('grad '), params.gradients, expected('grads/all'), 1e-3);
    for (const { group } of groups) group[Symbol.dispose]();
  });
});
