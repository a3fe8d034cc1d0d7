/** The networks as they are declared and planned; what they compute is compared with PyTorch in `designs.test.ts`. */
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { deeplabV3PlusHead } from '../../src/models/deeplab_v3plus.js';
import { BACKBONES, defaultHead, HEAD_NAMES } from '../../src/models/designs.js';
import { fcnHead } from '../../src/models/fcn.js';
import { Pass } from '../../src/models/layers.js';
import { mobileNetV2, roundChannels } from '../../src/models/mobilenet_v2.js';
import { assembleNetwork, buildNetwork, type Network, type NetworkSpec } from '../../src/models/network.js';
import type { Part } from '../../src/models/parameter.js';
import { resNet, resnet50 } from '../../src/models/resnet.js';
import type { Tensor } from '../../src/tensor/graph.js';
import type { AdapterFacts } from '../../src/tensor/op.js';
import { square } from '../../src/tensor/ops/elementwise.js';
import { mean } from '../../src/tensor/ops/reduce.js';
import { makePlan } from '../../src/tensor/plan.js';
import { traceStep } from '../../src/tensor/trace.js';
import { f32, sizeOf } from '../../src/tensor/types.js';

const adapter: AdapterFacts = {
  cpu: false,
  features: new Set(),
  limits: {
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBufferBindingSize: 2 ** 31,
    maxStorageBuffersPerShaderStage: 8,
  },
};

function counted({ parameters }: Network, part: Part): number {
  return parameters
    .filter((parameter) => parameter.role !== 'statistic' && parameter.part === part)
    .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

const built = (backbone: NetworkSpec['backbone'], head?: NetworkSpec['head'], outputs = 21) =>
  buildNetwork({ backbone, outputs, ...(head && { head }) });

/** Weights of a convolution, and gamma and beta of the batch norm behind it. */
const conv = (kernel: number, from: number, to: number) => kernel * kernel * from * to + 2 * to;
const separable = (from: number, to: number) => 9 * from + 2 * from + conv(1, from, to);

describe('numbers of parameters', () => {
  it("of backbones are those of torchvision's classifiers without their last, fully connected layer", () => {
    for (const backbone of ['resnet101', 'resnet101-torchvision'] as const)
      expect(counted(built(backbone), 'backbone')).toBe(44_549_160 - 2_049_000);
    for (const backbone of ['resnet50', 'resnet50-torchvision'] as const)
      expect(counted(built(backbone), 'backbone')).toBe(25_557_032 - 2_049_000);
    expect(counted(built('resnet18'), 'backbone')).toBe(11_689_512 - 513_000);
    const mobile = (widthMultiplier: number, lastChannels: number | null) =>
      counted(
        assembleNetwork({ outputs: 21 }, { backbone: mobileNetV2({ widthMultiplier, lastChannels }), head: fcnHead() }),
        'backbone',
      );
    const classifier = (channels: number) => (channels + 1) * 1000;
    expect(mobile(1, 1280)).toBe(3_504_872 - classifier(1280));
    expect(mobile(0.35, 1280)).toBe(1_677_128 - classifier(1280));
    expect(mobile(1.4, 1280)).toBe(6_108_776 - classifier(1792));
    expect(mobile(1, null)).toBe(mobile(1, 1280) - conv(1, 320, 1280));
  });

  it("of torchvision's deeplabv3_resnet101 and fcn-like heads", () => {
    // 60,996,202 with the auxiliary classifier of 2,365,205.
    const network = built('resnet101-torchvision', 'deeplab-v3');
    expect(counted(network, 'backbone') + counted(network, 'head')).toBe(60_996_202 - 2_365_205);
  });

  it('of the heads follow from the papers', () => {
    const head = (name: NetworkSpec['head'], outputs: number) => counted(built('resnet101', name, outputs), 'head');
    const out = (from: number, outputs: number, kernel = 1) => (kernel * kernel * from + 1) * outputs;
    for (const outputs of [21, 32]) {
      expect(head('psp', outputs)).toBe(4 * conv(1, 2048, 512) + conv(3, 4096, 512) + out(512, outputs));
      expect(head('deeplab-v2', outputs)).toBe(4 * out(2048, outputs, 3));
      expect(head('fcn', outputs)).toBe(out(2048, outputs));
      const around = 2 * conv(1, 2048, 256) + conv(1, 5 * 256, 256);
      expect(head('deeplab-v3', outputs)).toBe(around + 3 * conv(3, 2048, 256) + conv(3, 256, 256) + out(256, outputs));
      const decoder = conv(1, 256, 48) + separable(304, 256) + separable(256, 256);
      expect(head('deeplab-v3plus', outputs)).toBe(around + 3 * separable(2048, 256) + decoder + out(256, outputs));
    }
  });
});

describe('the networks', () => {
  it("bear TF-Slim's names, below different roots where the network is another", () => {
    const names = built('resnet101').parameters.map(({ name }) => name);
    for (const name of [
      'resnet_v1_101/conv1/weights',
      'resnet_v1_101/block1/unit_1/bottleneck_v1/shortcut/BatchNorm/moving_variance',
      'resnet_v1_101/block3/unit_23/bottleneck_v1/conv2/weights',
      'resnet_v1_101/block5/pool6/conv1/BatchNorm/gamma',
      'resnet_v1_101/block5/fc1_voc12/biases',
    ])
      expect(names).toContain(name);
    expect(new Set(names).size).toBe(names.length);
    expect(built('resnet101', 'deeplab-v2').parameters.map(({ name }) => name)).toContain(
      'resnet_v1_101/fc1_c3/biases',
    );
    expect(built('resnet101-torchvision').parameters[0]!.name).toBe('resnet101/conv1/weights');
    expect(built('resnet101-torchvision').backbone).toMatchObject({ family: 'resnet-v1', variant: 'torchvision' });
    expect(built('resnet101').backbone).toMatchObject({ family: 'resnet-v1', variant: 'tf-slim' });
  });

  it('count what follows the backbone as the head, whatever it is called', () => {
    for (const head of HEAD_NAMES) {
      const { parameters } = built('resnet50', head);
      const first = parameters.findIndex(({ part }) => part === 'head');
      expect(parameters[first - 1]!.name).toMatch(/^resnet_v1_50\/block4\/unit_3\//);
      expect(parameters.slice(first).every(({ part, name }) => part === 'head' && !/\/block[1-4]\//.test(name))).toBe(
        true,
      );
    }
  });

  it('have the decays of the running statistics and the epsilon of their family', () => {
    const settings = (backbone: NetworkSpec['backbone']) => {
      const { parameters, normalized } = built(backbone);
      const decays = (part: Part) =>
        new Set(parameters.filter((p) => p.role === 'statistic' && p.part === part).map(({ decay }) => decay));
      return [[...decays('backbone')], [...decays('head')], [...new Set(normalized.map(({ epsilon }) => epsilon))]];
    };
    expect(settings('resnet101')).toEqual([[0.9997], [0.99], [1e-3]]);
    expect(settings('resnet101-torchvision')).toEqual([[0.9], [0.9], [1e-5]]);
    expect(settings('mobilenet-v2')).toEqual([[0.9], [0.9], [1e-5]]);
    expect(settings('small')).toEqual([[0.97], [0.97], [1e-3]]);
  });

  it('give maps of the size they say, each backbone with its head and each head with some', () => {
    const some = (['resnet18', 'mobilenet-v2'] as const).flatMap((backbone) =>
      HEAD_NAMES.map((head) => built(backbone, head, 4)),
    );
    for (const network of [...BACKBONES.map((backbone) => built(backbone, undefined, 4)), ...some]) {
      const size = [2 * network.inputMultiple, network.inputMultiple] as const;
      const forward = (images: Tensor) => network.forward(images, new Pass({ batchStatistics: false }));
      const { results } = traceStep(forward, [f32([2, ...size, 3])]);
      expect(results[0]!.shape).toEqual([2, ...network.featureSize(...size), 4]);
      expect(network.featureSize(...size)).toEqual(size.map((side) => side / network.outputStride));
    }
  });

  it('turn strides beyond the output stride into dilation', () => {
    for (const outputStride of [8, 16, 32]) {
      const network = buildNetwork({ backbone: 'mobilenet-v2', head: 'fcn', outputStride, outputs: 3 });
      expect(network.featureSize(64, 64)).toEqual([64 / outputStride, 64 / outputStride]);
      expect(network.backbone.outputStride).toBe(outputStride);
    }
    expect(() => buildNetwork({ backbone: 'resnet50', outputStride: 64, outputs: 3 })).toThrow(
      'resnet_v1_50: its strides give 32 in all, less than the output stride 64',
    );
    expect(() => buildNetwork({ backbone: 'resnet50', outputStride: 2, outputs: 3 })).toThrow(
      'resnet_v1_50: its strides give 4 in all, more than the output stride 2',
    );
  });

  it('say which input sizes fit, and which early features there are', () => {
    const network = built('resnet101');
    expect(network.head).toBe(defaultHead('resnet101'));
    expect(network.featureSize(336, 480)).toEqual([42, 60]);
    expect(() => network.featureSize(330, 330)).toThrow(
      'resnet_v1_101: an input of 330x330 does not fit: both sides must be multiples of 48 (the output stride 8, times 6 for the head psp)',
    );
    const design = { backbone: resNet(resnet50()), head: deeplabV3PlusHead({ stride: 16 }) };
    expect(() => assembleNetwork({ outputs: 3 }, design)).toThrow(
      'resnet_v1_50 has no features of stride 16, which the head refines with; it has strides 2, 4, 8',
    );
  });

  it('round channels to multiples of 8 without losing a tenth', () => {
    expect([3.2, 8.4, 9.6, 22.4, 33.6, 448].map(roundChannels)).toEqual([8, 8, 16, 24, 32, 448]);
  });

  it('plan a step of ResNet-101 with the PSP head at 336x336 within what it must keep', () => {
    const network = built('resnet101', 'psp', 32);
    const trace = traceStep(
      (images) => {
        const loss = mean(square(network.forward(images, new Pass({ batchStatistics: true }))));
        const trained = network.parameters.filter(({ role }) => role !== 'statistic');
        return { loss, ...Object.fromEntries(grad(loss, trained).entries()) };
      },
      [f32([1, 336, 336, 3])],
    );
    const plan = makePlan(trace.graph, trace.results, adapter);
    const planned = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
    expect(planned).toBeLessThan(1.3 * plan.liveBytes);
    // Concatenations and the slices of their gradients are where they are written and read.
    expect(plan.steps.filter(({ op }) => op === 'slice')).toEqual([]);
    expect(plan.steps.filter(({ op }) => op === 'concat').flatMap(({ commands }) => commands)).toEqual([]);
    // 2 FLOPs a multiplication and addition; forward, input gradient and filter gradient.
    const flops = plan.steps.reduce((sum, step) => sum + step.flops, 0);
    expect(flops / 1e9).toBeGreaterThan(600);
    expect(flops / 1e9).toBeLessThan(700);
  });
});
