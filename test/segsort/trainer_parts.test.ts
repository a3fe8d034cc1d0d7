/** Training with gradients written straight into the arrays that pack them: the bits of copies, and hardly more memory. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { recompute } from '../../src/autograd/recompute.js';
import { Pass } from '../../src/models/layers.js';
import { buildNetwork } from '../../src/models/network.js';
import { softmaxObjective } from '../../src/segsort/objectives/softmax.js';
import type { TrainerOptions } from '../../src/segsort/trainer.js';
import { square } from '../../src/tensor/ops/elementwise.js';
import { pack, packOp } from '../../src/tensor/ops/pack.js';
import { mean } from '../../src/tensor/ops/reduce.js';
import { makePlan, type Plan } from '../../src/tensor/plan.js';
import { record } from '../../src/tensor/recorder.js';
import { flatLayout } from '../../src/tensor/resident.js';
import { traceStep } from '../../src/tensor/trace.js';
import { f32, sizeOf } from '../../src/tensor/types.js';
import { GPU_FACTS } from '../support/facts.js';
import { tinyBatch, tinyRuntime, tinyTrainer } from '../support/tiny_training.js';

const OBJECTIVE = softmaxObjective({ classes: 3, ignore: 255 });

afterEach(() => void vi.restoreAllMocks());

/** From now on, nothing is packed but by copies. */
const packByCopies = () => vi.spyOn(packOp, 'parts').mockReturnValue([]);

const copiesIn = ({ steps }: Plan) =>
  steps
    .filter(({ op }) => op === 'pack')
    .flatMap(({ commands }) => commands)
    .filter((command) => !('source' in command)).length;

/** Two steps, of which the second is recorded, and one more that is checked. */
async function train(changes: Partial<TrainerOptions>) {
  using trainer = await tinyTrainer(OBJECTIVE, 3, changes);
  const runtime = await tinyRuntime();
  const { accumulate = 1 } = changes;
  const batches = (step: number) => Array.from({ length: accumulate }, (_, i) => tinyBatch(step * accumulate + i));
  const losses = [(await (await trainer.step(batches(0), 0)).read()).loss];
  await record(runtime, async () => losses.push((await (await trainer.step(batches(1), 1)).read()).loss));
  losses.push((await (await trainer.step(batches(2), 2, { checked: true })).read()).loss);
  return { losses, checkpoint: await trainer.checkpoint(3), copies: copiesIn(trainer.plan(tinyBatch(0))) };
}

describe('training', () => {
  it.each([
    ['in f32', {}],
    ['in mixed precision', { precision: 'mixed' }],
    ['by microbatches', { accumulate: 2 }],
  ] as const)('makes the same steps %s', async (_, changes) => {
    const inPlace = await train(changes);
    packByCopies();
    const copied = await train(changes);
    expect(copied.copies).toBeGreaterThan(5);
    expect(inPlace.copies).toBe(0);
    expect(inPlace.losses[2]).not.toBe(inPlace.losses[0]);
    expect(inPlace.losses).toEqual(copied.losses);
    expect(inPlace.checkpoint).toEqual(copied.checkpoint);
  });
});

describe('the plan of a ResNet', () => {
  const network = buildNetwork({ backbone: 'resnet50', outputs: 32 });
  const trained = network.parameters.filter(({ role }) => role !== 'statistic');
  const planned = (mode: 'none' | 'blocks', cpu: boolean) => {
    const facts = { ...GPU_FACTS, cpu, limits: { ...GPU_FACTS.limits, maxStorageBufferBindingSize: 2 ** 31 } };
    const traced = traceStep(
      (images) => {
        const loss = mean(square(network.forward(images, new Pass({ batchStatistics: true }))));
        const gradients = grad(loss, trained);
        const packed = ['weights', 'others'].map((group) => {
          const own = gradients.filter((_, i) => (trained[i]!.role === 'weights') === (group === 'weights'));
          return pack(own, flatLayout(own.map(({ shape }) => sizeOf(shape))));
        });
        return { loss, ...Object.fromEntries(packed.map(square).entries()) };
      },
      [f32([2, 144, 144, 3])],
    );
    const { graph, results } = recompute(mode)(traced, facts);
    return makePlan(graph, results, facts);
  };
  const bytesIn = ({ slots }: Plan) => slots.reduce((sum, bytes) => sum + bytes, 0);

  it.each([
    ['none', false],
    ['blocks', false],
    ['none', true],
  ] as const)('takes no more memory, with recomputation %s (CPU: %s)', (mode, cpu) => {
    const inPlace = planned(mode, cpu);
    packByCopies();
    const copied = planned(mode, cpu);
    expect(copiesIn(copied)).toBe(trained.length);
    expect(copiesIn(inPlace)).toBeLessThan(copiesIn(copied) / 2);
    expect(bytesIn(inPlace)).toBeLessThanOrEqual(bytesIn(copied) * (1 + 1 / 256) + 2 ** 20);
    expect(inPlace.liveBytes).toBeLessThanOrEqual(bytesIn(inPlace));
  });
});
