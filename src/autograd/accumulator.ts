/** Sums over the microbatches of a step, such as their gradients, that stay on the GPU. */
import { disposeOnError } from '../tensor/disposal.js';
import { assign, currentGraph, type Tensor } from '../tensor/graph.js';
import { add } from '../tensor/ops/elementwise.js';
import { zerosLike } from '../tensor/ops/shape.js';
import type { Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { hostData, type Shape, sizeOf } from '../tensor/types.js';

export class Accumulator implements Disposable {
  readonly #runtime: Runtime;
  readonly #sums: readonly Resident[];

  /** Starts at zero: f32 of each of the shapes. */
  constructor(runtime: Runtime, shapes: readonly Shape[]) {
    this.#runtime = runtime;
    this.#sums = disposeOnError((keep) =>
      shapes.map((shape, i) => keep(runtime.resident(`accumulator ${i}`, { shape, dtype: 'f32' }))),
    );
  }

  /** At the end of the step being traced, the terms are added. */
  add(terms: readonly Tensor[]): void {
    for (const [i, sum] of this.#sums.entries()) assign(sum, add(sum, terms[i]!));
  }

  /** The sums before the step being traced; at its end they start again at zero. */
  take(): Tensor[] {
    return this.#sums.map((resident) => {
      const sum = currentGraph().use(resident);
      assign(resident, zerosLike(sum));
      return sum;
    });
  }

  /** Starts again at zero now. */
  clear(): void {
    for (const sum of this.#sums)
      this.#runtime.write(sum, { shape: sum.shape, dtype: 'f32', data: hostData('f32', sizeOf(sum.shape)) });
  }

  [Symbol.dispose](): void {
    for (const sum of this.#sums) sum[Symbol.dispose]();
  }
}
