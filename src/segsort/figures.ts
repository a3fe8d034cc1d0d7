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

/** The largest values of scalars over all steps since they were last accepted. */
export class Largest implements Disposable {
  readonly #runtime: Runtime;
  readonly #row: ScalarRow;
  /** Of the steps since they were last taken. */
  readonly #values: Resident | null;
  /** Of those before that. */
  readonly #taken: number[];

  constructor(runtime: Runtime, names: readonly string[]) {
    this.#runtime = runtime;
    this.#row = new ScalarRow(names);
    this.#taken = new Array(names.length).fill(LOWEST);
    this.#values = names.length > 0 ? runtime.resident('largest', { shape: [names.length], dtype: 'f32' }) : null;
    this.reset();
  }

  /** Appends an update to the step being traced. */
  update(values: Readonly<Record<string, Tensor>>): void {
    if (this.#values) assign(this.#values, maximum(this.#values, this.#row.pack(values)));
  }

  /** The largest values of the steps submitted before the call; those of later ones are kept for the next. */
  async take(): Promise<Record<string, number>> {
    if (!this.#values) return {};
    const reading = this.#runtime.read(this.#values);
    this.#clear();
    const { data } = await reading;
    for (const [i, value] of data.entries()) this.#taken[i] = Math.max(this.#taken[i]!, value);
    return this.#row.unpack(this.#taken);
  }

  /** Forgets what was taken. */
  accept(): void {
    this.#taken.fill(LOWEST);
  }

  /** Forgets all. */
  reset(): void {
    this.accept();
    this.#clear();
  }

  #clear(): void {
    const { length } = this.#row.names;
    if (this.#values) this.#runtime.write(this.#values, hostTensor([length], new Array(length).fill(LOWEST)));
  }

  [Symbol.dispose](): void {
    this.#values?.[Symbol.dispose]();
  }
}
