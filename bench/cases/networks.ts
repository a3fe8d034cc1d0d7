/** Whole networks: forward passes of ResNet with PSP head, and a training step with SegSort's loss. */
import { Pass } from '../../src/models/layers.js';
import { buildNetwork } from '../../src/models/network.js';
import { allocateParameters } from '../../src/models/parameter.js';
import { segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { profileStep } from '../../src/segsort/step_parts.js';
import { type SubmittedStep, Trainer, type TrainingBatch } from '../../src/segsort/trainer.js';
import { currentGraph } from '../../src/tensor/graph.js';
import { Random } from '../../src/tensor/random.js';
import { hostTensor } from '../../src/tensor/types.js';
import { preparedStep } from '../harness/engine.js';
import type { Workload } from '../harness/types.js';
import { noise } from './operands.js';
import type { SuiteOptions } from './suites.js';

const CROP = 336;
/** Channels of the embedding. */
const OUTPUTS = 32;
const MEAN = [122.675, 116.669, 104.008] as const;

type Backbone = 'resnet50' | 'resnet101';

function forward(backbone: Backbone, batch: number): Workload {
  const name = `${backbone} + PSP forward, ${batch}x${CROP}x${CROP}`;
  return {
    name,
    tolerance: 0,
    async prepare(runtime) {
      const network = buildNetwork({ backbone, outputs: OUTPUTS });
      const groups = allocateParameters(runtime, network.parameters, () => ({}), 1);
      const images = runtime.resident('images', noise([batch, CROP, CROP, 3], 1, 60));
      const owned = [images, ...groups.map(({ group }) => group)];
      const step = runtime.compile(
        () => network.forward(currentGraph().use(images), new Pass({ batchStatistics: false })),
        name,
      );
      return preparedStep(runtime, step, await step.plan(), owned);
    },
  };
}

/** The released settings (see docs/models.md), but for the number of images. */
function training(backbone: Backbone, batch: number): Workload {
  return {
    name: `${backbone} + PSP + SegSort training step, ${batch}x${CROP}x${CROP}`,
    tolerance: 0,
    async prepare(runtime) {
      const objective = segsortObjective({
        ...{ cells: [5, 5], kmeansIterations: 10, concentration: 10, numerator: 'nca', banks: 2, capacity: 96 },
        ...{ classes: 21, ignore: 255 },
      });
      const trainer = new Trainer(runtime, buildNetwork({ backbone, outputs: OUTPUTS }), objective, {
        ...{ batch, crop: [CROP, CROP], steps: 1e6, learningRate: 1e-4, warmup: 0, power: 0.9, momentum: 0.9 },
        ...{ weightDecay: 5e-4, headRateFactor: 10, mean: MEAN, seed: 1 },
      });
      const images = quarters(batch);
      // One step with a time for every kernel also says how much there is to do.
      const kernels = await profileStep(trainer, images);
      let done = 0;
      let last: SubmittedStep | null = null;
      const runMany = async (count: number) => {
        for (let i = 0; i < count; i++) last = await trainer.step(images, done++);
        await runtime.device.queue.onSubmittedWorkDone();
      };
      return {
        flops: kernels.reduce((sum, { flops }) => sum + flops, 0),
        bytes: kernels.reduce((sum, { bytes }) => sum + bytes, 0),
        run: () => runMany(1),
        runMany,
        // Throws where the loss is not finite.
        read: async () => [[(await last!.read()).loss]],
        note: async () => `${kernels.length} kernels, ${(await trainer.describe(images)).split('\n').at(-1)}`,
        dispose: () => trainer[Symbol.dispose](),
      };
    },
    /** A step of a random network has no reference; the loss is checked for being a number. */
    errorOf: ([loss]) => (Number.isFinite(loss![0]) ? 0 : Number.POSITIVE_INFINITY),
  };
}

/** Noise, with a class for each quarter of the image. */
function quarters(batch: number): TrainingBatch {
  const random = new Random({ seed: 1, stream: 92 });
  const pixels = Uint32Array.from({ length: batch * CROP * CROP }, (_, i) => {
    const [x, y] = [i % CROP, Math.floor(i / CROP) % CROP];
    const quarter = Math.floor(x / (CROP / 2)) + 2 * Math.floor(y / (CROP / 2));
    return ((random.uint32() & 0xffffff) | (quarter << 24)) >>> 0;
  });
  return {
    canvas: hostTensor([batch, CROP, CROP], pixels, 'u32'),
    placement: hostTensor([batch, 8], new Array(batch).fill([CROP, CROP, 1, 1, 0, 0, 0, 0]).flat()),
  };
}

export function networkWorkloads({ batch }: SuiteOptions): Workload[] {
  return [
    forward('resnet50', batch),
    forward('resnet101', batch),
    training('resnet50', batch),
    training('resnet101', batch),
  ];
}
