/** Stochastic gradient descent with momentum over flat groups of parameters: a handful of kernels a step, whatever the network. */
import { disposeOnError } from '../tensor/disposal.js';
import { assign, type ResidentLike, type Tensor, type TensorLike } from '../tensor/graph.js';
import { add, mul, mulScalar, sub, where } from '../tensor/ops/elementwise.js';
import { pack } from '../tensor/ops/pack.js';
import { FlatGroup, Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import type { ScaledGradients } from './loss_scale.js';

export interface SgdGroup {
  readonly parameters: FlatGroup;
  /** Factor on the learning rate, such as 10 for a fresh head; negative to ascend: to make the loss large. */
  readonly rateFactor: number;
  /** Factor of the L2 loss `weightDecay / 2 * |w|^2`, whose gradient is added to the loss's. */
  readonly weightDecay: number;
}

/** What TensorFlow calls the accumulator of `name`. */
const momentumName = (name: string): string => `${name}/Momentum`;

/**
 * TensorFlow's MomentumOptimizer, which the reference uses: `v = momentum * v + g`, `w = w - rate * v`. (PyTorch's SGD is
 * the same without dampening.)
 */
export class Sgd implements Disposable {
  readonly groups: readonly SgdGroup[];
  readonly momentum: number;
  readonly #velocities: readonly FlatGroup[];

  constructor(runtime: Runtime, groups: readonly SgdGroup[], momentum: number) {
    this.groups = groups;
    this.momentum = momentum;
    this.#velocities = disposeOnError((keep) =>
      groups.map(({ parameters }) => {
        const entries = parameters.entries.map(
          (entry) => new Resident(momentumName(entry.name), { shape: entry.shape, dtype: 'f32' }),
        );
        const velocity = keep(new FlatGroup(momentumName(parameters.flat.name), entries));
        runtime.allocate(velocity);
        return velocity;
      }),
    );
  }

  /** The trained parameters, group by group. */
  get parameters(): Resident[] {
    return this.groups.flatMap(({ parameters }) => [...parameters.entries]);
  }

  /** The velocities, for checkpoints. */
  get state(): Resident[] {
    return this.#velocities.flatMap(({ entries }) => [...entries]);
  }

  /** The gradients of each group's parameters as one flat tensor, in the groups' layouts. */
  pack(gradients: ReadonlyMap<ResidentLike, Tensor>): Tensor[] {
    return this.groups.map(({ parameters }) => {
      const ordered = parameters.entries.map((entry) => {
        const gradient = gradients.get(entry);
        if (!gradient) throw new Error(`sgd: no gradient for ${entry.name}`);
        return gradient;
      });
      return pack(ordered, parameters.layout);
    });
  }

  /**
   * Appends an update by packed gradients to the step being traced. `learningRate` is a scalar, so that a schedule needs
   * no new plan. Of gradients of a scaled loss, `scaled` says whether they are to be used at all.
   */
  update(packed: readonly Tensor[], learningRate: TensorLike, scaled: ScaledGradients | null = null): void {
    const ifFinite = (fresh: Tensor, old: TensorLike) => (scaled ? where(scaled.finite, fresh, old) : fresh);
    for (const [index, { parameters, rateFactor, weightDecay }] of this.groups.entries()) {
      const gradient = scaled ? mul(packed[index]!, scaled.inverse) : packed[index]!;
      const decayed = weightDecay > 0 ? add(gradient, mulScalar(parameters.flat, weightDecay)) : gradient;
      const old = this.#velocities[index]!.flat;
      const velocity = ifFinite(add(mulScalar(old, this.momentum), decayed), old);
      assign(old, velocity);
      const moved = sub(parameters.flat, mul(velocity, mulScalar(learningRate, rateFactor)));
      assign(parameters.flat, ifFinite(moved, parameters.flat));
    }
  }

  [Symbol.dispose](): void {
    for (const velocity of this.#velocities) velocity[Symbol.dispose]();
  }
}

/** The "poly" schedule: `base * (1 - step / steps) ^ power`, and 0 from `steps` on. */
export function polyRate(base: number, step: number, steps: number, power: number): number {
  return base * Math.max(0, 1 - step / steps) ** power;
}
