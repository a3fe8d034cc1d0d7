/** What a stage of training needs: its batches, and a trainer. */
import type { Dataset } from '../../data/dataset.js';
import { Loader } from '../../data/loader.js';
import { Trainer, type TrainerOptions, type TrainingBatch } from '../../segsort/trainer.js';
import type { RunConfig } from '../config/config.js';
import { networkOf, objectiveOf } from '../config/objective.js';
import type { Stage } from '../config/stages.js';
import type { Session } from '../session.js';
import { openTrainingSet } from './data.js';

export interface TrainingSetup extends AsyncDisposable {
  readonly dataset: Dataset;
  readonly trainer: Trainer;
  /** The batches of a step of the stage, counted from 0: one, or as many as are accumulated. */
  batches(step: number): Promise<TrainingBatch[]>;
}

export function trainerOptions({ training, data, run }: RunConfig): TrainerOptions {
  const { batchNorm, objective: _, stages: __, ...options } = training;
  const statistics = batchNorm === 'global' ? 'running' : 'batch';
  return { ...options, mean: data.mean, statistics, recompute: run.recompute };
}

/**
 * Opens the images of a stage and allocates its parameters, with their initial values.
 *
 * @throws UsageError where the data set is not there, or is another
 */
export async function setUpTraining({ runtime }: Session, { config, firstBatch }: Stage): Promise<TrainingSetup> {
  const { training, run } = config;
  const dataset = await openTrainingSet(config);
  const loader = await Loader.open(dataset, {
    batch: training.batch,
    crop: { height: training.crop[0], width: training.crop[1] },
    training: { seed: training.seed, scale: training.scale, mirror: training.mirror },
    prefetch: Math.max(2, training.accumulate),
    cacheBytes: run.cacheMegabytes * 2 ** 20,
    ...(run.workers === null ? {} : { workers: run.workers }),
  });
  try {
    const trainer = new Trainer(runtime, networkOf(config), objectiveOf(config), trainerOptions(config));
    return {
      dataset,
      trainer,
      async batches(step) {
        const batches: TrainingBatch[] = [];
        for (let i = 0; i < training.accumulate; i++)
          batches.push(await loader.batch(firstBatch + step * training.accumulate + i));
        return batches;
      },
      async [Symbol.asyncDispose]() {
        trainer[Symbol.dispose]();
        await loader[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await loader[Symbol.asyncDispose]();
    throw error;
  }
}
