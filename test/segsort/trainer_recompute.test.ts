/** Training with recomputation: less memory, the same bits. */
import { describe, expect, it } from 'vitest';
import type { RecomputeMode } from '../../src/autograd/recompute.js';
import { convUnit } from '../../src/models/layers.js';
import { assembleNetwork, type Network } from '../../src/models/network.js';
import { resNet } from '../../src/models/resnet.js';
import { segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { Trainer, type TrainerOptions } from '../../src/segsort/trainer.js';
import { TINY_OPTIONS, tinyBatch, tinyRuntime } from '../support/tiny_training.js';

const OBJECTIVE = segsortObjective({
  ...{ cells: [2, 2], kmeansIterations: 2, concentration: 10, numerator: 'nca', banks: 1 },
  ...{ classes: 3, ignore: 255, capacity: 12 },
});

/** Bottlenecks on images [N,16,16,3], and a head that is two convolutions. */
function residualNetwork(): Network {
  return assembleNetwork(
    { outputs: 8 },
    {
      backbone: resNet({
        name: 'tiny',
        variant: 'tf-slim',
        unit: 'bottleneck',
        stem: { filters: 8, kernel: 3, stride: 2, pool: false },
        blocks: [{ units: 6, filters: 4, stride: 1 }],
        outputStride: 2,
        batchNorm: { decay: 0.9 },
      }),
      head(scope, { outputStride }, outputs) {
        const inner = convUnit(scope.child('inner'), 16, { channels: 16, kernel: 1 });
        const logits = convUnit(scope.child('logits'), 16, {
          channels: outputs,
          kernel: 1,
          norm: false,
          activation: 'none',
        });
        const layer = logits.layer;
        return { name: 'two', outputStride, multiple: 1, layer: ([x], pass) => layer(inner.layer(x!, pass), pass) };
      },
    },
  );
}

async function train(recompute: RecomputeMode, changes: Partial<TrainerOptions> = {}) {
  const options = { ...TINY_OPTIONS, ...changes, recompute };
  using trainer = new Trainer(await tinyRuntime(), residualNetwork(), OBJECTIVE, options);
  const { accumulate = 1 } = options;
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) {
    const batches = Array.from({ length: accumulate }, (_, i) => tinyBatch(step * accumulate + i));
    losses.push((await (await trainer.step(batches, step)).read()).loss);
  }
  return { losses, checkpoint: await trainer.checkpoint(3), plan: trainer.plan(tinyBatch(0)) };
}

describe('a trainer that recomputes', () => {
  it('makes the same steps to the bit, in less memory', async () => {
    const plain = await train('none');
    expect(plain.losses[2]).not.toBe(plain.losses[0]);
    for (const mode of ['cheap', 'blocks'] as const) {
      const { losses, checkpoint, plan } = await train(mode);
      expect(losses, mode).toEqual(plain.losses);
      // Weights, momenta, running statistics, which move once a step, and memory banks.
      expect(checkpoint, mode).toEqual(plain.checkpoint);
      expect(plan.liveBytes, mode).toBeLessThan(0.8 * plain.plan.liveBytes);
      const repeated = plan.steps.map(({ label }) => label).filter((label) => label.startsWith('recompute'));
      expect(repeated.some((label) => /unit_2.*relu/.test(label))).toBe(true);
      expect(repeated.some((label) => /unit_2.*conv2: conv2d/.test(label))).toBe(mode === 'blocks');
    }
  });

  it.each([
    ['by microbatches, and with running statistics', { accumulate: 2, statistics: 'running' }],
    ['in mixed precision', { precision: 'mixed' }],
  ] as const)('does so %s', async (_, changes) => {
    const plain = await train('none', changes);
    const { losses, checkpoint, plan } = await train('blocks', changes);
    expect(losses).toEqual(plain.losses);
    expect(checkpoint).toEqual(plain.checkpoint);
    expect(plan.liveBytes).toBeLessThan(0.85 * plain.plan.liveBytes);
  });
});
