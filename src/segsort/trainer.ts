/** Supervised training with the SegSort loss: one compiled step from packed images to updated weights. Knows no files. */
import { grad } from '../autograd/grad.js';
import { polyRate, Sgd, type SgdGroup } from '../autograd/sgd.js';
import { restoreCheckpoint, serializeCheckpoint } from '../models/checkpoint.js';
import { Pass } from '../models/layers.js';
import type { Network } from '../models/network.js';
import { allocateParameters, type Parameter, type Part } from '../models/parameter.js';
import { updateStatistics } from '../models/statistics.js';
import { assign, type ResidentLike, type Tensor } from '../tensor/graph.js';
import { maximum, minimum, neg, toFloat } from '../tensor/ops/elementwise.js';
import { sampleCrop } from '../tensor/ops/image.js';
import { validLabels } from '../tensor/ops/normalize.js';
import { max } from '../tensor/ops/reduce.js';
import type { FlatGroup, Resident } from '../tensor/resident.js';
import type { CompiledStep, Result, Runtime } from '../tensor/runtime.js';
import { type HostTensor, hostTensor } from '../tensor/types.js';
import { clusterCount, clusterImages } from './clustering.js';
import { segsortLoss } from './loss.js';
import { MemoryBanks } from './memory_banks.js';
import { checkCapacity } from './ops/segments.js';
import { shrinkLabels } from './segmenter.js';

export interface TrainerOptions {
  /** Images a step. */
  readonly batch: number;
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
  /** Initial cells of the clustering along y and x. */
  readonly cells: readonly [number, number];
  readonly kmeansIterations: number;
  readonly concentration: number;
  readonly numerator: 'nca' | 'self';
  /** Earlier batches whose prototypes are compared with. */
  readonly banks: number;
  /** Most segments an image may have. */
  readonly capacity: number;
  readonly classes: number;
  /** Label of pixels that don't count. */
  readonly ignore: number;
  /** Subtracted from red, green and blue (0 to 255). */
  readonly mean: readonly [number, number, number];
  readonly seed: number;
}

/** A batch as the loader gives it: see `sampleCrop`. */
export interface TrainingBatch {
  readonly canvas: HostTensor;
  readonly placement: HostTensor;
}

export interface TrainingMetrics {
  /** Mean over the valid pixels of the batch, without the L2 loss. */
  readonly loss: number;
  readonly learningRate: number;
  readonly validPixels: number;
  /** Segments in the batch. */
  readonly segments: number;
}

type StepOutputs = Record<'loss' | 'validPixels' | 'segmentCounts', Tensor>;

/** A submitted step. `read` waits for it; call it before the next step, or not at all. */
export interface SubmittedStep {
  /** @throws Error for a loss that is not finite, and for what went wrong in any step since the last read */
  read(): Promise<TrainingMetrics>;
}

/** What an update treats alike: statistics of one decay, or trained parameters of one learning rate and weight decay. */
type UpdateKey =
  | { readonly role: 'statistic'; readonly decay: number }
  | { readonly part: Part; readonly role: 'weights' | 'others' };

function updateKey({ role, part, decay }: Parameter): UpdateKey {
  return role === 'statistic' ? { role, decay } : { part, role: role === 'weights' ? role : 'others' };
}

export class Trainer implements Disposable {
  readonly options: TrainerOptions;
  readonly #runtime: Runtime;
  readonly #network: Network;
  readonly #groups: readonly FlatGroup[];
  readonly #statistics: readonly FlatGroup[];
  readonly #sgd: Sgd;
  readonly #banks: MemoryBanks;
  /** Extremes over the steps since they were last read: segments of an image, wrong labels, fewest valid pixels. */
  readonly #watch: { readonly most: Resident; readonly least: Resident; readonly fewest: Resident };
  readonly #step: CompiledStep<StepOutputs>;

  constructor(runtime: Runtime, network: Network, options: TrainerOptions) {
    network.featureSize(...options.crop);
    this.options = options;
    this.#runtime = runtime;
    this.#network = network;
    const groups = allocateParameters(runtime, network.parameters, updateKey, options.seed);
    const trained: SgdGroup[] = [];
    const statistics: FlatGroup[] = [];
    for (const { key, group } of groups) {
      if (key.role === 'statistic') statistics.push(group);
      else
        trained.push({
          parameters: group,
          rateFactor: key.part === 'head' ? options.headRateFactor : 1,
          weightDecay: key.role === 'weights' ? options.weightDecay : 0,
        });
    }
    this.#groups = groups.map(({ group }) => group);
    this.#statistics = statistics;
    this.#sgd = new Sgd(runtime, trained, options.momentum);
    const rows = options.batch * options.capacity;
    this.#banks = new MemoryBanks(runtime, { banks: options.banks, rows, channels: network.spec.outputs });
    const watched = (name: string) => runtime.resident(name, { shape: [], dtype: 'f32' });
    this.#watch = { most: watched('most segments'), least: watched('least count'), fewest: watched('fewest pixels') };
    this.#resetWatch();
    this.#step = runtime.compile(
      (canvas, placement, learningRate) => this.#trace(canvas, placement, learningRate),
      'training step',
    );
  }

  #trace(canvas: Tensor, placement: Tensor, learningRate: Tensor): StepOutputs {
    const { options } = this;
    const [height, width] = options.crop;
    const { image, labels } = sampleCrop(canvas, placement, { height, width, mean: options.mean });
    const pass = new Pass({ batchStatistics: true });
    const embedding = this.#network.forward(image, pass);
    const [, h, w] = embedding.shape as [number, number, number, number];
    const shrunk = shrinkLabels(labels, [h, w]);
    const { clusters } = clusterImages(
      { embedding, mask: validLabels(shrunk, { classes: options.classes, ignoreLabel: options.ignore }) },
      { cells: options.cells, iterations: options.kmeansIterations },
    );
    const { loss, validPixels, segmentCounts, prototypes, prototypeLabels } = segsortLoss(
      { embedding, labels: shrunk, clusters, banks: this.#banks.use() },
      { ...options, clusters: clusterCount(options) },
    );
    const { parameters } = this.#sgd;
    const gradients = grad(loss, parameters);
    this.#sgd.update(
      new Map<ResidentLike, Tensor>(parameters.map((parameter, i) => [parameter, gradients[i]!])),
      learningRate,
    );
    updateStatistics(this.#statistics, pass);
    this.#banks.update(prototypes, prototypeLabels);

    const counts = toFloat(segmentCounts);
    const { most, least, fewest } = this.#watch;
    assign(most, maximum(most, max(counts)));
    assign(least, minimum(least, neg(max(neg(counts)))));
    assign(fewest, minimum(fewest, validPixels));
    return { loss, validPixels, segmentCounts };
  }

  /** The learning rate of a step, counted from 0. */
  learningRate(step: number): number {
    const { learningRate, steps, power, warmup } = this.options;
    return polyRate(learningRate, step, steps, power) * Math.min(1, (step + 1) / (warmup + 1));
  }

  /** Everything a checkpoint holds: parameters, running statistics, momenta and memory banks. */
  get residents(): readonly Resident[] {
    return [...this.#groups.flatMap(({ entries }) => entries), ...this.#sgd.state, ...this.#banks.residents];
  }

  /**
   * Submits one step. `checked` runs it op by op and stops with a `NonFiniteError` at the first value that is not
   * finite, before the weights are touched.
   */
  async step(batch: TrainingBatch, step: number, { checked = false } = {}): Promise<SubmittedStep> {
    const learningRate = this.learningRate(step);
    const args = [batch.canvas, batch.placement, hostTensor([], [learningRate])] as const;
    const results = checked ? await this.#step.runChecked(...args) : await this.#step.run(...args);
    return { read: () => this.#read(results, learningRate) };
  }

  async #read(results: Record<keyof StepOutputs, Result>, learningRate: number): Promise<TrainingMetrics> {
    const loss = await results.loss.scalar();
    const validPixels = await results.validPixels.scalar();
    const counts = (await results.segmentCounts.read()).data;
    const [most, least, fewest] = await Promise.all(
      [this.#watch.most, this.#watch.least, this.#watch.fewest].map(
        async (resident) => (await this.#runtime.read(resident)).data[0]!,
      ),
    );
    const { capacity } = this.options;
    checkCapacity(counts, capacity);
    if (most! > capacity)
      throw new Error(
        `more segments than capacity: an image since the last report has ${most} (cluster, label) pairs, the capacity is ${capacity}; raise the option \`capacity\``,
      );
    if (least! < 0)
      throw new Error(
        `an image since the last report has the label ${-1 - least!}, which is neither a class nor the ignored label`,
      );
    if (fewest === 0)
      throw new Error(
        `all pixels of a batch are ignored (label ${this.options.ignore}): check the label files, the class numbers and the crop size`,
      );
    if (!Number.isFinite(loss))
      throw new Error(
        `the loss is ${loss}: resume from the last checkpoint with a lower learning rate, or with --debug-nan to name the op it comes from`,
      );
    this.#resetWatch();
    return { loss, learningRate, validPixels, segments: Array.from(counts).reduce((sum, count) => sum + count, 0) };
  }

  #resetWatch(): void {
    const { most, least, fewest } = this.#watch;
    this.#runtime.write(most, hostTensor([], [0]));
    this.#runtime.write(least, hostTensor([], [0]));
    this.#runtime.write(fewest, hostTensor([], [this.options.batch * this.options.crop[0] * this.options.crop[1]]));
  }

  /** The plan of a step for batches of this shape, as a table. */
  describe(batch: TrainingBatch): Promise<string> {
    return this.#step.describe(batch.canvas, batch.placement, hostTensor([], [0]));
  }

  /** Runs one step with a time for every kernel. */
  profile(batch: TrainingBatch) {
    return this.#step.profile(batch.canvas, batch.placement, hostTensor([], [0]));
  }

  /** A safetensors file from which `restore` continues bit for bit. `step` is the number of steps done. */
  checkpoint(step: number): Promise<Uint8Array<ArrayBuffer>> {
    const { seed } = this.options;
    return serializeCheckpoint(this.#runtime, this.residents, { step: String(step), seed: String(seed) });
  }

  /**
   * Restores a checkpoint and returns the number of steps done.
   * @throws CheckpointError if it does not fit the network, or was made with another seed
   */
  restore(bytes: Uint8Array<ArrayBuffer>, file: string): number {
    return this.#stepOf(restoreCheckpoint(this.#runtime, bytes, file, this.residents, { unexpected: 'error' }), file);
  }

  #stepOf(metadata: Readonly<Record<string, string>>, file: string): number {
    const step = Number(metadata.step);
    if (metadata.step === undefined || !Number.isInteger(step) || step < 0)
      throw new Error(`${file} does not say how many steps were done: it is not a checkpoint of a training run`);
    if (metadata.seed !== String(this.options.seed))
      throw new Error(
        `${file} was made with seed ${metadata.seed}, this run has ${this.options.seed}: it would see other batches`,
      );
    return step;
  }

  [Symbol.dispose](): void {
    this.#step[Symbol.dispose]();
    for (const group of this.#groups) group[Symbol.dispose]();
    this.#sgd[Symbol.dispose]();
    this.#banks[Symbol.dispose]();
    for (const resident of Object.values(this.#watch)) resident[Symbol.dispose]();
  }
}
