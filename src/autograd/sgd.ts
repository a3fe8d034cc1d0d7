/** Stochastic gradient descent with momentum over flat groups of parameters: a handful of kernels a step, whatever the network. */
import { assign, type ResidentLike, type Tensor, type TensorLike } from '../tensor/graph.js';
import { add, mul, mulScalar, sub } from '../tensor/ops/elementwise.js';
import { pack } from '../tensor/ops/pack.js';
import { FlatGroup, Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';

export interface SgdGroup {
  readonly parameters: FlatGroup;
  /** Factor on the learning rate, such as 10 for a fresh head. */
  readonly rateFactor: number;
  /** Factor of the L2 loss `weightDecay / 2 * |w|^2`, whose gradient is added to the loss's. */
  readonly weightDecay: number;
}

/** What TensorFlow calls the accumulator of `name`. */
export const momentumName = (name: string): string => `${name}/Momentum`;

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
    this.#velocities = groups.map(({ parameters }) => {
      const entries = parameters.entries.map(
        (entry) => new Resident(momentumName(entry.name), { shape: entry.shape, dtype: 'f32' }),
      );
      const velocity = new FlatGroup(momentumName(parameters.flat.name), entries);
      runtime.allocate(velocity);
      return velocity;
    });
  }

  /** The trained parameters, in the order in which `update` wants their gradients. */
  get parameters(): Resident[] {
    return this.groups.flatMap(({ parameters }) => [...parameters.entries]);
  }

  /** The velocities, for checkpoints. */
  get state(): Resident[] {
    return this.#velocities.flatMap(({ entries }) => [...entries]);
  }

  /** Appends an update to the step being traced. `learningRate` is a scalar, so that a schedule needs no new plan. */
  update(gradients: ReadonlyMap<ResidentLike, Tensor>, learningRate: TensorLike): void {
    for (const [index, { parameters, rateFactor, weightDecay }] of this.groups.entries()) {
      const ordered = parameters.entries.map((entry) => {
        const gradient = gradients.get(entry);
        if (!gradient) throw new Error(`sgd: no gradient for ${entry.name}`);
        return gradient;
      });
      const packed = pack(ordered, parameters.layout);
      const decayed = weightDecay > 0 ? add(packed, mulScalar(parameters.flat, weightDecay)) : packed;
      const old = this.#velocities[index]!.flat;
      const velocity = add(mulScalar(old, this.momentum), decayed);
      assign(old, velocity);
      assign(parameters.flat, sub(parameters.flat, mul(velocity, mulScalar(learningRate, rateFactor))));
    }
  }

  [Symbol.dispose](): void {
    for (const velocity of this.#velocities) velocity[Symbol.dispose]();
  }
}

/** The "poly" schedule: `base * (1 - step / steps) ^ power`. */
export function polyRate(base: number, step: number, steps: number, power: number): number {
  return base * (1 - step / steps) ** power;
}
