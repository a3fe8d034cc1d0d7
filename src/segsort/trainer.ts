/** Training: one compiled step from packed images to updated weights, whatever the objective. Knows no files. */
import { LossScale, type LossScaleOptions } from '../autograd/loss_scale.js';
import type { RecomputeMode } from '../autograd/recompute.js';
import { polyRate, Sgd, type SgdGroup } from '../autograd/sgd.js';
import { parseSafetensors } from '../checkpoints/safetensors.js';
import { CheckpointError, restoreCheckpoint, serializeCheckpoint } from '../models/checkpoint.js';
import type { Network } from '../models/network.js';
import { allocateParameters, type Parameter, type Part } from '../models/parameter.js';
import type { Result } from '../tensor/compiled_step.js';
import { disposeOnError } from '../tensor/disposal.js';
import type { Plan } from '../tensor/plan.js';
import type { FlatGroup, Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import type { Objective, PreparedObjective } from './objectives/objective.js';
import { type TrainingBatch, TrainingStep } from './training_step.js';

export type { TrainingBatch } from './training_step.js';

export interface TrainerOptions {
  /** Images of a batch. */
  readonly batch: number;
  /**
   * Batches whose gradients make one update: the mean over all their valid pixels. That equals one batch of all their
   * images for losses that are means over pixels, as long as batch norm goes by the running statistics. Batch
   * statistics, and the segments that SegSort compares with, are each batch's own; running statistics move and memory
   * banks advance with every batch. Default 1.
   */
  readonly accumulate?: number;
  /** Height and width of the crops, multiples of the network's `inputMultiple`. */
  readonly crop: readonly [number, number];
  /** Steps of the whole run, which the schedule is stretched over. */
  readonly steps: number;
  readonly learningRate: number;
  /** Steps over which the rate rises from 0 at the start. 0: none, as in the reference. */
  readonly warmup: number;
  /** Power of the "poly" schedule. Reference: 0.9. */
  readonly power: number;
  readonly momentum: number;
  /** On weights alone, as an L2 loss. */
  readonly weightDecay: number;
  /** Factor of the head's learning rate. Reference: 10. */
  readonly headRateFactor: number;
  /**
   * What batch norm normalises by: the statistics of the batch, which the running ones follow, or the running ones,
   * which stay as they are (the release's `use_global_status`). Default `batch`.
   */
  readonly statistics?: 'batch' | 'running';
  /**
   * Values of the forward pass that are computed again in the backward pass, so that they take no memory in between:
   * slower, to the same bits. Default `none`.
   */
  readonly recompute?: RecomputeMode;
  /** Subtracted from red, green and blue (0 to 255). */
  readonly mean: readonly [number, number, number];
  readonly seed: number;
  /**
   * `mixed`: activations, their gradients and copies of the weights are stored as f16, the loss is scaled so that the
   * gradients stay in range, and a step whose gradients overflow all the same is skipped, running statistics and memory banks
   * included (those of a microbatch, where its own overflow). Parameters, statistics, sums, the loss and the update are f32.
   * Metrics then tell `lossScale` and `skippedSteps`. Default `f32`.
   */
  readonly precision?: Precision;
  /** For mixed precision. */
  readonly lossScale?: LossScaleOptions;
}

export const PRECISIONS = ['f32', 'mixed'] as const;
export type Precision = (typeof PRECISIONS)[number];

export interface TrainingMetrics {
  /** The objective's, without the L2 loss; a mean over the valid pixels of the step. */
  readonly loss: number;
  readonly learningRate: number;
  readonly validPixels: number;
  /** What the objective reports beside (see its `figures`). */
  readonly [name: string]: number;
}

/**
 * A submitted step. `read` waits for it. It must be called before the next step is submitted, or not at all, but need not
 * be awaited before: so the GPU has work while the host waits.
 */
export interface SubmittedStep {
  /** @throws Error for a loss that is not finite, and for what went wrong in any step since the last read */
  read(): Promise<TrainingMetrics>;
}

/** What an update tells parameters apart by. */
type UpdateKey =
  | { readonly role: 'statistic'; readonly decay: number }
  | { readonly part: Part; readonly role: 'weights' | 'others' };

function updateKey({ role, part, decay }: Parameter): UpdateKey {
  return role === 'statistic' ? { role, decay } : { part, role: role === 'weights' ? role : 'others' };
}

/** Nothing for statistics. */
function trainedGroup(key: UpdateKey, group: FlatGroup, options: TrainerOptions): SgdGroup[] {
  if (key.role === 'statistic') return [];
  const rateFactor = key.part === 'head' ? options.headRateFactor : 1;
  return [{ parameters: group, rateFactor, weightDecay: key.role === 'weights' ? options.weightDecay : 0 }];
}

/**
 * Trains a network, whose parameters it allocates. Whatever else is built on the same network and runtime, such as a
 * `Segmenter` with `parameters: 'shared'`, computes with the parameters as they are then; it must not outlive the
 * trainer.
 */
export class Trainer implements Disposable {
  readonly runtime: Runtime;
  readonly network: Network;
  readonly objective: Objective;
  readonly options: TrainerOptions;
  readonly #groups: readonly FlatGroup[];
  readonly #prepared: PreparedObjective;
  readonly #sgd: Sgd;
  readonly #lossScale: LossScale | null;
  readonly #step: TrainingStep;

  constructor(runtime: Runtime, network: Network, objective: Objective, options: TrainerOptions) {
    network.featureSize(...options.crop);
    const { accumulate = 1, statistics: normalizeBy = 'batch', precision = 'f32' } = options;
    if (!PRECISIONS.includes(precision))
      throw new RangeError(`trainer: precision must be one of ${PRECISIONS.join(', ')}, got ${precision}`);
    if (!(Number.isInteger(accumulate) && accumulate > 0))
      throw new RangeError(`trainer: accumulate must be an integer of at least 1, got ${accumulate}`);
    this.runtime = runtime;
    this.network = network;
    this.objective = objective;
    this.options = options;
    const parts = disposeOnError((keep) => {
      const groups = allocateParameters(runtime, network.parameters, updateKey, options.seed);
      for (const { group } of groups) keep(group);
      const prepared = keep(objective.prepare(runtime, { images: options.batch, channels: network.spec.outputs }));
      const lossScale = precision === 'mixed' ? keep(new LossScale(runtime, options.lossScale)) : null;
      const trained = groups.flatMap(({ key, group }) => trainedGroup(key, group, options));
      const sgd = keep(new Sgd(runtime, [...trained, ...prepared.learnt], options.momentum));
      const step = new TrainingStep(runtime, {
        network,
        objective,
        prepared,
        sgd,
        statistics: groups.flatMap(({ key, group }) => (key.role === 'statistic' ? [group] : [])),
        batch: options.batch,
        crop: options.crop,
        mean: options.mean,
        batchStatistics: normalizeBy === 'batch',
        accumulate,
        recompute: options.recompute ?? 'none',
        lossScale,
      });
      return { groups: groups.map(({ group }) => group), prepared, lossScale, sgd, step };
    });
    this.#groups = parts.groups;
    this.#prepared = parts.prepared;
    this.#lossScale = parts.lossScale;
    this.#sgd = parts.sgd;
    this.#step = parts.step;
  }

  /** The learning rate of a step, counted from 0. */
  learningRate(step: number): number {
    const { learningRate, steps, power, warmup } = this.options;
    return polyRate(learningRate, step, steps, power) * Math.min(1, (step + 1) / (warmup + 1));
  }

  /** Everything a checkpoint holds: parameters, running statistics, momenta, loss scale and the objective's state. */
  get residents(): readonly Resident[] {
    return [
      ...this.#groups.flatMap(({ entries }) => entries),
      ...this.#sgd.state,
      ...(this.#lossScale?.state ?? []),
      ...this.#prepared.residents,
    ];
  }

  /**
   * Submits one step; where gradients are accumulated it takes as many batches. `checked` runs it op by op and stops
   * with a `NonFiniteError` at the first value that is not finite, before the weights are touched.
   */
  async step(
    batches: TrainingBatch | readonly TrainingBatch[],
    step: number,
    { checked = false } = {},
  ): Promise<SubmittedStep> {
    const learningRate = this.learningRate(step);
    const progress = step / this.options.steps;
    const given = 'canvas' in batches ? [batches] : batches;
    const result = await this.#step.run(given, { learningRate, progress }, checked);
    return { read: () => this.#read(result, learningRate) };
  }

  async #read(result: Result, learningRate: number): Promise<TrainingMetrics> {
    const { loss, validPixels, ...figures } = await this.#step.read(result);
    if (!Number.isFinite(loss))
      throw new Error(
        `the loss is ${loss}: resume from the last checkpoint with a lower learning rate, or with --debug-nan to name the op it comes from`,
      );
    return { loss: loss!, learningRate, validPixels: validPixels!, ...figures };
  }

  /** The plan of a step for batches of this shape, as a table. */
  describe(batch: TrainingBatch): string {
    return this.#step.describe(batch);
  }

  /** The plan of a step for batches of this shape; under accumulation that of a microbatch. It needs no memory. */
  plan(batch: TrainingBatch): Plan {
    return this.#step.plan(batch);
  }

  /** A safetensors file from which `restore` continues bit for bit. `step` is the number of steps done. */
  checkpoint(step: number): Promise<Uint8Array<ArrayBuffer>> {
    const { seed } = this.options;
    const metadata = { step: String(step), seed: String(seed), objective: this.objective.name };
    return serializeCheckpoint(this.runtime, this.residents, metadata);
  }

  /**
   * Restores a checkpoint and returns the number of steps done.
   *
   * @throws CheckpointError if it does not fit the network, or was made with another seed or objective; then nothing was
   *   restored
   */
  restore(bytes: Uint8Array<ArrayBuffer>, file: string): number {
    const done = this.#stepOf(parseSafetensors(bytes, file).metadata, file);
    restoreCheckpoint(this.runtime, bytes, file, this.residents, { unexpected: 'error' });
    this.#step.reset();
    return done;
  }

  #stepOf(metadata: Readonly<Record<string, string>>, file: string): number {
    const step = Number(metadata.step);
    if (metadata.step === undefined || !Number.isInteger(step) || step < 0)
      throw new CheckpointError(
        `${file} does not say how many steps were done: it is not a checkpoint of a training run`,
      );
    if (metadata.seed !== String(this.options.seed))
      throw new CheckpointError(
        `${file} was made with seed ${metadata.seed}, this run has ${this.options.seed}: it would see other batches`,
      );
    // Checkpoints did not always say.
    const { objective = this.objective.name } = metadata;
    if (objective !== this.objective.name)
      throw new CheckpointError(
        `${file} was trained for the objective ${objective}, this run has ${this.objective.name}: start from its weights instead of resuming it`,
      );
    return step;
  }

  [Symbol.dispose](): void {
    this.#step[Symbol.dispose]();
    for (const group of this.#groups) group[Symbol.dispose]();
    this.#sgd[Symbol.dispose]();
    this.#lossScale?.[Symbol.dispose]();
    this.#prepared[Symbol.dispose]();
  }
}
