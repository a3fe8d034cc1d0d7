/** Whose weights a file holds, where each tensor goes, and what is refused. */
import { describe, expect, it } from 'vitest';
import { openSafetensors } from '../../src/checkpoints/safetensors.js';
import { serializeSafetensors } from '../../src/checkpoints/safetensors_writer.js';
import type { StoredTensor, TensorFile } from '../../src/checkpoints/tensor_file.js';
import { deeplabV3Head } from '../../src/models/deeplab_v3.js';
import { namingOf } from '../../src/models/naming.js';
import { assembleNetwork, buildNetwork, type Network } from '../../src/models/network.js';
import { pspHead } from '../../src/models/pspnet.js';
import { type ResNetVariant, resNet } from '../../src/models/resnet.js';
import { matchWeights, readWeights, recogniseWeights } from '../../src/models/weights.js';
import { memoryFile } from '../../src/platform/files.js';
import { type Shape, sizeOf } from '../../src/tensor/types.js';
import { between } from '../support/formula.js';
import { deeplabV3State, mobileNetV2State, resNetState } from '../support/torchvision.js';

const UNITS = [1, 1, 1, 1];
const WIDTH = 4;

const fileOf = (tensors: ReadonlyMap<string, StoredTensor>, name = 'weights.bin'): Promise<TensorFile> =>
  openSafetensors(memoryFile(serializeSafetensors(tensors), name));

function resNet14(variant: ResNetVariant): Parameters<typeof assembleNetwork>[1]['backbone'] {
  const strides = variant === 'tf-slim' ? [2, 2, 2, 1] : [1, 2, 2, 2];
  return resNet({
    name: variant === 'tf-slim' ? 'resnet_v1_14' : 'resnet14',
    variant,
    unit: 'bottleneck',
    stem: { filters: WIDTH, kernel: 7, stride: 2, pool: true },
    blocks: UNITS.map((units, i) => ({ units, filters: WIDTH * 2 ** i, stride: strides[i]! })),
    outputStride: 8,
  });
}

const torchNetwork = () =>
  assembleNetwork({ outputs: 5 }, { backbone: resNet14('torchvision'), head: deeplabV3Head({ filters: 8 }) });
const slimNetwork = () =>
  assembleNetwork({ outputs: 5 }, { backbone: resNet14('tf-slim'), head: pspHead({ bins: [1, 2], filters: 4 }) });

/** A tensor for every parameter, under its own name. */
function ownTensors({ parameters }: Network): Map<string, StoredTensor> {
  return new Map(
    parameters.map(({ name, shape }) => [name, { dtype: 'F32', shape, data: between(name, shape, -1, 1) }] as const),
  );
}

const counting = (shape: Shape) => Float32Array.from({ length: sizeOf(shape) }, (_, i) => i);

describe('the weights of a file', () => {
  it('are recognised by their names', async () => {
    const title = async (tensors: Map<string, StoredTensor>) => recogniseWeights(await fileOf(tensors));
    expect(await title(resNetState([3, 4, 6, 3], { width: 1 }))).toBe("torchvision's ResNet-50");
    expect(await title(resNetState(UNITS, { width: 1, prefix: 'module.' }))).toBe("torchvision's ResNet-14");
    expect(await title(deeplabV3State([3, 4, 23, 3], { width: 1, filters: 2 }))).toBe(
      "torchvision's ResNet-101 with its DeepLabv3 head",
    );
    expect(await title(mobileNetV2State())).toBe("torchvision's MobileNetV2");
    expect(await title(ownTensors(slimNetwork()))).toBe("TF-Slim's ResNet-14");
    expect(await title(new Map([['a', { dtype: 'F32', shape: [1], data: new Float32Array(1) }]]))).toBeNull();
  });

  it.each([
    ['', ''],
    [', behind DataParallel', 'module.'],
  ])('find a place for every tensor but classifiers and counters%s', async (_, prefix) => {
    const network = torchNetwork();
    const state = deeplabV3State(UNITS, { width: WIDTH, filters: 8, outputs: 5 });
    const file = await fileOf(new Map([...state].map(([name, tensor]) => [`${prefix}${name}`, tensor])));
    expect(recogniseWeights(file)).toBe("torchvision's ResNet-14 with its DeepLabv3 head");
    const { found, report } = matchWeights(network, file, { head: true });
    expect([...found.keys()]).toEqual(network.parameters);
    expect(new Set([...found.values()].map(({ name }) => name)).size).toBe(network.parameters.length);
    expect(report.skipped).toEqual([]);
    expect(report.unused.filter((name) => !name.endsWith('num_batches_tracked'))).toEqual([]);
  });

  it('may come without a head', async () => {
    const network = torchNetwork();
    const file = await fileOf(resNetState(UNITS, { width: WIDTH, classes: 10 }));
    const { report } = matchWeights(network, file, { head: false });
    const ofHead = network.parameters.filter(({ part }) => part === 'head').map(({ name }) => name);
    expect(report.skipped).toEqual(ofHead);
    expect(report.loaded.length).toBe(network.parameters.length - ofHead.length);
    expect(report.unused).toContain('fc.weight');
    expect(() => matchWeights(network, file, { head: true })).toThrow(
      /does not fit resnet14 with the head deeplab-v3:\n {2}resnet14\/aspp0\/weights is missing.*and \d+ more\nOnly the head does not fit: leave it out \(--not-restore-head\)/s,
    );
  });

  it('are turned to our layout, and take up the scale of the colours', async () => {
    const conv1 = { dtype: 'F32', shape: [2, 3, 7, 7], data: counting([2, 3, 7, 7]) } as const;
    const state = resNetState(UNITS, { width: 2 }).set('conv1.weight', conv1);
    const network = assembleNetwork(
      { outputs: 5 },
      {
        backbone: resNet({
          name: 'resnet14',
          variant: 'torchvision',
          unit: 'bottleneck',
          stem: { filters: 2, kernel: 7, stride: 2, pool: true },
          blocks: [1, 2, 2, 2].map((stride, i) => ({ units: 1, filters: 2 * 2 ** i, stride })),
          outputStride: 32,
        }),
        head: pspHead({ bins: [1], filters: 4 }),
      },
    );
    const file = await fileOf(state);
    const { found } = matchWeights(network, file, { head: false });
    const parameter = network.parameters.find(({ name }) => name === 'resnet14/conv1/weights')!;
    const { shape, data } = await readWeights(file, parameter, found.get(parameter)!);
    expect(shape).toEqual([7, 7, 3, 2]);
    const std = [0.229, 0.224, 0.225];
    for (const [y, x, c, f] of [
      [0, 0, 0, 0],
      [3, 5, 2, 1],
      [6, 1, 1, 0],
    ] as const) {
      const stored = ((f * 3 + c) * 7 + y) * 7 + x;
      expect(data[((y * 7 + x) * 3 + c) * 2 + f]).toBeCloseTo(stored / (255 * std[c]!), 5);
    }
  });

  it('of a depthwise convolution keep the order of their channels', async () => {
    const name = 'features.2.conv.1.0.weight';
    const shape = [96, 1, 3, 3];
    const file = await fileOf(mobileNetV2State().set(name, { dtype: 'F32', shape, data: counting(shape) }));
    const path = 'block2/unit_1/depthwise/depthwise_weights';
    const source = namingOf(file)!.find(path)!;
    expect(source).toEqual({ name, layout: 'depthwise-oihw', inputScale: null });
    const { parameters } = buildNetwork({ backbone: 'mobilenet-v2', outputs: 3 });
    const read = await readWeights(file, parameters.find((one) => one.name === `mobilenet_v2/${path}`)!, source);
    expect(read.shape).toEqual([3, 3, 96, 1]);
    expect([...read.data]).toEqual(Array.from({ length: 9 * 96 }, (_, i) => (i % 96) * 9 + Math.floor(i / 96)));
  });

  it('with the shapes of the other variant are refused', async () => {
    const torch = await fileOf(resNetState([3, 4, 6, 3], { width: 1 }), 'resnet50.pth');
    const slim = buildNetwork({ backbone: 'resnet50', outputs: 5 });
    expect(() => matchWeights(slim, torch, { head: false })).toThrow(
      /^resnet50\.pth holds torchvision's ResNet-50, the network is resnet_v1_50 \(tf-slim\)\. TF-Slim's ResNet strides in the last unit of a block and torchvision's in the first.*Choose the backbone resnet50-torchvision/,
    );
    const other = await fileOf(ownTensors(slimNetwork()), 'model.ckpt');
    expect(() => matchWeights(torchNetwork(), other, { head: false })).toThrow(
      /^model\.ckpt holds TF-Slim's ResNet-14, the network is resnet14 \(torchvision\)\. TF-Slim's ResNet strides/,
    );
  });

  it('of another depth or width are refused', async () => {
    const deeper = await fileOf(resNetState([1, 2, 1, 1], { width: WIDTH }));
    expect(() => matchWeights(torchNetwork(), deeper, { head: false })).toThrow(/holds torchvision's ResNet-17/);
    const wider = await fileOf(resNetState(UNITS, { width: 2 * WIDTH }));
    expect(() => matchWeights(torchNetwork(), wider, { head: false })).toThrow(
      /conv1\.weight is \[8,3,7,7\], resnet14\/conv1\/weights has \[7,7,3,4\]/,
    );
  });

  it('that no network of ours has are refused with what is there', async () => {
    const file = await fileOf(new Map([['encoder/kernel', { dtype: 'F32', shape: [1], data: new Float32Array(1) }]]));
    expect(() => matchWeights(slimNetwork(), file, { head: true })).toThrow(
      'does not hold weights of a known network: encoder/kernel.',
    );
  });
});
