/** Which part of a training step a kernel belongs to, by the scope it was traced in. */
import { record, type StepTime } from '../tensor/recorder.js';
import type { Trainer, TrainingBatch } from './trainer.js';

/** In the order of a step. The backward pass of a part is counted with it, and what it computes again. */
export const STEP_PARTS = ['input', 'backbone', 'head', 'clustering', 'loss', 'optimiser', 'other'] as const;
export type StepPart = (typeof STEP_PARTS)[number];

/** The part of a plan's step, by its label: `grad backbone/block1/unit_1: conv2dInputGrad` is the backbone's. */
export function partOf(label: string): StepPart {
  const [, name] = /^(?:grad |recompute )*(\w+)/.exec(label) ?? [];
  return STEP_PARTS.find((part) => part === name) ?? 'other';
}

/** Makes one step, with a time for every kernel. Under accumulation all its batches are the same. */
export async function profileStep(trainer: Trainer, batch: TrainingBatch): Promise<StepTime[]> {
  const batches = new Array<TrainingBatch>(trainer.options.accumulate ?? 1).fill(batch);
  const { replays } = await record(trainer.runtime, () => trainer.step(batches, 0));
  return replays.flatMap(({ kernels }) => kernels);
}

export interface PartTime {
  readonly part: StepPart;
  readonly kernels: number;
  readonly milliseconds: number;
  /** Of the whole step. */
  readonly share: number;
}

/** The times of a profile added up by part; parts without a kernel are left out. */
export function timesByPart(times: readonly Pick<StepTime, 'label' | 'milliseconds'>[]): PartTime[] {
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return STEP_PARTS.map((part) => {
    const own = times.filter(({ label }) => partOf(label) === part);
    const milliseconds = own.reduce((sum, time) => sum + time.milliseconds, 0);
    return { part, kernels: own.length, milliseconds, share: total > 0 ? milliseconds / total : 0 };
  }).filter(({ kernels }) => kernels > 0);
}
