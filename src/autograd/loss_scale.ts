/**
 * Dynamic loss scaling ("Mixed Precision Training", Micikevicius et al., 2018, section 3.2): gradients of activations are
 * stored as f16, whose range they would fall below, so the loss is multiplied by as large a factor as they can bear. It
 * grows while steps go well; a step whose gradients are not finite is skipped, and the factor halved. All of it happens on
 * the GPU, and the host never waits to decide.
 */
import { assign, currentGraph, scalar, type Tensor, type TensorLike } from '../tensor/graph.js';
import { add, addScalar, equal, greater, mul, mulScalar, oneMinus, where } from '../tensor/ops/elementwise.js';
import { countNonFinite } from '../tensor/ops/non_finite.js';
import type { Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { hostTensor } from '../tensor/types.js';

export interface LossScaleOptions {
  /** The first factor, a power of 2, so that scaling is exact. Default 2^16. */
  readonly initial?: number;
  /** Steps in a row without an overflow after which the factor doubles. Default 2000. */
  readonly growthInterval?: number;
}

/** The factor grows no further: beyond, the loss itself might overflow. */
const LARGEST = 2 ** 24;

/** Gradients by which parameters may be updated, or not. */
export interface ScaledGradients {
  /** f32 scalar: 1 if all gradients are finite, else 0, and nothing is to be updated. */
  readonly finite: Tensor;
  /** f32 scalar that the gradients are to be multiplied by. */
  readonly inverse: Tensor;
}

export class LossScale implements Disposable {
  /** What checkpoints hold of it. */
  readonly state: readonly Resident[];
  readonly #growthInterval: number;
  readonly #scale: Resident;
  /** 1 / scale, kept because a GPU's division need not be exact. */
  readonly #inverse: Resident;
  /** Steps since the scale last changed. */
  readonly #goodSteps: Resident;
  readonly #skippedSteps: Resident;

  constructor(runtime: Runtime, { initial = 2 ** 16, growthInterval = 2000 }: LossScaleOptions = {}) {
    if (!(Number.isInteger(Math.log2(initial)) && initial > 0 && initial <= LARGEST))
      throw new RangeError(`loss scale: must be a power of 2 up to ${LARGEST}, got ${initial}`);
    if (!(Number.isInteger(growthInterval) && growthInterval > 0))
      throw new RangeError(`loss scale: growthInterval must be an integer of at least 1, got ${growthInterval}`);
    this.#growthInterval = growthInterval;
    this.#scale = runtime.resident('loss_scale/scale', hostTensor([], [initial]));
    this.#inverse = runtime.resident('loss_scale/inverse', hostTensor([], [1 / initial]));
    this.#goodSteps = runtime.resident('loss_scale/good_steps', hostTensor([], [0]));
    this.#skippedSteps = runtime.resident('loss_scale/skipped_steps', hostTensor([], [0]));
    this.state = [this.#scale, this.#inverse, this.#goodSteps, this.#skippedSteps];
  }

  /** The loss whose gradients are to be taken. */
  scaled(loss: Tensor): Tensor {
    return mul(loss, this.#scale);
  }

  /**
   * Appends to the step being traced whether these gradients of the scaled loss are finite, where that is not known yet, and
   * what becomes of the scale. Once a step.
   */
  judge(
    gradients: readonly TensorLike[],
    finite = finiteGradients(gradients),
  ): ScaledGradients & { readonly figures: Record<LossScaleFigure, Tensor> } {
    const goodSteps = mul(addScalar(this.#goodSteps, 1), finite);
    const grows = greater(goodSteps, scalar(this.#growthInterval - 0.5));
    const scale = currentGraph().use(this.#scale);
    const inverse = currentGraph().use(this.#inverse);
    const doubles = mul(grows, greater(scalar(LARGEST), scale));
    const factor = where(finite, addScalar(doubles, 1), scalar(0.5));
    const inverseFactor = where(finite, addScalar(mulScalar(doubles, -0.5), 1), scalar(2));
    assign(this.#scale, mul(scale, factor));
    assign(this.#inverse, mul(inverse, inverseFactor));
    assign(this.#goodSteps, mul(goodSteps, oneMinus(grows)));
    const skippedSteps = add(this.#skippedSteps, oneMinus(finite));
    assign(this.#skippedSteps, skippedSteps);
    return { finite, inverse, figures: { lossScale: scale, skippedSteps } };
  }

  [Symbol.dispose](): void {
    for (const resident of this.state) resident[Symbol.dispose]();
  }
}

/** f32 scalar: 1 if all gradients are finite, else 0. */
export function finiteGradients(gradients: readonly TensorLike[]): Tensor {
  const bad = gradients.map(countNonFinite).reduce((total, count) => add(total, count));
  return equal(bad, scalar(0));
}

/** The scale of the step, and the steps skipped so far. */
export const LOSS_SCALE_FIGURES = ['lossScale', 'skippedSteps'] as const;
export type LossScaleFigure = (typeof LOSS_SCALE_FIGURES)[number];

/**
 * Gradients that overflow without any scaling are no matter of range.
 *
 * @throws Error then
 */
export function checkLossScale({ lossScale }: Readonly<Partial<Record<LossScaleFigure, number>>>): void {
  if (lossScale !== undefined && lossScale < 1)
    throw new Error(
      'the gradients are not finite at any loss scale: resume from the last checkpoint with a lower learning rate, or train with precision f32',
    );
}
