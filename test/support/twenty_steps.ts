/** Training steps from a fixed seed, and what they leave: for comparing runs bit for bit. */

import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import { buildNetwork } from '../../src/models/network.js';
import { segsortObjective } from '../../src/segsort/objectives/segsort.js';
import { Trainer, type TrainerOptions } from '../../src/segsort/trainer.js';
import type { Runtime } from '../../src/tensor/runtime.js';
import { sceneBatch } from './scenes.js';

const STEPS = 20;
const OPTIONS: TrainerOptions = {
  batch: 4,
  crop: [32, 32],
  steps: STEPS,
  learningRate: 0.1,
  warmup: 0,
  power: 0.9,
  momentum: 0.9,
  weightDecay: 5e-4,
  headRateFactor: 1,
  mean: [122.675, 116.669, 104.008],
  seed: 7,
};

const OBJECTIVE = segsortObjective({
  cells: [3, 3],
  kmeansIterations: 10,
  concentration: 10,
  numerator: 'nca',
  banks: 2,
  capacity: 20,
  classes: 3,
  ignore: 255,
});

/**
 * SHA-256 of every tensor of the checkpoint after twenty steps: weights, running statistics, momenta and banks.
 * With `resumeAt` the run is thrown away after so many steps and goes on from its checkpoint in a new trainer. The loss of
 * every step is added to `losses`.
 */
export async function twentySteps(
  runtime: Runtime,
  resumeAt?: number,
  losses: number[] = [],
): Promise<Record<string, string>> {
  const open = () => new Trainer(runtime, buildNetwork({ backbone: 'digits', outputs: 16 }), OBJECTIVE, OPTIONS);
  const train = async (trainer: Trainer, from: number, to: number) => {
    for (let step = from; step < to; step++) {
      const submitted = await trainer.step(sceneBatch(step, { batch: 4, size: 32 }), step);
      losses.push((await submitted.read()).loss);
    }
    return await trainer.checkpoint(to);
  };
  let checkpoint: Uint8Array<ArrayBuffer> | null = null;
  if (resumeAt !== undefined) {
    using first = open();
    checkpoint = await train(first, 0, resumeAt);
  }
  using trainer = open();
  const from = checkpoint ? trainer.restore(checkpoint, 'checkpoint.safetensors') : 0;
  return await hashesOf(await train(trainer, from, STEPS));
}

const MIXED_STEPS = 4;

/**
 * The same of a few steps in mixed precision, for a runtime with `PLAIN_KERNELS`: others are slow to compile where halves are
 * emulated.
 */
export async function mixedSteps(runtime: Runtime): Promise<Record<string, string>> {
  const network = buildNetwork({ backbone: 'digits', outputs: 16 });
  using trainer = new Trainer(runtime, network, OBJECTIVE, { ...OPTIONS, precision: 'mixed' });
  for (let step = 0; step < MIXED_STEPS; step++) await trainer.step(sceneBatch(step, { batch: 4, size: 32 }), step);
  return await hashesOf(await trainer.checkpoint(MIXED_STEPS));
}

async function hashesOf(checkpoint: Uint8Array<ArrayBuffer>): Promise<Record<string, string>> {
  const { tensors } = parseSafetensors(checkpoint, 'checkpoint.safetensors');
  const hashes: Record<string, string> = {};
  for (const [name, { data }] of tensors) {
    const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    hashes[name] = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  return hashes;
}
