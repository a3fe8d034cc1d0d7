/**
 * torchvision's own networks, at full size and depth, through the reader of `.pth` files: what
 * `scripts/goldens/torchvision_models.py` computed with torchvision's classes.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { openTensorFile } from '../../src/checkpoints/open.js';
import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import type { StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { deeplabV3Head } from '../../src/models/deeplab_v3.js';
import type { HeadBuilder } from '../../src/models/design.js';
import { Pass } from '../../src/models/layers.js';
import { mobileNetV2 } from '../../src/models/mobilenet_v2.js';
import { assembleNetwork, type Network } from '../../src/models/network.js';
import { resNet, resnet101 } from '../../src/models/resnet.js';
import { restoreWeights } from '../../src/models/weights.js';
import { memoryFile } from '../../src/platform/files.js';
import type { Tensor } from '../../src/tensor/graph.js';
import { FlatGroup } from '../../src/tensor/resident.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { type HostTensor, hostTensor } from '../../src/tensor/types.js';
import { relativeError } from '../support/compare.js';
import { readFixture } from '../support/files.js';
import { between } from '../support/formula.js';
import { testGpu } from '../support/gpu.js';
import { torchFile } from '../support/torch_writer.js';
import { deeplabV3State, mobileNetV2State } from '../support/torchvision.js';

const SIZE = 48;
const UNITS = [3, 4, 23, 3];
const STD = [0.229, 0.224, 0.225];

const runtimes: Runtime[] = [];
afterAll(() => runtimes[0]?.[Symbol.dispose]());

/** The last features of the backbone, beside what the head makes of them. */
function watched(head: HeadBuilder | null): { readonly head: HeadBuilder; features(): Tensor } {
  let seen: Tensor | undefined;
  return {
    head(scope, backbone, outputs) {
      const inner = head?.(scope, backbone, outputs);
      const layer = (levels: readonly Tensor[], pass: Pass) => {
        seen = levels.at(-1)!;
        return inner?.layer(levels, pass) ?? seen;
      };
      return { name: 'features', outputStride: backbone.outputStride, multiple: 1, ...inner, layer };
    },
    features: () => seen!,
  };
}

/** The colours, less their mean, that torchvision's transforms turn into the golden's image. */
function image(): HostTensor {
  const data = between('image', [1, SIZE, SIZE, 3], -120, 135).map((value, i) => value * 255 * STD[i % 3]!);
  return hostTensor([1, SIZE, SIZE, 3], data);
}

/** Reads a state dict into a network and runs it on the golden's image. */
async function run(network: Network, features: () => Tensor, state: ReadonlyMap<string, StoredTensor>) {
  if (runtimes.length === 0) runtimes.push(new Runtime(await testGpu()));
  const runtime = runtimes[0]!;
  using parameters = new FlatGroup('parameters', network.parameters);
  runtime.allocate(parameters);
  await using file = await openTensorFile(memoryFile(torchFile(state), 'model.pth'));
  const report = await restoreWeights(runtime, network, file, { head: true });
  const pass = new Pass({ batchStatistics: false });
  using forward = runtime.compile((x) => {
    const y = network.forward(x, pass);
    return { y, features: features() };
  }, 'forward');
  const results = await forward.run(image());
  return { report, y: await results.y.read(), features: await results.features.read() };
}

async function golden(name: string): Promise<ArrayLike<number>> {
  const file = 'goldens/torchvision_models.safetensors';
  return parseSafetensors(await readFixture(file), file).tensors.get(name)!.data as Float32Array;
}

/** Every sixteenth channel, as the golden has them. */
const thinned = ({ shape, data }: HostTensor) => data.filter((_, i) => (i % shape[3]!) % 16 === 0);

describe('torchvision', { timeout: 240_000 }, () => {
  it('has the same features and logits in its DeepLabv3 with ResNet-101, read from a .pth file', async () => {
    const { head, features } = watched(deeplabV3Head());
    const backbone = resNet(resnet101(8, 'torchvision'));
    const network = assembleNetwork({ outputs: 21 }, { backbone, head });
    const result = await run(network, features, deeplabV3State(UNITS));
    expect(result.report.title).toBe("torchvision's ResNet-101 with its DeepLabv3 head");
    expect(result.report.loaded.length).toBe(network.parameters.length);
    expect(result.report.unused.every((name) => name.endsWith('num_batches_tracked'))).toBe(true);
    expect(relativeError(thinned(result.features), await golden('resnet101/features'))).toBeLessThan(1e-3);
    expect(relativeError(result.y.data, await golden('deeplabv3_resnet101/logits'))).toBeLessThan(1e-3);
  });

  it('has the same features in its MobileNetV2', async () => {
    const { head, features } = watched(null);
    const backbone = mobileNetV2({ outputStride: 8, lastChannels: 1280 });
    const network = assembleNetwork({ outputs: 1280 }, { backbone, head });
    const result = await run(network, features, mobileNetV2State());
    expect(result.report.title).toBe("torchvision's MobileNetV2");
    expect(relativeError(thinned(result.features), await golden('mobilenet_v2/features'))).toBeLessThan(1e-3);
  });
});
