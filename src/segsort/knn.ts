/**
 * Exact nearest neighbours in tables of any length: every query is compared with every row, on the GPU, and the table is
 * streamed through it where it does not fit.
 */

import type { CompiledStep } from '../tensor/compiled_step.js';
import { disposeOnError } from '../tensor/disposal.js';
import { assign, type Tensor } from '../tensor/graph.js';
import { takeAlong } from '../tensor/ops/along.js';
import { addIntegers } from '../tensor/ops/elementwise.js';
import { concat } from '../tensor/ops/layout.js';
import { MAX_K, topK } from '../tensor/ops/select_k.js';
import type { Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { BYTES_PER_ELEMENT, type HostTensor, hostTensor } from '../tensor/types.js';
import { GROUP, NO_SIMILARITY } from './ops/nearest_groups.js';
import { nearestPrototypes } from './retrieval.js';

/** Where the rows of a table come from. */
export interface RowSource {
  readonly rows: number;
  /** Length of a row. */
  readonly channels: number;
  /** Rows `first` to `first + count - 1`, `count * channels` numbers. */
  read(first: number, count: number): Float32Array | Promise<Float32Array>;
}

/** A table in memory. */
export function rowsOf(values: Float32Array, channels: number): RowSource {
  if (!(Number.isInteger(channels) && channels > 0) || values.length % channels !== 0)
    throw new Error(`rowsOf: ${values.length} numbers are no rows of ${channels} channels`);
  return {
    rows: values.length / channels,
    channels,
    read: (first, count) => values.subarray(first * channels, (first + count) * channels),
  };
}

export interface KnnOptions {
  /** Neighbours to find, 1 to 64 and at most the rows of the table. */
  readonly k: number;
  /** Largest number of queries that are compared at a time. Default: 1024, or fewer if the table is very long. */
  readonly batch?: number;
  /**
   * Bytes of GPU memory that the table may take. A larger one is streamed: read from its source for each batch of
   * queries, in parts of half of that. Default: all it needs.
   */
  readonly memory?: number;
}

export interface KnnResult {
  /** [queries, k]: numbers of the rows, most similar first; of equally similar ones the lower first. */
  readonly rows: Int32Array<ArrayBuffer>;
  /** [queries, k]: dot products, descending. */
  readonly similarities: Float32Array<ArrayBuffer>;
}

/** Rows of one part of the table, or of the many that a streamed table passes through one buffer. */
interface Part {
  readonly first: number;
  readonly count: number;
  readonly resident: Resident;
}

/** The step that compares a batch of queries with one more part, and what it found so far where there are several. */
interface Search {
  readonly step: CompiledStep<{ similarities: Tensor; rows: Tensor }>;
  readonly best: { readonly similarities: Resident; readonly rows: Resident } | null;
}

/** Rows of a part are counted in workgroups, of which a dispatch has no more than this along one axis. */
const LONGEST_PART = 65535 * GROUP;
/** What the maxima of the groups of a part may take, for a batch of queries. */
const MAXIMA_BYTES = 2 ** 26;

export class KnnIndex implements Disposable {
  readonly rows: number;
  readonly channels: number;
  readonly k: number;
  /** Largest number of queries compared at a time. */
  readonly batch: number;
  /** Whether the table is read anew for each batch of queries. */
  readonly streamed: boolean;
  readonly #runtime: Runtime;
  readonly #source: RowSource;
  readonly #parts: readonly Part[];
  readonly #searches = new Map<number, Search>();
  #last: Promise<unknown> = Promise.resolve();

  private constructor(runtime: Runtime, source: RowSource, options: KnnOptions) {
    const { rows, channels } = source;
    const { k, batch, memory = Number.POSITIVE_INFINITY } = options;
    if (batch !== undefined && !(Number.isInteger(batch) && batch >= 1))
      throw new Error(`KnnIndex: batch must be a positive integer, got ${batch}`);
    if (!(Number.isInteger(k) && k >= 1 && k <= Math.min(rows, MAX_K)))
      throw new Error(`KnnIndex: k must be an integer from 1 to ${MAX_K} and at most the ${rows} rows, got ${k}`);
    this.rows = rows;
    this.channels = channels;
    this.k = k;
    this.#runtime = runtime;
    this.#source = source;
    const rowBytes = padded(channels) * BYTES_PER_ELEMENT.f32;
    this.streamed = rows * rowBytes > memory;
    // A streamed table takes two buffers: one for all parts but the last, which may be shorter.
    const longest = longestPart(runtime, this.streamed ? memory / 2 : Number.POSITIVE_INFINITY, rowBytes);
    if (longest < GROUP)
      throw new Error(`KnnIndex: ${memory} bytes don't hold two parts of ${GROUP} rows of ${channels} channels`);
    const count = Math.ceil(rows / Math.ceil(rows / longest) / GROUP) * GROUP;
    this.#parts = disposeOnError((keep) => {
      const parts: Part[] = [];
      for (let first = 0; first < rows; first += count) {
        const own = Math.min(count, rows - first);
        const before = parts.at(-1);
        const type = { shape: [own, padded(channels)], dtype: 'f32' } as const;
        const resident =
          this.streamed && before?.count === own
            ? before.resident
            : keep(runtime.resident(`table rows ${first}-${first + own - 1}`, type));
        parts.push({ first, count: own, resident });
      }
      return parts;
    });
    const most = Math.max(1, Math.floor(MAXIMA_BYTES / BYTES_PER_ELEMENT.f32 / Math.ceil(count / GROUP)));
    this.batch = batch ?? Math.min(1024, most);
  }

  /**
   * Puts a table on the GPU, or what fits of it. Similarity is the dot product: the cosine for unit vectors, as
   * prototypes are.
   *
   * @throws Error if k is out of range, if `memory` is too little for any part, or the source gives the wrong number of rows
   */
  static async open(runtime: Runtime, source: RowSource, options: KnnOptions): Promise<KnnIndex> {
    const index = new KnnIndex(runtime, source, options);
    try {
      if (!index.streamed) for (const part of index.#parts) index.#write(part, await index.#read(part));
    } catch (error) {
      index[Symbol.dispose]();
      throw error;
    }
    return index;
  }

  async #read({ first, count }: Part): Promise<Float32Array<ArrayBuffer>> {
    const values = await this.#source.read(first, count);
    if (values.length !== count * this.channels)
      throw new Error(
        `KnnIndex: the source gave ${values.length} numbers for ${count} rows of ${this.channels} channels from row ${first}`,
      );
    return withPadding(values, this.channels);
  }

  #write({ resident }: Part, data: Float32Array<ArrayBuffer>): void {
    this.#runtime.write(resident, { shape: resident.shape, dtype: 'f32', data });
  }

  /**
   * The k rows most similar to each of the queries [n, channels]. Searches that are asked for at the same time run one
   * after the other.
   */
  search(queries: Float32Array): Promise<KnnResult> {
    if (queries.length % this.channels !== 0)
      throw new Error(`KnnIndex: ${queries.length} numbers are no queries of ${this.channels} channels`);
    const result = this.#last.then(() => this.#search(queries));
    this.#last = result.catch(() => {});
    return result;
  }

  async #search(queries: Float32Array): Promise<KnnResult> {
    const { channels, k, batch } = this;
    const count = queries.length / channels;
    const rows = new Int32Array(count * k);
    const similarities = new Float32Array(count * k);
    for (let first = 0; first < count; first += batch) {
      const own = Math.min(batch, count - first);
      // Few sizes, so that few plans are made.
      const size = Math.min(batch, Math.max(8, 2 ** Math.ceil(Math.log2(own))));
      const data = new Float32Array(size * padded(channels));
      data.set(withPadding(queries.subarray(first * channels, (first + own) * channels), channels));
      const found = await this.#searchBatch(hostTensor([size, padded(channels)], data));
      rows.set(found.rows.data.subarray(0, own * k), first * k);
      similarities.set(found.similarities.data.subarray(0, own * k), first * k);
    }
    return { rows, similarities };
  }

  async #searchBatch(queries: HostTensor): Promise<{ rows: HostTensor; similarities: HostTensor }> {
    const size = queries.shape[0]!;
    const { step, best } = this.#searchOf(size);
    const runtime = this.#runtime;
    if (best) {
      const { similarities, rows } = best;
      runtime.write(similarities, hostTensor(similarities.shape, new Float32Array(size * this.k).fill(NO_SIMILARITY)));
      runtime.write(rows, hostTensor(rows.shape, new Int32Array(size * this.k).fill(-1), 'i32'));
    }
    let next = this.streamed ? this.#read(this.#parts[0]!) : null;
    let result: Awaited<ReturnType<typeof step.run>> | undefined;
    for (const [index, part] of this.#parts.entries()) {
      if (next) {
        const data = await next;
        const following = this.#parts[index + 1];
        next = following ? this.#read(following) : null;
        next?.catch(() => {}); // It is awaited above, unless this part fails before.
        // What is written waits in memory of its own until the GPU takes it: one part, not all.
        await runtime.device.queue.onSubmittedWorkDone();
        this.#write(part, data);
      }
      result = await step.run(queries, part.resident, hostTensor([], [part.first], 'i32'));
    }
    const [rows, similarities] = await Promise.all([result!.rows.read(), result!.similarities.read()]);
    return { rows, similarities };
  }

  #searchOf(size: number): Search {
    let search = this.#searches.get(size);
    if (!search) {
      const { k } = this;
      const shape = [size, k];
      const best =
        this.#parts.length > 1
          ? {
              similarities: this.#runtime.resident('similarities so far', { shape, dtype: 'f32' }),
              rows: this.#runtime.resident('rows so far', { shape, dtype: 'i32' }),
            }
          : null;
      const step = this.#runtime.compile((queries, table, first) => {
        const { similarities, indices } = nearestPrototypes(queries!, table!, Math.min(k, table!.shape[0]!));
        if (!best) return { similarities, rows: indices };
        // Rows found before come first, and are lower: equal similarities keep the order of their rows.
        const merged = topK(concat([best.similarities, similarities], 1), k);
        const rows = takeAlong(concat([best.rows, addIntegers(indices, first!)], 1), merged.indices);
        assign(best.similarities, merged.values);
        assign(best.rows, rows);
        return { similarities: merged.values, rows };
      }, 'nearest neighbours');
      search = { step, best };
      this.#searches.set(size, search);
    }
    return search;
  }

  [Symbol.dispose](): void {
    for (const { step, best } of this.#searches.values()) {
      step[Symbol.dispose]();
      best?.similarities[Symbol.dispose]();
      best?.rows[Symbol.dispose]();
    }
    this.#searches.clear();
    for (const resident of new Set(this.#parts.map(({ resident }) => resident))) resident[Symbol.dispose]();
  }
}

/** The tuned kernels read four channels at a time. */
const padded = (channels: number) => Math.ceil(channels / 4) * 4;

/** Rows that one buffer may hold, in whole groups. */
function longestPart({ device, facts }: Runtime, bytes: number, rowBytes: number): number {
  const most = Math.min(bytes, facts.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  return Math.min(LONGEST_PART, Math.floor(most / rowBytes / GROUP) * GROUP);
}

/** The rows with zeros behind each, up to a multiple of four channels. */
function withPadding(rows: Float32Array, channels: number): Float32Array<ArrayBuffer> {
  const width = padded(channels);
  if (width === channels && rows.buffer instanceof ArrayBuffer) return rows as Float32Array<ArrayBuffer>;
  const wide = new Float32Array((rows.length / channels) * width);
  for (let row = 0; row * channels < rows.length; row++)
    wide.set(rows.subarray(row * channels, (row + 1) * channels), row * width);
  return wide;
}
