/** A network of two convolutions and scenes to train it on: all that training has, with few kernels to compile. */
import type { Design } from '../../src/models/design.js';
import { stagedBackbone } from '../../src/models/design.js';
import { convUnit } from '../../src/models/layers.js';
import { assembleNetwork, type Network } from '../../src/models/network.js';
import type { Objective } from '../../src/segsort/objectives/objective.js';
import { Trainer, type TrainerOptions, type TrainingBatch } from '../../src/segsort/trainer.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { testGpu } from './gpu.js';
import { PLAIN_KERNELS } from './plain_kernels.js';
import { sceneBatch } from './scenes.js';

const BATCH_NORM = { decay: 0.9, epsilon: 1e-3 };
const SIZE = 16;

/** Images [N,16,16,3] to [N,8,8,outputs]. */
const TINY: Design = {
  backbone(root) {
    const scope = root.child('tiny').with({ batchNorm: BATCH_NORM });
    const description = { name: 'tiny', family: 'tiny', variant: 'only', batchNorm: BATCH_NORM, outputStride: 2 };
    return stagedBackbone(description, [
      { ...convUnit(scope.child('conv1'), 3, { channels: 8, kernel: 3, stride: 2 }), stride: 2 },
    ]);
  },
  head(scope, _backbone, outputs) {
    const logits = convUnit(scope.child('logits'), 8, {
      channels: outputs,
      kernel: 3,
      norm: false,
      activation: 'none',
    });
    return { name: 'tiny', outputStride: 2, multiple: 1, layer: ([features], pass) => logits.layer(features!, pass) };
  },
};

export const tinyNetwork = (outputs: number): Network => assembleNetwork({ outputs }, TINY);

export const TINY_OPTIONS: TrainerOptions = {
  batch: 2,
  crop: [SIZE, SIZE],
  steps: 40,
  learningRate: 0.05,
  warmup: 0,
  power: 0.9,
  momentum: 0.9,
  weightDecay: 5e-4,
  headRateFactor: 2,
  mean: [122.675, 116.669, 104.008],
  seed: 7,
};

let runtime: Runtime | undefined;

/** One runtime for all tests of a file. */
export async function tinyRuntime(): Promise<Runtime> {
  runtime ??= new Runtime(await testGpu(), { kernels: PLAIN_KERNELS });
  return runtime;
}

export async function tinyTrainer(
  objective: Objective,
  outputs: number,
  changes: Partial<TrainerOptions> = {},
): Promise<Trainer> {
  return new Trainer(await tinyRuntime(), tinyNetwork(outputs), objective, { ...TINY_OPTIONS, ...changes });
}

/** A batch of scenes with three classes; the regions of an image are its labels, with large ids. */
export function tinyBatch(
  step: number,
  { batch = 2, relabel }: { batch?: number; relabel?: (label: number) => number } = {},
): TrainingBatch {
  const scenes = sceneBatch(step, { batch, size: SIZE, relabel });
  const ids = Uint32Array.from(scenes.canvas.data, (pixel) => {
    const label = pixel >>> 24;
    return (label === 255 ? 0xffff : 700 * label) + 0xffff0000;
  });
  return { ...scenes, ids: { shape: scenes.canvas.shape, dtype: 'u32', data: ids } };
}
