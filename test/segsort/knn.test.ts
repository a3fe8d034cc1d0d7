/** Exact nearest neighbours against a plain loop over all rows. */
import { afterAll, describe, expect, it, vi } from 'vitest';
import { KnnIndex, type KnnOptions, type KnnResult, type RowSource, rowsOf } from '../../src/segsort/knn.js';
import { Random } from '../../src/tensor/random.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { testGpu } from '../support/gpu.js';

/** A runtime with kernels that are quickly compiled, where another file tests the others; shared by the tests. */
let shared: Promise<Runtime> | undefined;
function runtime(): Promise<Runtime> {
  shared ??= testGpu().then((gpu) => new Runtime(gpu, { kernels }));
  return shared;
}
const kernels = { matmul: 'naive' };

afterAll(async () => (await shared)?.[Symbol.dispose]());

/** Small integers, whose products are exact, so that many rows are equally similar; or unit vectors. */
function vectors(rows: number, channels: number, seed: number, kind: 'integers' | 'units' = 'integers'): Float32Array {
  const random = new Random({ seed, stream: 77 });
  const values = Float32Array.from({ length: rows * channels }, () =>
    kind === 'integers' ? random.integerIn(-2, 2) : random.between(-1, 1),
  );
  if (kind === 'units')
    for (let row = 0; row < rows; row++) {
      const own = values.subarray(row * channels, (row + 1) * channels);
      const norm = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0));
      for (const [c, value] of own.entries()) own[c] = value / norm;
    }
  return values;
}

function plain(queries: Float32Array, table: Float32Array, channels: number, k: number): KnnResult {
  const rows: number[] = [];
  const similarities: number[] = [];
  for (let q = 0; q < queries.length; q += channels) {
    const all = Float64Array.from({ length: table.length / channels }, (_, row) => {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += queries[q + c]! * table[row * channels + c]!;
      return sum;
    });
    const order = Array.from(all.keys()).sort((a, b) => all[b]! - all[a]! || a - b);
    rows.push(...order.slice(0, k));
    similarities.push(...order.slice(0, k).map((row) => all[row]!));
  }
  return { rows: Int32Array.from(rows), similarities: Float32Array.from(similarities) };
}

async function found(on: Runtime, source: RowSource, queries: Float32Array, options: KnnOptions) {
  using index = await KnnIndex.open(on, source, options);
  return { ...(await index.search(queries)), streamed: index.streamed };
}

describe('KnnIndex', () => {
  it('finds exactly what a loop finds, in order', async () => {
    const table = vectors(9000, 32, 1);
    const queries = vectors(40, 32, 2);
    const { rows, similarities, streamed } = await found(await runtime(), rowsOf(table, 32), queries, { k: 21 });
    const expected = plain(queries, table, 32, 21);
    expect(rows).toEqual(expected.rows);
    expect(similarities).toEqual(expected.similarities);
    expect(streamed).toBe(false);
  });

  it('finds the most similar of 20,000 unit vectors', async () => {
    const table = vectors(20000, 32, 3, 'units');
    const queries = vectors(33, 32, 4, 'units');
    const { rows, similarities } = await found(await runtime(), rowsOf(table, 32), queries, { k: 15 });
    const expected = plain(queries, table, 32, 15);
    for (const [i, similarity] of similarities.entries()) {
      expect(similarity).toBeCloseTo(expected.similarities[i]!, 6);
      // Two rows may change places where they are nearer than what f32 resolves.
      const [own] = plain(
        queries.subarray(Math.floor(i / 15) * 32, Math.floor(i / 15) * 32 + 32),
        table.subarray(rows[i]! * 32, rows[i]! * 32 + 32),
        32,
        1,
      ).similarities;
      expect(Math.abs(own! - expected.similarities[i]!)).toBeLessThan(1e-6);
    }
    for (let q = 0; q < 33; q++) expect(new Set(rows.subarray(q * 15, q * 15 + 15)).size).toBe(15);
  });

  it('gives the same whether the table lies in one part, in several, or is streamed', async () => {
    // 12 rows of the last part are fewer than the neighbours; 30 channels are no multiple of 4.
    const rows = 64 * 9 + 12;
    const table = vectors(rows, 30, 5);
    const queries = vectors(19, 30, 6);
    const expected = plain(queries, table, 30, 17);
    const base = await runtime();
    const bytes = 64 * 3 * 32 * 4;
    const { maxComputeWorkgroupsPerDimension } = base.facts.limits;
    const limits = { ...base.facts.limits, maxComputeWorkgroupsPerDimension, maxStorageBufferBindingSize: bytes };
    const inParts = new Runtime({ device: base.device, facts: { ...base.facts, limits } }, { kernels });
    const reads: number[][] = [];
    const source: RowSource = {
      ...rowsOf(table, 30),
      async read(first, count) {
        reads.push([first, count]);
        return table.slice(first * 30, (first + count) * 30);
      },
    };
    const parts = [
      [0, 192],
      [192, 192],
      [384, 192],
      [576, 12],
    ];
    const options = { k: 17, batch: 8 };
    const results = [
      await found(base, source, queries, options),
      await found(inParts, source, queries, options),
      await found(base, source, queries, { ...options, memory: 2 * bytes }),
    ];
    expect(results.map(({ streamed }) => streamed)).toEqual([false, false, true]);
    for (const result of results) {
      expect(result.rows).toEqual(expected.rows);
      expect(result.similarities).toEqual(expected.similarities);
    }
    // Once whole, once in parts, and then for each of three batches.
    expect(reads).toEqual([[0, rows], ...[0, 1, 2, 3].flatMap(() => parts)]);
    inParts[Symbol.dispose]();
  });

  it('takes the lowest of equal rows, and every row if asked to', async () => {
    const same = new Float32Array(64 * 64 * 4).fill(1);
    const { rows } = await found(await runtime(), rowsOf(same, 4), Float32Array.of(1, 2, 3, 4), { k: 8 });
    expect(Array.from(rows)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const few = await found(await runtime(), rowsOf(Float32Array.of(1, 3, 2), 1), Float32Array.of(1, -1), { k: 3 });
    expect(Array.from(few.rows)).toEqual([1, 2, 0, 0, 2, 1]);
    expect(Array.from(few.similarities)).toEqual([3, 2, 1, -1, -2, -3]);
  });

  it('answers searches that are asked for at once one after the other', async () => {
    const table = vectors(300, 4, 7);
    using index = await KnnIndex.open(await runtime(), rowsOf(table, 4), { k: 2 });
    const queries = [1, 2, 3].map((count) => vectors(count, 4, 10 + count));
    const results = await Promise.all(queries.map((own) => index.search(own)));
    for (const [i, own] of queries.entries()) expect(results[i]).toEqual(plain(own, table, 4, 2));
    expect((await index.search(new Float32Array())).rows.length).toBe(0);
  });

  it('refuses what it cannot search', async () => {
    const on = await runtime();
    const source = rowsOf(new Float32Array(80 * 4), 4);
    const open = (options: KnnOptions, from = source) => KnnIndex.open(on, from, options);
    await expect(open({ k: 65 })).rejects.toThrow('k must be an integer from 1 to 64');
    await expect(open({ k: 81 })).rejects.toThrow('the 80 rows, got 81');
    await expect(open({ k: 1, batch: 0 })).rejects.toThrow('batch must be a positive integer');
    await expect(open({ k: 1, memory: 1000 })).rejects.toThrow(
      "1000 bytes don't hold two parts of 64 rows of 4 channels",
    );
    const resident = vi.spyOn(on, 'resident');
    await expect(open({ k: 1 }, { ...source, read: () => new Float32Array(3) })).rejects.toThrow(
      'gave 3 numbers for 80 rows',
    );
    // The table that was made for it is gone again.
    const [made] = resident.mock.results;
    expect(() => made!.value.buffer).toThrow('has no memory');
    resident.mockRestore();
    expect(() => rowsOf(new Float32Array(7), 4)).toThrow('7 numbers are no rows of 4 channels');
    using index = await open({ k: 1 });
    expect(() => index.search(new Float32Array(6))).toThrow('6 numbers are no queries of 4 channels');
  });
});
