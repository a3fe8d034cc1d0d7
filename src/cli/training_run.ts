/** Training with everything around it: batches, progress, metrics, checkpoints, Ctrl-C. `train` and `demo` share it. */

import { parseSafetensors } from '../checkpoints/safetensors.js';
import { IGNORE_LABEL } from '../data/image.js';
import { Loader } from '../data/loader.js';
import { buildNetwork } from '../models/network.js';
import type { Objective } from '../segsort/objectives/objective.js';
import { segsortObjective } from '../segsort/objectives/segsort.js';
import { type SubmittedStep, Trainer, type TrainerOptions, type TrainingMetrics } from '../segsort/trainer.js';
import type { RunConfig } from './config.js';
import { openList } from './data_folder.js';
import { UsageError } from './errors.js';
import { Interrupt } from './interrupt.js';
import { MetricsFile } from './metrics_file.js';
import { Progress } from './progress.js';
import { exists, type RunFolder, readJson } from './run_folder.js';
import { environmentOf, type Session } from './session.js';

export interface TrainingRequest {
  readonly run: RunFolder;
  /** Goes on from the run's checkpoint. */
  readonly resume: boolean;
  /** Checks every value for NaN, and names the first op that produces one. */
  readonly debugNan: boolean;
}

export interface TrainingOutcome {
  readonly steps: number;
  /** False where Ctrl-C ended it early. */
  readonly complete: boolean;
  /** Since step 0, over all starts. */
  readonly seconds: number;
}

/** What is opened for training. */
export interface TrainingSetup extends AsyncDisposable {
  readonly loader: Loader;
  readonly trainer: Trainer;
}

export function trainerOptions({ training, data }: RunConfig): TrainerOptions {
  return { ...training, mean: data.mean };
}

export function objectiveOf({ segments, data }: RunConfig): Objective {
  return segsortObjective({ ...segments, classes: data.classes.length, ignore: IGNORE_LABEL });
}

export async function setUpTraining({ runtime }: Session, config: RunConfig): Promise<TrainingSetup> {
  const { training, network, run, data } = config;
  const dataset = await openList(data.root, data.train, 'training list');
  const loader = await Loader.open(dataset, {
    batch: training.batch,
    crop: { height: training.crop[0], width: training.crop[1] },
    training: { seed: training.seed, scale: training.scale, mirror: training.mirror },
    cacheBytes: run.cacheMegabytes * 2 ** 20,
    ...(run.workers === null ? {} : { workers: run.workers }),
  });
  try {
    const built = buildNetwork({ backbone: network.backbone, outputs: network.embedding });
    const trainer = new Trainer(runtime, built, objectiveOf(config), trainerOptions(config));
    return {
      loader,
      trainer,
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

/** Trains up to the configured number of steps, or until Ctrl-C; in either case the last step is in the checkpoint. */
export async function trainRun(session: Session, request: TrainingRequest): Promise<TrainingOutcome> {
  const { run, resume } = request;
  const checkpoint = resume ? await run.readCheckpoint() : null;
  await using setup = await setUpTraining(session, run.config);
  const saved = { step: checkpoint && setup.trainer.restore(checkpoint, run.checkpoint) };
  const { steps } = run.config.training;
  if (saved.step !== null && saved.step > steps)
    throw new UsageError(`${run.checkpoint} holds step ${saved.step}, more than the ${steps} of the configuration`);
  await recordStart(session, run, saved.step ?? 0);
  try {
    return await loop(session, setup, request, saved);
  } catch (error) {
    throw withAdvice(error, run, saved.step);
  }
}

async function loop(
  { runtime }: Session,
  { loader, trainer }: TrainingSetup,
  { run, debugNan }: TrainingRequest,
  saved: { step: number | null },
): Promise<TrainingOutcome> {
  const { steps, batch } = run.config.training;
  const { logEvery, checkpointEvery } = run.config.run;
  let done = saved.step ?? 0;
  await using metrics = await MetricsFile.open(run, done);
  const each = { count: batch, unit: 'images' };
  using progress = new Progress({ label: 'training', total: steps, from: done, each });
  using interrupt = new Interrupt(() => {
    progress.stop();
    console.error('stopping after this step; press Ctrl-C again to end at once, without a checkpoint');
  });
  const queue = new Throttle(runtime.device);
  const save = async () => {
    const bytes = await trainer.checkpoint(done);
    // Also where the loss was finite: it is that of the weights before this update.
    refuseNonFinite(bytes, done);
    await run.write('checkpoint.safetensors', bytes);
    saved.step = done;
  };

  let submitted: SubmittedStep | undefined;
  while (done < steps && !interrupt.requested) {
    submitted = await trainer.step(await loader.batch(done), done, { checked: debugNan });
    await queue.next();
    done++;
    const last = done === steps || interrupt.requested;
    const keep = last || done % checkpointEvery === 0;
    const log = last || done === 1 || done % logEvery === 0;
    let read: TrainingMetrics | undefined;
    // Also before a checkpoint: a run gone wrong must not take the place of a good one.
    if (log || keep) read = await submitted.read();
    if (log) await metrics.append(done, read!);
    if (keep) await save();
    progress.update(done, ...(read ? [`loss ${read.loss.toFixed(4)}`] : []));
  }
  if (done > (saved.step ?? 0)) {
    // Ctrl-C came after the step.
    await submitted?.read();
    await save();
  }
  return { steps: done, complete: done === steps, seconds: metrics.seconds };
}

/** @throws Error naming a value of the checkpoint that is NaN or infinite */
function refuseNonFinite(bytes: Uint8Array<ArrayBuffer>, step: number): void {
  for (const [name, { dtype, data }] of parseSafetensors(bytes, 'checkpoint').tensors) {
    if (dtype !== 'F32') continue;
    for (let i = 0; i < data.length; i++)
      if (!Number.isFinite(data[i]))
        throw new Error(
          `${name} holds ${data[i]} after step ${step}: lower the learning rate, or name the op it comes from with --debug-nan`,
        );
  }
}

/** Keeps the host at most two steps ahead, so that progress is real and Ctrl-C is prompt. */
class Throttle {
  readonly #device: GPUDevice;
  readonly #pending: Promise<unknown>[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  async next(): Promise<void> {
    // A lost device rejects; what uses it next says so.
    this.#pending.push(this.#device.queue.onSubmittedWorkDone().catch(() => {}));
    if (this.#pending.length > 2) await this.#pending.shift();
  }
}

/** Adds this start to `environment.json`. */
async function recordStart(session: Session, run: RunFolder, step: number): Promise<void> {
  const name = 'environment.json';
  const path = run.path(name);
  const earlier = step > 0 && (await exists(path)) ? ((await readJson(path)) as { starts?: unknown[] }).starts : [];
  const start = { step, time: new Date().toISOString(), ...environmentOf(session) };
  await run.writeJson(name, { starts: [...(earlier ?? []), start] });
}

/** The error, with what is left to go on from. */
function withAdvice(error: unknown, run: RunFolder, step: number | null): Error {
  const message = error instanceof Error ? error.message : String(error);
  const advice =
    step === null
      ? 'No checkpoint had been written yet.'
      : `The checkpoint of step ${step}, ${run.checkpoint}, is intact; \`segsort train --resume ${run.folder}\` continues from it.`;
  return new Error(`${message}\n${advice}`, { cause: error });
}
