/** Scalars by name that tell of training steps, kept together on the GPU so that they are read back at once. */
import { assign, type Tensor } from '../tensor/graph.js';
import { maximum } from '../tensor/ops/elementwise.js';
import { concat } from '../tensor/ops/layout.js';
import { reshape } from '../tensor/ops/shape.js';
import type { Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { hostTensor } from '../tensor/types.js';

/** Scalars side by side, f32 [names.length]. */
export class ScalarRow {
  readonly names: readonly string[];

  constructor(names: readonly string[]) {
    this.names = names;
  }

  pack(values: Readonly<Record<string, Tensor>>): Tensor {
    const columns = this.names.map((name) => {
      const value = values[name];
      if (!value) throw new Error(`a step gives no value for ${name}`);
      return reshape(value, [1]);
    });
    return concat(columns, 0);
  }

  unpack(row: ArrayLike<number>): Record<string, number> {
    return Object.fromEntries(this.names.map((name, i) => [name, row[i]!]));
  }
}

const LOWEST = -3.4028234663852886e38;

/** The largest values of scalars over all steps since they were last read. */
export class Largest implements Disposable {
  readonly #runtime: Runtime;
  readonly #row: ScalarRow;
  readonly #values: Resident | null;

  constructor(runtime: Runtime, names: readonly string[]) {
    this.#runtime = runtime;
    this.#row = new ScalarRow(names);
    this.#values = names.length > 0 ? runtime.resident('largest', { shape: [names.length], dtype: 'f32' }) : null;
    this.reset();
  }

  /** Appends an update to the step being traced. */
  update(values: Readonly<Record<string, Tensor>>): void {
    if (this.#values) assign(this.#values, maximum(this.#values, this.#row.pack(values)));
  }

  async read(): Promise<Record<string, number>> {
    return this.#values ? this.#row.unpack((await this.#runtime.read(this.#values)).data) : {};
  }

  reset(): void {
    const { length } = this.#row.names;
    if (this.#values) this.#runtime.write(this.#values, hostTensor([length], new Array(length).fill(LOWEST)));
  }

  [Symbol.dispose](): void {
    this.#values?.[Symbol.dispose]();
  }
}
