/**
 * Training with everything around it: stages, progress, metrics, validation, checkpoints, Ctrl-C. `train` and `demo`
 * share it.
 */
import { parseSafetensors } from '../../checkpoints/safetensors.js';
import type { SubmittedStep, TrainingMetrics } from '../../segsort/trainer.js';
import { type Stage, stagesOf, totalSteps } from '../config/stages.js';
import { UsageError } from '../errors.js';
import type { RunFolder } from '../run_folder.js';
import type { Session } from '../session.js';
import { recordStart } from './environment.js';
import { Interrupt } from './interrupt.js';
import { RunLog } from './log.js';
import { setUpTraining, type TrainingSetup } from './setup.js';
import { openValidation, type ValidationSets, validate } from './validation.js';
import { loadWeights } from './weights.js';

export interface TrainingRequest {
  readonly run: RunFolder;
  /** Goes on from a checkpoint; from step 0 where the run has none yet. */
  readonly resume: boolean;
  /** Which; the run's last unless told otherwise. */
  readonly checkpoint?: string;
  /** Checks every value for NaN, and names the first op that produces one. */
  readonly debugNan: boolean;
}

export interface TrainingOutcome {
  /** Of all stages. */
  readonly steps: number;
  /** False where Ctrl-C ended it early. */
  readonly complete: boolean;
  /** Since step 0, over all starts. */
  readonly seconds: number;
}

/** A checkpoint on disk. */
interface Saved {
  readonly file: string;
  readonly step: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What a run has come to. */
interface Position {
  /** Steps done, over all stages. */
  done: number;
  /** Null before the first checkpoint. */
  saved: Saved | null;
}

/** Trains up to the configured number of steps, or until Ctrl-C; in either case the last step is in the checkpoint. */
export async function trainRun(session: Session, request: TrainingRequest): Promise<TrainingOutcome> {
  const { run } = request;
  const saved = request.resume ? await savedAt(request) : null;
  const total = totalSteps(run.config);
  const position: Position = { done: saved?.step ?? 0, saved };
  if (position.done > total)
    throw new UsageError(`${saved?.file} holds step ${position.done}, more than the ${total} of the configuration`);
  await using log = await RunLog.open(run, position.done);
  let started = false;
  for (const stage of stagesOf(run.config)) {
    const sets = await openValidation(stage.config);
    const unscored =
      sets !== null && position.done > 0 && isScored(stage, position.done) && !log.isScored(position.done);
    if (stage.lastStep < position.done || (stage.lastStep === position.done && !unscored)) continue;
    await using setup = await setUpTraining(session, stage);
    await fill(session, stage, setup, position);
    if (!started) await takeOver(session, run, position, log);
    started = true;
    // The last checkpoint is soon another.
    if (stage.number > 1 && position.done === stage.firstStep)
      await run.keepCheckpoint(`stage-${stage.number - 1}.safetensors`);
    using interrupt = new Interrupt(() => {
      log.pause();
      console.error('stopping after this step; press Ctrl-C again to end at once, without a checkpoint');
    });
    try {
      await new StageLoop(session, { stage, setup, request, position, log, sets, interrupt }).run(unscored);
    } catch (error) {
      throw withAdvice(error, run, position.saved?.step ?? null);
    }
    if (interrupt.requested) break;
  }
  return { steps: position.done, complete: position.done === total, seconds: log.seconds };
}

/** The checkpoint to go on from; null where a run that was started has not written one yet. */
async function savedAt({ run, checkpoint = run.checkpoint }: TrainingRequest): Promise<Saved | null> {
  if (checkpoint === run.checkpoint && !(await run.hasCheckpoints())) return null;
  const bytes = await run.readCheckpoint(checkpoint);
  const step = Number(parseSafetensors(bytes, checkpoint).metadata.step ?? Number.NaN);
  if (!Number.isInteger(step) || step < 0)
    throw new UsageError(
      `${checkpoint} does not say how many steps were done: it is not a checkpoint of a training run`,
    );
  return { file: checkpoint, step, bytes };
}

/** Changes the run's files, now that all that a start needs has been opened and restored. */
async function takeOver(session: Session, run: RunFolder, { done, saved }: Position, log: RunLog): Promise<void> {
  // What a run goes on from becomes its last checkpoint, so that another resumption finds the same.
  if (saved && saved.file !== run.checkpoint) await run.write('checkpoint.safetensors', saved.bytes);
  await log.start();
  await recordStart(session, run, done);
}

/** Gives a stage the weights it starts from, or goes on with. */
async function fill(
  session: Session,
  stage: Stage,
  { trainer }: TrainingSetup,
  { done, saved }: Position,
): Promise<void> {
  if (saved && done > stage.firstStep) {
    trainer.restore(saved.bytes, saved.file);
    return;
  }
  const weights = saved && stage.number > 1 ? saved.file : stage.config.network.weights;
  if (weights !== null) await loadWeights(session, trainer.network, weights, { head: !stage.newHead });
}

/** Whether held-out images are scored after so many steps. */
function isScored({ config, lastStep }: Stage, step: number): boolean {
  const { validateEvery } = config.run;
  return validateEvery !== null && (step % validateEvery === 0 || step === lastStep);
}

interface StageContext {
  readonly stage: Stage;
  readonly setup: TrainingSetup;
  readonly request: TrainingRequest;
  readonly position: Position;
  readonly log: RunLog;
  readonly sets: ValidationSets | null;
  readonly interrupt: Interrupt;
}

/** The steps of a stage. */
class StageLoop {
  readonly #session: Session;
  readonly #context: StageContext;

  constructor(session: Session, context: StageContext) {
    this.#session = session;
    this.#context = context;
  }

  /** @param unscored whether an earlier start ended between a checkpoint and its scores */
  async run(unscored: boolean): Promise<void> {
    const { stage, setup, request, position, log, interrupt, sets } = this.#context;
    const { logEvery, checkpointEvery } = stage.config.run;
    const queue = new Throttle(this.#session.runtime.device);
    if (unscored) await this.#validate();
    if (position.done < stage.lastStep) log.begin(stage);
    let submitted: SubmittedStep | undefined;
    await using late = new LateReport();
    while (position.done < stage.lastStep && !interrupt.requested) {
      const step = position.done - stage.firstStep;
      submitted = await setup.trainer.step(await setup.batches(step), step, { checked: request.debugNan });
      await late.arrival();
      await queue.next();
      const done = ++position.done;
      const last = done === stage.lastStep || interrupt.requested;
      const score = sets !== null && !interrupt.requested && isScored(stage, done);
      const keep = last || score || done % checkpointEvery === 0;
      const report = last || step === 0 || done % logEvery === 0;
      log.progress(done);
      const read = report || keep ? submitted.read() : null;
      if (report) late.expect(this.#report(done, read!));
      if (!keep) continue;
      // Also before a checkpoint: a run gone wrong must not take the place of a good one.
      await read;
      await late.arrival();
      await this.#save();
      if (score) await this.#validate();
    }
    await late.arrival();
    if (position.done > (position.saved?.step ?? 0)) {
      // Ctrl-C came after the step.
      await submitted?.read();
      await this.#save();
    }
  }

  async #report(step: number, read: Promise<TrainingMetrics>): Promise<void> {
    const { log, position } = this.#context;
    const metrics = await read;
    await log.metrics(step, metrics);
    log.progress(position.done, metrics);
  }

  async #save(): Promise<void> {
    const { setup, request, position } = this.#context;
    const { run } = request;
    const step = position.done;
    const bytes = await setup.trainer.checkpoint(step);
    // Also where the loss was finite: it is that of the weights before this update.
    refuseNonFinite(bytes, step);
    await run.write('checkpoint.safetensors', bytes);
    position.saved = { file: run.checkpoint, step, bytes };
    await run.keepLast(step, run.config.run.keep);
  }

  async #validate(): Promise<void> {
    const { stage, setup, request, position, log, sets } = this.#context;
    log.pause();
    const images = await log.validationImages(stage.config.data.root);
    const scores = await validate(this.#session, stage.config, setup.trainer, sets!, images.visit);
    if (await log.validation({ step: position.done, ...scores }, images.taken))
      await request.run.keepCheckpoint('best.safetensors');
    if (position.done < stage.lastStep) log.begin(stage);
  }
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

/** The figures of a step, which are read while the next one runs: the GPU never waits for the host to ask. */
class LateReport implements AsyncDisposable {
  #pending: Promise<void> | null = null;

  expect(report: Promise<void>): void {
    // Reported when it is waited for; until then it is nobody's.
    report.catch(() => {});
    this.#pending = report;
  }

  async arrival(): Promise<void> {
    const pending = this.#pending;
    this.#pending = null;
    await pending;
  }

  /** After another error: the figures before it are still written down. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pending?.catch(() => {});
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

/** The error, with what is left to go on from. */
function withAdvice(error: unknown, run: RunFolder, step: number | null): Error {
  const message = error instanceof Error ? error.message : String(error);
  const advice =
    step === null
      ? `No checkpoint had been written yet; \`segsort train --resume ${run.folder}\` begins again with the first step.`
      : `The checkpoint of step ${step}, ${run.checkpoint}, is intact; \`segsort train --resume ${run.folder}\` continues from it.`;
  return new Error(`${message}\n${advice}`, { cause: error });
}
