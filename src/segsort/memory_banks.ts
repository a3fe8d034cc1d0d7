/**
 * Memory banks: the prototypes of the last few batches, which pixels are also compared with. They make up for small
 * batches, which hold few segments of each class.
 */
import { disposeOnError } from '../tensor/disposal.js';
import { assign, currentGraph, type Tensor, type TensorLike } from '../tensor/graph.js';
import { where } from '../tensor/ops/elementwise.js';
import { concat } from '../tensor/ops/layout.js';
import { reshape } from '../tensor/ops/shape.js';
import type { Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { hostTensor } from '../tensor/types.js';

export interface MemoryBanksOptions {
  /** How many batches are remembered. Reference: 2. */
  readonly banks: number;
  /** Prototypes a batch: images times capacity. */
  readonly rows: number;
  /** Length of a prototype. */
  readonly channels: number;
}

export class MemoryBanks implements Disposable {
  readonly options: MemoryBanksOptions;
  /** Oldest first. */
  readonly #banks: readonly { readonly prototypes: Resident; readonly labels: Resident }[];

  /** Banks start out unused: labels -1, which no pixel is compared with. */
  constructor(runtime: Runtime, options: MemoryBanksOptions) {
    const { banks, rows, channels } = options;
    this.options = options;
    this.#banks = disposeOnError((keep) =>
      Array.from({ length: banks }, (_, bank) => ({
        prototypes: keep(
          runtime.resident(`segsort/bank_${bank}/prototypes`, { shape: [rows, channels], dtype: 'f32' }),
        ),
        labels: keep(runtime.resident(`segsort/bank_${bank}/labels`, { shape: [rows], dtype: 'i32' })),
      })),
    );
    for (const { prototypes, labels } of this.#banks) {
      runtime.write(prototypes, hostTensor([rows, channels], new Float32Array(rows * channels)));
      runtime.write(labels, hostTensor([rows], new Int32Array(rows).fill(-1), 'i32'));
    }
  }

  /** What a checkpoint has to hold: `segsort/bank_<i>/prototypes` and `.../labels`, bank 0 the oldest. */
  get residents(): readonly Resident[] {
    return this.#banks.flatMap(({ prototypes, labels }) => [prototypes, labels]);
  }

  /** The prototypes before this step, f32 [banks*rows, channels], and labels i32 [banks*rows]; null without banks. */
  use(): { prototypes: Tensor; labels: Tensor } | null {
    if (this.#banks.length === 0) return null;
    const graph = currentGraph();
    return {
      prototypes: concat(
        this.#banks.map(({ prototypes }) => graph.use(prototypes)),
        0,
      ),
      labels: concat(
        this.#banks.map(({ labels }) => graph.use(labels)),
        0,
      ),
    };
  }

  /**
   * At the end of the step the oldest bank is forgotten and the given prototypes, of any shape with rows * channels
   * elements (`segsortLoss` gives [N,capacity,D]), become the newest. Where `finite`, an f32 scalar, is 0, all stay as they are.
   */
  update(prototypes: TensorLike, labels: TensorLike, finite: Tensor | null = null): void {
    const { rows, channels } = this.options;
    const graph = currentGraph();
    const ifFinite = (fresh: Tensor, old: TensorLike) => (finite ? where(finite, fresh, old) : fresh);
    for (const [bank, { prototypes: table, labels: tableLabels }] of this.#banks.entries()) {
      const newer = this.#banks[bank + 1];
      assign(table, ifFinite(newer ? graph.use(newer.prototypes) : reshape(prototypes, [rows, channels]), table));
      assign(tableLabels, ifFinite(newer ? graph.use(newer.labels) : reshape(labels, [rows]), tableLabels));
    }
  }

  [Symbol.dispose](): void {
    for (const resident of this.residents) resident[Symbol.dispose]();
  }
}
