/** The training step that all programs here measure: a ResNet with PSP head and SegSort's loss, with the released settings. */
import type { BackboneName } from '../../src/models/designs.js';
import { buildNetwork } from '../../src/models/network.js';
import { type SegsortOptions, segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { Trainer, type TrainerOptions, type TrainingBatch } from '../../src/segsort/trainer.js';
import { Random } from '../../src/tensor/random.js';
import { Runtime, type RuntimeGpu } from '../../src/tensor/runtime.js';
import { hostTensor } from '../../src/tensor/types.js';

/** Channels of the embedding. */
export const EMBEDDING = 32;

/** Segments of an image that are kept as prototypes, at most. */
export const CAPACITY = 128;

/** The preset `voc12-supervised` (`src/cli/config/presets.ts`). `bench/peers/torch_training.py` has the same numbers. */
const SEGMENTS: SegsortOptions = {
  ...{ cells: [5, 5], kmeansIterations: 10, concentration: 10, numerator: 'nca', banks: 2, capacity: CAPACITY },
  ...{ classes: 21, ignore: 255 },
};

const SGD = { warmup: 0, power: 0.9, momentum: 0.9, weightDecay: 5e-4, headRateFactor: 10 } as const;

export interface TrainingSettings extends Pick<TrainerOptions, 'recompute' | 'precision'> {
  readonly backbone: BackboneName;
  /** Images of a batch. */
  readonly batch: number;
  /** Side of the square crops. */
  readonly crop: number;
}

/** Its rate is a twentieth of the released one, so that the loss on noise stays a number however many steps are made. */
export function trainerOf(runtime: Runtime, { backbone, batch, crop, ...options }: TrainingSettings): Trainer {
  return new Trainer(runtime, buildNetwork({ backbone, outputs: EMBEDDING }), segsortObjective(SEGMENTS), {
    ...{ batch, crop: [crop, crop], steps: 1e6, learningRate: 1e-4, ...SGD },
    ...{ mean: [122.675, 116.669, 104.008], seed: 1, ...options },
  });
}

/** Noise, with a class for each quarter of the image. */
export function quarters(batch: number, crop: number): TrainingBatch {
  const random = new Random({ seed: 1, stream: 92 });
  const pixels = Uint32Array.from({ length: batch * crop * crop }, (_, i) => {
    const [x, y] = [i % crop, Math.floor(i / crop) % crop];
    const quarter = Math.floor(x / (crop / 2)) + 2 * Math.floor(y / (crop / 2));
    return ((random.uint32() & 0xffffff) | (quarter << 24)) >>> 0;
  });
  return {
    canvas: hostTensor([batch, crop, crop], pixels, 'u32'),
    placement: hostTensor([batch, 8], new Array(batch).fill([crop, crop, 1, 1, 0, 0, 0, 0]).flat()),
  };
}

/** What such a step plans on a GPU, which may be one that there is not; nothing runs. */
export function planOf(gpu: RuntimeGpu, settings: TrainingSettings) {
  using runtime = new Runtime(gpu);
  using trainer = trainerOf(runtime, settings);
  const { batch, crop } = settings;
  return trainer.plan({
    canvas: hostTensor([batch, crop, crop], new Uint32Array(batch * crop * crop), 'u32'),
    placement: hostTensor([batch, 8], new Float32Array(batch * 8)),
  });
}
