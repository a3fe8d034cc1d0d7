/**
 * What can be watched of a run: the progress bar, `metrics.jsonl`, `validation.jsonl`, and event files for TensorBoard.
 */
import type { TrainingMetrics } from '../../segsort/trainer.js';
import { type Stage, stageName, totalSteps } from '../config/stages.js';
import { Progress } from '../progress.js';
import { exists, type MetricsLine, type RunFolder, type ValidationLine } from '../run_folder.js';
import type { Segmented } from '../segmenting/segmentation.js';
import { percent } from '../table.js';
import { MetricsFile, StepLines } from './metrics_file.js';
import { EventFile, type EventImage } from './tensorboard.js';
import { paletteOfFolder, SHOWN, validationPanels } from './validation_images.js';

/** Names in TensorBoard of what is in the metrics; all others are called `training/NAME`. */
const TAGS: Readonly<Record<string, string>> = {
  learningRate: 'training/learning_rate',
  validPixels: 'training/valid_pixels',
  crossEntropy: 'training/cross_entropy',
  lossScale: 'training/loss_scale',
  skippedSteps: 'training/skipped_steps',
};

export class RunLog implements AsyncDisposable {
  readonly #run: RunFolder;
  readonly #metrics: MetricsFile;
  readonly #validation: StepLines<ValidationLine> | null;
  #events: EventFile | null = null;
  #progress: Progress | null = null;
  #stage = '';
  #done: number;
  /** The last line since the bar was shown, for the speed. */
  #earlier: MetricsLine | null = null;
  #imagesPerStep = 0;

  private constructor(
    run: RunFolder,
    done: number,
    files: { metrics: MetricsFile; validation: StepLines<ValidationLine> | null },
  ) {
    this.#run = run;
    this.#done = done;
    this.#metrics = files.metrics;
    this.#validation = files.validation;
  }

  /** Reads the files of a run to go on after so many steps. */
  static async open(run: RunFolder, done: number): Promise<RunLog> {
    const { validateEvery } = run.config.run;
    const scores = 'validation.jsonl';
    const validates = validateEvery !== null || (await exists(run.path(scores)));
    return new RunLog(run, done, {
      metrics: await MetricsFile.open(run, done),
      validation: validates ? await StepLines.open<ValidationLine>(run, scores, done) : null,
    });
  }

  /** Begins to write: what the files hold of later steps is removed. */
  async start(): Promise<void> {
    await this.#metrics.start();
    await this.#validation?.start();
    if (this.#run.config.run.tensorboard) this.#events = await EventFile.open(this.#run.folder, this.#done);
  }

  /** Of training since step 0, over all starts. */
  get seconds(): number {
    return this.#metrics.seconds;
  }

  /** Shows the bar, from here on for a stage. */
  begin(stage: Stage): void {
    const { batch, accumulate } = stage.config.training;
    this.#stage = stageName(stage);
    this.#imagesPerStep = batch * accumulate;
    this.#progress ??= new Progress({
      label: 'training',
      total: totalSteps(this.#run.config),
      from: this.#done,
      each: { count: this.#imagesPerStep, unit: 'images' },
    });
  }

  /** Leaves the line of the bar to others. */
  pause(): void {
    this.#progress?.stop();
    this.#progress = null;
    this.#earlier = null;
  }

  progress(done: number, read?: TrainingMetrics): void {
    this.#done = done;
    const notes = [this.#stage, read ? `loss ${read.loss.toFixed(4)}` : ''].filter((note) => note !== '');
    this.#progress?.update(done, ...(read ? [notes.join('  ')] : []));
  }

  async metrics(step: number, metrics: TrainingMetrics): Promise<void> {
    const line = await this.#metrics.append(step, metrics);
    const earlier = this.#earlier;
    this.#earlier = line;
    if (!this.#events) return;
    const values: Record<string, number> = {};
    for (const [name, value] of Object.entries(metrics)) values[TAGS[name] ?? `training/${name}`] = value;
    const seconds = earlier ? line.seconds - earlier.seconds : 0;
    if (earlier && seconds > 0)
      values['training/images_per_second'] = ((step - earlier.step) * this.#imagesPerStep) / seconds;
    await this.#events.scalars(step, values);
  }

  /** Whether there is a line of scores for a step. */
  isScored(step: number): boolean {
    return (this.#validation?.lines ?? []).some((line) => line.step === step);
  }

  /** Gathers pictures of the first images that are scored. */
  async validationImages(
    root: string,
  ): Promise<{ visit: (image: Segmented) => void; taken: Readonly<Record<string, EventImage>> }> {
    const taken: Record<string, EventImage> = {};
    if (!this.#events) return { visit: () => {}, taken };
    const palette = await paletteOfFolder(root);
    const visit = (image: Segmented) => {
      if (image.index < SHOWN)
        taken[`validation/${image.index + 1} ${image.found.name}`] = validationPanels(image, palette);
    };
    return { visit, taken };
  }

  /** Writes down scores, and says whether they are the best so far. */
  async validation(line: ValidationLine, images: Readonly<Record<string, EventImage>>): Promise<boolean> {
    const { step, meanIou, pixelAccuracy, oracleMeanIou } = line;
    const best = Math.max(-1, ...(this.#validation?.lines ?? []).map((earlier) => earlier.meanIou ?? -1));
    const isBest = meanIou !== null && meanIou > best;
    await this.#validation?.append(line);
    console.error(
      `step ${step}: mean IoU ${percent(meanIou)}% on ${line.images} held-out images${isBest ? ', the best so far' : ''}`,
    );
    if (this.#events) {
      const scores = { mean_iou: meanIou, pixel_accuracy: pixelAccuracy, oracle_mean_iou: oracleMeanIou };
      const values = Object.entries(scores).flatMap(([name, value]) =>
        value === null ? [] : [[`validation/${name}`, value] as const],
      );
      if (values.length > 0) await this.#events.scalars(step, Object.fromEntries(values));
      if (Object.keys(images).length > 0) await this.#events.images(step, images);
    }
    return isBest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.pause();
    await this.#metrics[Symbol.asyncDispose]();
    await this.#validation?.[Symbol.asyncDispose]();
    await this.#events?.[Symbol.asyncDispose]();
  }
}
