/** The compiled steps of a trainer: forward, backward and update at once, or microbatch by microbatch. */
import { Accumulator } from '../autograd/accumulator.js';
import { grad } from '../autograd/grad.js';
import { checkLossScale, finiteGradients, LOSS_SCALE_FIGURES, type LossScale } from '../autograd/loss_scale.js';
import { type RecomputeMode, recompute } from '../autograd/recompute.js';
import type { Sgd } from '../autograd/sgd.js';
import { halveWeights } from '../models/halves.js';
import { Pass } from '../models/layers.js';
import type { Network } from '../models/network.js';
import type { Parameter } from '../models/parameter.js';
import { updateStatistics } from '../models/statistics.js';
import type { CompiledStep, Result } from '../tensor/compiled_step.js';
import { constant, type ResidentLike, scalar, scope, type Tensor, type TensorLike } from '../tensor/graph.js';
import { cast } from '../tensor/ops/cast.js';
import { add, div, maximum, mul, mulScalar } from '../tensor/ops/elementwise.js';
import { sampleCrop, sampleIds } from '../tensor/ops/image.js';
import { concat } from '../tensor/ops/layout.js';
import { dumpPlan, type Plan } from '../tensor/plan.js';
import type { FlatGroup } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { type HostTensor, hostTensor } from '../tensor/types.js';
import { Largest, ScalarRow } from './figures.js';
import type { Objective, PreparedObjective } from './objectives/objective.js';

/** A batch as the loader gives it: see `sampleCrop` and `sampleIds`. */
export interface TrainingBatch {
  readonly canvas: HostTensor;
  readonly placement: HostTensor;
  /** Regions and instances; only objectives that want regions look at them. */
  readonly ids?: HostTensor | null;
}

export interface TrainingStepParts {
  readonly network: Network;
  readonly objective: Objective;
  readonly prepared: PreparedObjective;
  readonly sgd: Sgd;
  /** Running statistics of batch norm, a group for each decay. */
  readonly statistics: readonly FlatGroup[];
  /** Images of a batch. */
  readonly batch: number;
  readonly crop: readonly [number, number];
  readonly mean: readonly [number, number, number];
  /** Batch norm by the batch's statistics, or by the running ones. */
  readonly batchStatistics: boolean;
  /** Batches whose gradients make one update. */
  readonly accumulate: number;
  readonly recompute: RecomputeMode;
  /** For mixed precision; null for f32. */
  readonly lossScale: LossScale | null;
}

/** What changes from step to step. */
export interface StepSchedule {
  readonly learningRate: number;
  /** Share of the run's steps that are done. */
  readonly progress: number;
}

/** What the gradient is taken of, and what is reported. */
interface Microbatch {
  /**
   * Of each group of the optimiser: of the loss; under accumulation, of the loss times the weight of its valid pixels.
   * Times the loss scale, if there is one.
   */
  readonly gradients: readonly Tensor[];
  readonly validPixels: Tensor;
  /** In mixed precision whether the gradients are, f32 scalar: 1 or 0. */
  readonly finite: Tensor | null;
  /** Means first, then sums. */
  readonly figures: Tensor;
}

export class TrainingStep implements Disposable {
  readonly #parts: TrainingStepParts;
  readonly #means: readonly string[];
  readonly #row: ScalarRow;
  /** Behind the row of an update. */
  readonly #scaling: ScalarRow;
  readonly #largest: Largest;
  /** The most valid pixels of a step. */
  readonly #most: Largest;
  /** Under accumulation: gradients of the groups, valid pixels, figures. */
  readonly #sums: Accumulator | null = null;
  /** All of a step; under accumulation, all of it but the update. */
  readonly #batch: CompiledStep<Record<string, Tensor>>;
  readonly #update: CompiledStep<{ figures: Tensor }> | null = null;

  constructor(runtime: Runtime, parts: TrainingStepParts) {
    this.#parts = parts;
    const { figures } = parts.objective;
    this.#means = ['loss', ...figures.means];
    this.#row = new ScalarRow([...this.#means, 'validPixels', ...figures.sums]);
    this.#scaling = new ScalarRow(parts.lossScale ? LOSS_SCALE_FIGURES : []);
    this.#largest = new Largest(runtime, figures.largest);
    this.#most = new Largest(runtime, ['valid pixels']);
    const rewrite = recompute(parts.recompute);
    if (parts.accumulate === 1)
      this.#batch = runtime.compile((...args) => this.#traceAll(args), 'training step', rewrite);
    else {
      const shapes = parts.sgd.groups.map(({ parameters }) => parameters.flat.shape);
      this.#sums = new Accumulator(runtime, [...shapes, [], [this.#row.names.length]]);
      this.#batch = runtime.compile((...args) => this.#traceMicrobatch(args), 'training step of a microbatch', rewrite);
      this.#update = runtime.compile((learningRate) => this.#traceUpdate(learningRate), 'update');
    }
  }

  #traceAll(args: readonly Tensor[]): { figures: Tensor } {
    const { gradients, validPixels, finite, figures } = this.#backward(args);
    return scope('optimiser', () => {
      const scaling = this.#applyScaled(gradients, args[0]!, finite);
      this.#watch(validPixels);
      return { figures: concat([figures, ...scaling], 0) };
    });
  }

  #traceMicrobatch(args: readonly Tensor[]): Record<string, Tensor> {
    const { gradients, validPixels, figures } = this.#backward(args);
    const weighted = mul(figures, this.#perMean(validPixels));
    scope('optimiser', () => this.#sums!.add([...gradients, validPixels, weighted]));
    return {};
  }

  /** Averages over the valid pixels of all microbatches, and updates. */
  #traceUpdate(learningRate: Tensor): { figures: Tensor } {
    return scope('optimiser', () => {
      const taken = this.#sums!.take();
      const figures = taken.pop()!;
      const validPixels = taken.pop()!;
      const count = maximum(validPixels, scalar(1));
      const weight = this.#weightOf(count);
      const means = taken.map((gradient) => div(gradient, weight));
      const scaling = this.#applyScaled(means, learningRate);
      this.#watch(validPixels);
      return { figures: concat([div(figures, this.#perMean(count)), ...scaling], 0) };
    });
  }

  /** Updates the parameters. Gives the figures of the loss scale, if there is one. */
  #applyScaled(gradients: readonly Tensor[], learningRate: Tensor, finite: Tensor | null = null): Tensor[] {
    const { sgd, lossScale } = this.#parts;
    if (!lossScale) {
      sgd.update(gradients, learningRate);
      return [];
    }
    const { figures, ...scaled } = lossScale.judge(gradients, finite ?? undefined);
    sgd.update(gradients, learningRate, scaled);
    return [this.#scaling.pack(figures)];
  }

  /**
   * What so many valid pixels weigh in a sum over microbatches. Their number would make f16 gradients too large, so in mixed
   * precision it is their share of the pixels of a batch's output.
   */
  #weightOf(validPixels: Tensor): Tensor {
    const { lossScale, network, crop, batch } = this.#parts;
    const [height, width] = network.featureSize(...crop);
    return lossScale ? mulScalar(validPixels, 1 / (batch * height * width)) : validPixels;
  }

  #backward([, progress, canvas, placement, ids]: readonly Tensor[]): Microbatch {
    const { network, prepared, sgd, crop, mean, batchStatistics, statistics, accumulate, lossScale } = this.#parts;
    const [height, width] = crop;
    const { ignore } = this.#parts.objective;
    const { image, labels } = scope('input', () => sampleCrop(canvas!, placement!, { height, width, mean, ignore }));
    const regions = ids ? scope('input', () => sampleIds(ids, placement!, { height, width }).regions) : null;
    const halves = lossScale ? halveWeights(sgd.groups.map((group) => group.parameters)) : new Map<Parameter, Tensor>();
    const pass = new Pass({ batchStatistics, halves });
    const output = cast(network.forward(image, pass), 'f32');
    const { loss, validPixels, figures, remember } = prepared.trace({ output, labels, regions, progress: progress! });
    const { parameters } = sgd;
    const target = scope('loss', () => {
      const weighted = accumulate === 1 ? loss : mul(loss, this.#weightOf(validPixels));
      return lossScale ? lossScale.scaled(weighted) : weighted;
    });
    const learnt: readonly TensorLike[] = parameters.map(
      (parameter) => halves.get(parameter as Parameter) ?? parameter,
    );
    const gradients = grad(target, learnt);
    return scope('optimiser', () => {
      const byParameter = new Map<ResidentLike, Tensor>(parameters.map((parameter, i) => [parameter, gradients[i]!]));
      const packed = sgd.pack(byParameter);
      const finite = lossScale && finiteGradients(packed);
      updateStatistics(statistics, pass, finite);
      remember?.(finite);
      this.#largest.update(figures);
      const row = this.#row.pack({ loss, validPixels, ...figures });
      return { gradients: packed, validPixels, finite, figures: row };
    });
  }

  /** What figures are weighted by: means by `value`, sums by 1. */
  #perMean(value: Tensor): Tensor {
    const { names } = this.#row;
    const isMean = names.map((_, i) => (i < this.#means.length ? 1 : 0));
    const isSum = isMean.map((mean) => 1 - mean);
    return add(mul(constant([names.length], isMean), value), constant([names.length], isSum));
  }

  #watch(validPixels: Tensor): void {
    this.#most.update({ 'valid pixels': validPixels });
  }

  #arguments({ canvas, placement, ids }: TrainingBatch, { learningRate, progress }: StepSchedule): HostTensor[] {
    const { objective } = this.#parts;
    const args = [hostTensor([], [learningRate]), hostTensor([], [progress]), canvas, placement];
    if (!objective.wantsRegions) return args;
    if (!ids) throw new Error(`${objective.name}: the batch has no regions: name the data set's region masks`);
    return [...args, ids];
  }

  /** Submits one step: as many batches as are accumulated. Gives the figures of the step, to be read before the next. */
  async run(batches: readonly TrainingBatch[], schedule: StepSchedule, checked: boolean): Promise<Result> {
    const { accumulate } = this.#parts;
    if (batches.length !== accumulate)
      throw new Error(`a step takes ${accumulate} batches, as \`accumulate\` says, got ${batches.length}`);
    const submit = <R extends Record<string, Tensor>>(step: CompiledStep<R>, args: readonly HostTensor[]) =>
      checked ? step.runChecked(...args) : step.run(...args);
    try {
      if (!this.#update) return (await submit(this.#batch, this.#arguments(batches[0]!, schedule))).figures!;
      for (const batch of batches) await submit(this.#batch, this.#arguments(batch, schedule));
      return (await submit(this.#update, [hostTensor([], [schedule.learningRate])])).figures;
    } catch (error) {
      // Half a step is none.
      this.#sums?.clear();
      throw error;
    }
  }

  /**
   * The figures of a step by name: `loss`, `validPixels` and the objective's. What is read is what there is at the call, so
   * the next step may be submitted while this waits.
   *
   * @throws Error for what went wrong in any step since the last read that threw nothing, or if none of them had a valid pixel
   */
  async read(result: Result): Promise<Record<string, number>> {
    const reading = [result.read(), this.#largest.take(), this.#most.take()] as const;
    const [row, largest, most] = await Promise.all(reading);
    this.#parts.objective.check(largest);
    // One crop may well be empty, and a resumed run would meet it again.
    if (most['valid pixels'] === 0) throw new Error(this.#parts.objective.withoutPixels);
    this.#largest.accept();
    this.#most.accept();
    const figures = {
      ...this.#row.unpack(row.data),
      ...this.#scaling.unpack(row.data.subarray(this.#row.names.length)),
    };
    checkLossScale(figures);
    return figures;
  }

  /** Forgets microbatches of a step that was not finished, and what steps have reported. */
  reset(): void {
    this.#largest.reset();
    this.#most.reset();
    this.#sums?.clear();
  }

  /** The plan for a batch of this shape, as a table; under accumulation that of a microbatch, then that of the update. */
  describe(batch: TrainingBatch): string {
    const plans = [this.plan(batch)];
    if (this.#update) plans.push(this.#update.plan(hostTensor([], [0])));
    return plans.map(dumpPlan).join('\n\n');
  }

  /** The plan for a batch of this shape; under accumulation that of a microbatch. */
  plan(batch: TrainingBatch): Plan {
    return this.#batch.plan(...this.#arguments(batch, { learningRate: 0, progress: 0 }));
  }

  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
    this.#update?.[Symbol.dispose]();
    this.#sums?.[Symbol.dispose]();
    this.#largest[Symbol.dispose]();
    this.#most[Symbol.dispose]();
  }
}
