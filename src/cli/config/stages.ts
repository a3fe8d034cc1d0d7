/** The stages of a run: one after the other, each from the weights of the one before, with settings of its own. */
import type { RunConfig } from './schema.js';

export interface Stage {
  /** From 1. */
  readonly number: number;
  /** Stages of the run. */
  readonly of: number;
  /** The configuration with the stage's own settings in their places. */
  readonly config: RunConfig;
  /** Steps of the run before it. */
  readonly firstStep: number;
  /** Steps of the run when it is done. */
  readonly lastStep: number;
  /** Batches that the run has seen before it: other batches follow, also from the same list. */
  readonly firstBatch: number;
  /** Whether the head starts anew, rather than from what the stage before has learnt. */
  readonly newHead: boolean;
}

/** The stages of a run, in order; most runs have one. */
export function stagesOf(config: RunConfig): Stage[] {
  const { stages: further, ...first } = config.training;
  const stages: Stage[] = [];
  for (const { list, newHead, ...settings } of [{}, ...further] as RunConfig['training']['stages']) {
    const before = stages.at(-1);
    const training = { ...first, stages: [], ...settings };
    const done = before?.config.training;
    const firstStep = before?.lastStep ?? 0;
    stages.push({
      number: stages.length + 1,
      of: further.length + 1,
      config: { ...config, training, data: { ...config.data, train: list ?? config.data.train } },
      firstStep,
      lastStep: firstStep + training.steps,
      firstBatch: before && done ? before.firstBatch + done.steps * done.accumulate : 0,
      newHead: before ? (newHead ?? false) : config.network.newHead,
    });
  }
  return stages;
}

/** Steps of all stages. */
export const totalSteps = (config: RunConfig): number => stagesOf(config).at(-1)!.lastStep;

/** The list of the last stage, whose segments are retrieved when the run is done: as released. */
export const prototypeList = (config: RunConfig): string => stagesOf(config).at(-1)!.config.data.train;

/** `stage 2/2`; nothing for a run of one. */
export const stageName = ({ number, of }: Stage): string => (of > 1 ? `stage ${number}/${of}` : '');
