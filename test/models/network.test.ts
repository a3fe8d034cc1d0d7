/** The networks as they are declared and planned; what they compute is compared with PyTorch in `goldens.test.ts`. */
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import type { BackboneName } from '../../src/models/designs.js';
import { Pass } from '../../src/models/layers.js';
import { buildNetwork } from '../../src/models/network.js';
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

function counted(backbone: BackboneName, part: (name: string) => boolean): number {
  const { parameters } = buildNetwork({ backbone, outputs: 32 });
  return parameters
    .filter((parameter) => parameter.trainable && part(parameter.name))
    .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

describe('the networks', () => {
  it('have the published numbers of parameters below the head', () => {
    // Those of torchvision's resnet101, resnet50 and resnet18 without their last, fully connected layer.
    const backbone = (name: string) => !name.includes('/block5/');
    expect(counted('resnet101', backbone)).toBe(44549160 - 2049000);
    expect(counted('resnet50', backbone)).toBe(25557032 - 2049000);
    expect(counted('resnet18', backbone)).toBe(11689512 - 513000);
  });

  it("bear TF-Slim's names", () => {
    const names = buildNetwork({ backbone: 'resnet101', outputs: 32 }).parameters.map(({ name }) => name);
    for (const name of [
      'resnet_v1_101/conv1/weights',
      'resnet_v1_101/block1/unit_1/bottleneck_v1/shortcut/BatchNorm/moving_variance',
      'resnet_v1_101/block3/unit_23/bottleneck_v1/conv2/weights',
      'resnet_v1_101/block5/pool6/conv1/BatchNorm/gamma',
      'resnet_v1_101/block5/fc1_voc12/biases',
    ])
      expect(names).toContain(name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('say which input sizes fit', () => {
    const network = buildNetwork({ backbone: 'resnet101', outputs: 32 });
    expect(network.featureSize(336, 480)).toEqual([42, 60]);
    expect(() => network.featureSize(330, 330)).toThrow(
      'resnet_v1_101: an input of 330x330 does not fit: at output stride 8 the head psp wants feature maps with sides that are multiples of 6, so both sides of the input must be multiples of 48',
    );
  });

  it('plan a step of ResNet-101 with the PSP head at 336x336 within what it must keep', () => {
    const network = buildNetwork({ backbone: 'resnet101', outputs: 32 });
    const trace = traceStep(
      (images) => {
        const loss = mean(square(network.forward(images, new Pass({ batchStatistics: true }))));
        const trained = network.parameters.filter(({ trainable }) => trainable);
        return { loss, ...Object.fromEntries(grad(loss, trained).entries()) };
      },
      [f32([1, 336, 336, 3])],
    );
    const plan = makePlan(trace.graph, trace.results, adapter);
    const planned = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
    expect(planned).toBeLessThan(1.3 * plan.liveBytes);
    // 2 FLOPs a multiplication and addition; forward, input gradient and filter gradient.
    const flops = plan.steps.reduce((sum, step) => sum + step.flops, 0);
    expect(flops / 1e9).toBeGreaterThan(600);
    expect(flops / 1e9).toBeLessThan(700);
  });
});
