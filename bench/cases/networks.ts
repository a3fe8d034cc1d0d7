/** Whole networks: forward passes of ResNet with PSP head, and training steps with SegSort's loss in f32 and mixed precision. */
import type { BackboneName } from '../../src/models/designs.js';
import { Pass } from '../../src/models/layers.js';
import { buildNetwork } from '../../src/models/network.js';
import { allocateParameters } from '../../src/models/parameter.js';
import { profileStep } from '../../src/segsort/step_parts.js';
import { PRECISIONS, type Precision, type SubmittedStep } from '../../src/segsort/trainer.js';
import { currentGraph } from '../../src/tensor/graph.js';
import { preparedStep } from '../harness/engine.js';
import type { Workload } from '../harness/types.js';
import { noise } from './operands.js';
import type { SuiteOptions } from './suites.js';
import { EMBEDDING, quarters, trainerOf } from './training.js';

const CROP = 336;
const BACKBONES = ['resnet50', 'resnet101'] as const;
type Backbone = (typeof BACKBONES)[number];

function forward(backbone: Backbone, batch: number): Workload {
  const name = `${backbone} + PSP forward, ${batch}x${CROP}x${CROP}`;
  return {
    name,
    tolerance: 0,
    async prepare(runtime) {
      const network = buildNetwork({ backbone, outputs: EMBEDDING });
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

/** A step with the released settings, but for the number of images. The note tells images a second and memory. */
export function trainingWorkload(backbone: BackboneName, precision: Precision, batch: number, crop = CROP): Workload {
  return {
    name: `${backbone} + PSP + SegSort training step${precision === 'f32' ? '' : `, ${precision} precision`}, ${batch}x${crop}x${crop}`,
    tolerance: 0,
    async prepare(runtime) {
      const trainer = trainerOf(runtime, { backbone, batch, crop, precision });
      const images = quarters(batch, crop);
      // One step with a time for every kernel also says how much there is to do.
      const kernels = await profileStep(trainer, images);
      let done = 0;
      let least = Number.POSITIVE_INFINITY;
      let last: SubmittedStep | null = null;
      const runMany = async (count: number) => {
        const begin = performance.now();
        for (let i = 0; i < count; i++) last = await trainer.step(images, done++);
        await runtime.device.queue.onSubmittedWorkDone();
        least = Math.min(least, (performance.now() - begin) / count);
      };
      return {
        flops: kernels.reduce((sum, { flops }) => sum + flops, 0),
        bytes: kernels.reduce((sum, { bytes }) => sum + bytes, 0),
        run: () => runMany(1),
        runMany,
        // Throws where the loss is not finite.
        read: async () => [[(await last!.read()).loss]],
        note() {
          const { slots, liveBytes } = trainer.plan(images);
          const planned = slots.reduce((sum, bytes) => sum + bytes, 0);
          const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
          return `${((1000 * batch) / least).toPrecision(4)} images/s at best; ${mebibytes(planned)} planned, ${mebibytes(liveBytes)} of it alive at one time; ${kernels.length} kernels`;
        },
        dispose: () => trainer[Symbol.dispose](),
      };
    },
    /** A step of a random network has no reference; the loss is checked for being a number. */
    errorOf: ([loss]) => (Number.isFinite(loss![0]) ? 0 : Number.POSITIVE_INFINITY),
  };
}

export function networkWorkloads({ batch }: SuiteOptions): Workload[] {
  return [
    ...BACKBONES.map((backbone) => forward(backbone, batch)),
    ...BACKBONES.flatMap((backbone) => PRECISIONS.map((precision) => trainingWorkload(backbone, precision, batch))),
  ];
}
