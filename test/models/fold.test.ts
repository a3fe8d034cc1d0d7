/** Batch norm folded into convolutions gives the same network. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deeplabV3PlusHead } from '../../src/models/deeplab_v3plus.js';
import { foldBatchNorm } from '../../src/models/fold.js';
import { Pass } from '../../src/models/layers.js';
import { mobileNetV2 } from '../../src/models/mobilenet_v2.js';
import { assembleNetwork, type Network } from '../../src/models/network.js';
import { allocateParameters } from '../../src/models/parameter.js';
import { Random } from '../../src/tensor/random.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { type HostTensor, hostTensor, sizeOf } from '../../src/tensor/types.js';
import { expectClose } from '../support/compare.js';
import { testGpu } from '../support/gpu.js';
import { PLAIN_CONVOLUTIONS } from '../support/plain_kernels.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = new Runtime(await testGpu(), { kernels: PLAIN_CONVOLUTIONS });
});
afterAll(() => runtime[Symbol.dispose]());

const SHAPE = [2, 32, 32, 3] as const;
const random = new Random({ seed: 5, stream: 0 });
const values = (shape: readonly number[], low: number, high: number) =>
  hostTensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.between(low, high)),
  );

/** A narrow MobileNetV2 with DeepLabv3+: plain and depthwise convolutions, biases, residuals; with trained-looking statistics. */
function network(): { network: Network; change: () => void } {
  const network = assembleNetwork(
    { outputs: 5 },
    {
      backbone: mobileNetV2({ widthMultiplier: 0.1, outputStride: 8 }),
      head: deeplabV3PlusHead({ filters: 8, lowLevel: 4 }),
    },
  );
  allocateParameters(runtime, network.parameters, () => ({}), 3);
  const change = () => {
    for (const parameter of network.parameters) {
      if (parameter.name.endsWith('moving_variance')) runtime.write(parameter, values(parameter.shape, 0.3, 2));
      else if (parameter.role !== 'weights') runtime.write(parameter, values(parameter.shape, -0.5, 0.5));
    }
  };
  change();
  return { network, change };
}

async function outputOf(network: Network, images: HostTensor): Promise<HostTensor> {
  using step = runtime.compile((x) => network.forward(x, new Pass({ batchStatistics: false })), 'forward');
  return await (await step.run(images)).read();
}

it('agrees with the network it was made of, and again after its weights have changed', async () => {
  const { network: plain, change } = network();
  const images = values(SHAPE, -100, 150);
  using folded = await foldBatchNorm(runtime, plain);
  const before = await outputOf(plain, images);
  expectClose(await outputOf(folded, images), before, 1e-5, 'folded');
  change();
  const after = await outputOf(plain, images);
  expect(() => expectClose(after, before, 1e-2, 'changed')).toThrow();
  await folded.fold();
  expectClose(await outputOf(folded, images), after, 1e-5, 'folded again');
});

it('has no batch norm left, and refuses batch statistics', async () => {
  const { network: plain } = network();
  using folded = await foldBatchNorm(runtime, plain);
  using step = runtime.compile((x) => folded.forward(x, new Pass({ batchStatistics: false })), 'forward');
  const table = await step.describe({ shape: SHAPE, dtype: 'f32' });
  expect(table).toContain('conv2d');
  expect(table).not.toContain('normalize');
  using wrong = runtime.compile((x) => folded.forward(x, new Pass({ batchStatistics: true })), 'forward');
  await expect(wrong.run(values(SHAPE, 0, 1))).rejects.toThrow(
    "mobilenet_v2_0.1: a network with folded batch norm cannot use the batch's statistics",
  );
});
