/** The code in docs/models.md, as it stands there. */
import { readFile } from 'node:fs/promises';
import { afterAll, expect, inject, it } from 'vitest';
import { deeplabV3PlusHead } from '../../src/models/deeplab_v3plus.js';
import { featuresOf, type HeadBuilder } from '../../src/models/design.js';
import { convUnit, Pass, sequence } from '../../src/models/layers.js';
import { mobileNetV2 } from '../../src/models/mobilenet_v2.js';
import { assembleNetwork } from '../../src/models/network.js';
import { resNet, resnet50 } from '../../src/models/resnet.js';
import { type SegsortOptions, segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { Trainer, type TrainerOptions } from '../../src/segsort/trainer.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { traceStep } from '../../src/tensor/trace.js';
import { f32 } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';

const runtime = new Runtime(await testGpu());
afterAll(() => runtime[Symbol.dispose]());

const segments: SegsortOptions = {
  ...{ cells: [5, 5], kmeansIterations: 10, concentration: 10, numerator: 'nca', banks: 2 },
  ...{ capacity: 96, classes: 21, ignore: 255 },
};
const options: TrainerOptions = {
  ...{ batch: 1, crop: [64, 96], steps: 10, learningRate: 2e-3, warmup: 0, power: 0.9, momentum: 0.9 },
  ...{ weightDecay: 5e-4, headRateFactor: 10, mean: [122.675, 116.669, 104.008], seed: 1 },
};

/** Whether the code of `body`, less its indentation, stands in the document. */
async function expectDocumented(body: string): Promise<void> {
  const lines = (text: string) => text.split('\n').map((line) => line.trim().replace(/,$/, ''));
  const flat = (text: string) => lines(text).join(' ').replace(/\s+/g, ' ');
  const document = await readFile(`${inject('root')}docs/models.md`, 'utf8');
  expect(flat(document)).toContain(flat(body).trim());
}

/** The text of this file between two markers. */
async function shown(name: string): Promise<string> {
  const source = await readFile(`${inject('root')}test/models/own_design.node.test.ts`, 'utf8');
  const [, body] = source.split(`// ${name} begins`).map((part) => part.split(`// ${name} ends`)[0]!);
  return body!;
}

it('puts SegSort on another DeepLab in three lines', async () => {
  // three lines begins
  const design = { backbone: mobileNetV2({ outputStride: 8 }), head: deeplabV3PlusHead() };
  const network = assembleNetwork({ outputs: 32 }, design);
  using trainer = new Trainer(runtime, network, segsortObjective(segments), options);
  // three lines ends
  await expectDocumented(await shown('three lines'));
  expect(trainer.network.featureSize(64, 96)).toEqual([16, 24]);
  expect(trainer.residents.some(({ name }) => name === 'mobilenet_v2/decoder/feature_projection0/weights')).toBe(true);
});

it('takes a head of one function', async () => {
  // biome-ignore format: as in the document
  // own head begins
  const largeFieldOfView: HeadBuilder = (scope, backbone, outputs) => {
    const { channels } = featuresOf(backbone);
    const fc6 = convUnit(scope.child('fc6'), channels, { channels: 256, kernel: 3, dilation: 12 });
    const fc8 = convUnit(scope.child('fc8'), 256, { channels: outputs, kernel: 1, norm: false, activation: 'none' });
    const { layer } = sequence([fc6, fc8]);
    return { name: 'largefov', outputStride: backbone.outputStride, multiple: 1, layer: (levels, pass) => layer(levels.at(-1)!, pass) };
  };
  // own head ends
  await expectDocumented(await shown('own head'));
  const network = assembleNetwork({ outputs: 7 }, { backbone: resNet(resnet50()), head: largeFieldOfView });
  const head = network.parameters.filter(({ part }) => part === 'head').map(({ name }) => name);
  expect(head).toContain('resnet_v1_50/fc6/weights');
  expect(head).toContain('resnet_v1_50/fc8/biases');
  const forward = traceStep(
    (images) => network.forward(images, new Pass({ batchStatistics: false })),
    [f32([1, 64, 96, 3])],
  );
  expect(forward.results[0]!.shape).toEqual([1, 8, 12, 7]);
});
