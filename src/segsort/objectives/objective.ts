/** What a network learns: the part of a training step between its output and the loss. The trainer does the rest. */
import type { SgdGroup } from '../../autograd/sgd.js';
import type { Tensor } from '../../tensor/graph.js';
import type { Resident } from '../../tensor/resident.js';
import type { Runtime } from '../../tensor/runtime.js';

/** What one objective is given of each batch: N images, the crops H by W, the network's output h by w. */
export interface ObjectiveInputs {
  /** f32 [N,h,w,C]. */
  readonly output: Tensor;
  /** i32 [N,H,W]. */
  readonly labels: Tensor;
  /** i32 [N,H,W], ids of regions, -1 where there is none; null unless the objective wants regions. */
  readonly regions: Tensor | null;
  /** f32 scalar: the share of the run's steps that are done, from 0. */
  readonly progress: Tensor;
}

export interface ObjectiveOutputs {
  /** f32 scalar, to be minimised: a mean over `validPixels` of them; 0, with a gradient of 0, if there is none. */
  readonly loss: Tensor;
  /** f32 scalar. */
  readonly validPixels: Tensor;
  /** f32 scalars: all that the `Figures` of the objective name. */
  readonly figures: Readonly<Record<string, Tensor>>;
  /**
   * Appends what it keeps for later steps to the step being traced, once the gradients are known. In mixed precision
   * `finite` is an f32 scalar: 0 if the step is to leave no trace.
   */
  readonly remember?: (finite: Tensor | null) => void;
}

/** Names of further scalars that tell of a step. */
export interface Figures {
  /** To be reported: means over the valid pixels. */
  readonly means: readonly string[];
  /** To be reported: sums over the batch. */
  readonly sums: readonly string[];
  /** To be checked: their largest values since the last report are given to `check`. */
  readonly largest: readonly string[];
}

export interface ObjectiveSizes {
  /** Images of a batch. */
  readonly images: number;
  /** Channels of the network's output. */
  readonly channels: number;
}

/** A description of what is to be learnt, which any number of trainers may use. */
export interface Objective {
  /** Kept in checkpoints, so that none is resumed with another objective. */
  readonly name: string;
  /** Whether batches must have region ids. */
  readonly wantsRegions: boolean;
  readonly figures: Figures;
  /** The label that crops have outside of their images. Default 255. */
  readonly ignore?: number;
  /** What is wrong, and what to do, where no step since the last report had a valid pixel. */
  readonly withoutPixels: string;
  /** Throws, saying what to do, if the largest values tell of something wrong. */
  check(largest: Readonly<Record<string, number>>): void;
  /** Allocates what it keeps between steps. @throws Error if the network's output doesn't suit it */
  prepare(runtime: Runtime, sizes: ObjectiveSizes): PreparedObjective;
}

/** An objective with its state on the GPU. */
export interface PreparedObjective extends Disposable {
  /** What checkpoints hold of it: memory banks, learnt weights. */
  readonly residents: readonly Resident[];
  /** What is learnt along with the network's parameters. */
  readonly learnt: readonly SgdGroup[];
  /** Appends itself to the step being traced. */
  trace(inputs: ObjectiveInputs): ObjectiveOutputs;
}

/** For objectives that keep nothing between steps. */
export function stateless(trace: PreparedObjective['trace']): PreparedObjective {
  return { residents: [], learnt: [], trace, [Symbol.dispose]() {} };
}
