/**
 * How many nearest-neighbour searches a second: the engine's exact search on the GPU, beside a plain loop over typed arrays and
 * beside usearch (exact, and its approximate HNSW index), each on one thread, with recall.
 *
 *   (cd bench && npm ci) && node scripts/run_bench.mjs retrieval [rows=10000,100000,1000000] [k=15,21] [queries=N]
 *     [hnsw=ROWS] [out=bench/results]
 *
 * The table is a mixture of 256 directions with noise, as prototypes of classes are: unit vectors of 32 channels, whose
 * cosine with their own direction is about 0.8. Queries are drawn from the same mixture. `hnsw` is the longest table that an HNSW
 * index is built for, which takes minutes for a million rows.
 */
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../src/platform/files.node.js';
import { openGpu } from '../src/platform/gpu.js';
import { KnnIndex, rowsOf } from '../src/segsort/knn.js';
import { matmul } from '../src/tensor/ops/matmul.js';
import { topK } from '../src/tensor/ops/select_k.js';
import { Random } from '../src/tensor/random.js';
import { Runtime } from '../src/tensor/runtime.js';
import { f32, hostTensor } from '../src/tensor/types.js';

const CHANNELS = 32;

interface Usearch {
  readonly Index: new (options: {
    readonly metric: string;
    readonly dimensions: number;
    readonly connectivity: number;
    readonly expansion_add: number;
    readonly expansion_search: number;
  }) => {
    add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
    search(queries: Float32Array, k: number, threads: number): { readonly keys: BigUint64Array };
  };
  exactSearch(
    table: Float32Array,
    queries: Float32Array,
    dimensions: number,
    k: number,
    metric: string,
    threads: number,
  ): { readonly keys: BigUint64Array };
}

interface Measurement {
  readonly rows: number;
  readonly k: number;
  readonly method: string;
  readonly queries: number;
  readonly queriesPerSecond: number;
  /** The same by the process's CPU time, of all threads: what remains comparable on a machine that others use too. */
  readonly queriesPerCpuSecond: number;
  /** Share of the exact neighbours that were found. */
  readonly recall: number;
  readonly buildSeconds: number;
}

const settings = new Map(process.argv.slice(2).map((argument) => argument.split('=', 2) as [string, string]));
const numbers = (name: string, standard: string) => (settings.get(name) ?? standard).split(',').map(Number);

function mixture(rows: number, seed: number): Float32Array<ArrayBuffer> {
  const centres = new Random({ seed: 1, stream: 50 });
  const directions = Float32Array.from({ length: 256 * CHANNELS }, () => normal(centres));
  const random = new Random({ seed, stream: 51 });
  const values = new Float32Array(rows * CHANNELS);
  for (let row = 0; row < rows; row++) {
    const direction = random.integer(256) * CHANNELS;
    let squares = 0;
    for (let c = 0; c < CHANNELS; c++) {
      const value = directions[direction + c]! + 0.75 * normal(random);
      values[row * CHANNELS + c] = value;
      squares += value * value;
    }
    const scale = 1 / Math.sqrt(squares);
    for (let c = 0; c < CHANNELS; c++) values[row * CHANNELS + c]! *= scale;
  }
  return values;
}

/** Nearly normal with variance 1 (Irwin and Hall). */
function normal(random: Random): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random.uniform();
  return sum;
}

/** The loop one would write without an engine: one thread, the best k so far in order, a comparison for most rows. */
function plainSearch(table: Float32Array, queries: Float32Array, k: number): Int32Array {
  const found = new Int32Array((queries.length / CHANNELS) * k);
  const best = new Float64Array(k);
  for (let q = 0; q < queries.length / CHANNELS; q++) {
    const own = found.subarray(q * k, (q + 1) * k);
    best.fill(Number.NEGATIVE_INFINITY);
    for (let row = 0, at = 0; at < table.length; row++, at += CHANNELS) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let c = 0, from = q * CHANNELS; c < CHANNELS; c += 4) {
        s0 += queries[from + c]! * table[at + c]!;
        s1 += queries[from + c + 1]! * table[at + c + 1]!;
        s2 += queries[from + c + 2]! * table[at + c + 2]!;
        s3 += queries[from + c + 3]! * table[at + c + 3]!;
      }
      const similarity = s0 + s1 + (s2 + s3);
      if (similarity <= best[k - 1]!) continue;
      let place = k - 1;
      for (; place > 0 && best[place - 1]! < similarity; place--) {
        best[place] = best[place - 1]!;
        own[place] = own[place - 1]!;
      }
      best[place] = similarity;
      own[place] = row;
    }
  }
  return found;
}

function recallOf(found: ArrayLike<number | bigint>, exact: Int32Array, k: number): number {
  let hits = 0;
  for (let first = 0; first < exact.length; first += k) {
    const own = new Set(exact.subarray(first, first + k));
    for (let i = first; i < first + k; i++) if (own.has(Number(found[i]))) hits++;
  }
  return hits / exact.length;
}

await using gpu = await openGpu();
using runtime = new Runtime(gpu);
const { facts } = gpu;
const adapter = facts.device || facts.description;
console.log(`${adapter} (${facts.driver}), ${facts.cpu ? 'on the CPU' : 'a GPU'}`);
const usearch = ((): Usearch | null => {
  try {
    return createRequire(new URL('../bench/package.json', import.meta.url))('usearch') as Usearch;
  } catch (error) {
    console.log(`without usearch (cd bench && npm ci): ${(error as Error).message.split('\n')[0]}`);
    return null;
  }
})();

const measurements: Measurement[] = [];

interface Method {
  readonly method: string;
  readonly queries: Float32Array;
  /** Neighbours of the first queries, which recall is taken of. */
  readonly exact: Int32Array;
  readonly rows: number;
  readonly k: number;
  readonly buildSeconds?: number;
}

/** Searches twice, the first time to compile and to fill caches, and again until a second has passed; takes the best. */
async function measure(of: Method, search: () => Promise<ArrayLike<number | bigint>> | ArrayLike<number | bigint>) {
  const { method, rows, k, exact } = of;
  let found = await search();
  let [least, leastCpu] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const begin = performance.now();
  do {
    const [from, cpu] = [performance.now(), process.cpuUsage()];
    found = await search();
    const { user, system } = process.cpuUsage(cpu);
    least = Math.min(least, (performance.now() - from) / 1000);
    leastCpu = Math.min(leastCpu, (user + system) / 1e6);
  } while (performance.now() - begin < 1000);
  const queries = of.queries.length / CHANNELS;
  const rate = (seconds: number) => Number((queries / seconds).toPrecision(4));
  const measurement = {
    ...{ rows, k, method, queries, queriesPerSecond: rate(least), queriesPerCpuSecond: rate(leastCpu) },
    recall: Number(recallOf(found, exact, k).toFixed(4)),
    buildSeconds: Number((of.buildSeconds ?? 0).toFixed(3)),
  };
  measurements.push(measurement);
  console.log(JSON.stringify(measurement));
}

async function secondsOf(work: () => unknown): Promise<number> {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
}

for (const rows of numbers('rows', '10000,100000,1000000')) {
  const table = mixture(rows, 2);
  const all = mixture(Number(settings.get('queries') ?? (facts.cpu ? 128 : 8192)), 3);
  // A few seconds of the plain loop, which also gives the exact answers.
  const checked = Math.max(16, Math.min(all.length / CHANNELS, Math.floor(64e6 / rows)));
  const some = all.subarray(0, checked * CHANNELS);
  const approximate = usearch &&
    rows <= Number(settings.get('hnsw') ?? Infinity) && {
      index: new usearch.Index({
        metric: 'ip',
        dimensions: CHANNELS,
        connectivity: 16,
        expansion_add: 128,
        expansion_search: 64,
      }),
    };
  let buildSeconds = 0;
  if (approximate) {
    const keys = BigUint64Array.from({ length: rows }, (_, row) => BigInt(row));
    buildSeconds = await secondsOf(() => approximate.index.add(keys, table, 1));
  }
  for (const k of numbers('k', '15,21')) {
    const exact = plainSearch(table, some, k);
    const at = { rows, k, queries: some, exact };
    await measure({ ...at, method: 'plain loop' }, () => plainSearch(table, some, k));

    let index: KnnIndex | undefined;
    const upload = await secondsOf(async () => {
      index = await KnnIndex.open(runtime, rowsOf(table, CHANNELS), { k });
      await gpu.device.queue.onSubmittedWorkDone();
    });
    using searched = index!;
    const method = { ...at, buildSeconds: upload };
    await measure({ ...method, method: 'engine' }, async () => (await searched.search(some)).rows);
    if (all.length > some.length)
      await measure({ ...method, method: 'engine', queries: all }, async () => (await searched.search(all)).rows);

    if (!facts.cpu || rows * checked <= 2 ** 25) {
      using resident = runtime.resident('table', f32([rows, CHANNELS]));
      runtime.write(resident, hostTensor([rows, CHANNELS], table));
      using step = runtime.compile((queries) => topK(matmul(queries!, resident, { transposeB: true }), k).indices);
      await measure(
        { ...at, method: 'engine, storing all similarities' },
        async () => (await (await step.run(hostTensor([checked, CHANNELS], some))).read()).data,
      );
    }
    if (usearch)
      await measure(
        { ...at, method: 'usearch, exact' },
        () => usearch.exactSearch(table, some, CHANNELS, k, 'ip', 1).keys,
      );
    if (approximate)
      await measure(
        { ...at, method: 'usearch, HNSW (connectivity 16, expansion 128, 64)', buildSeconds },
        () => approximate.index.search(some, k, 1).keys,
      );
  }
}

const out = settings.get('out') ?? 'bench/results';
const report = {
  adapter: { device: facts.device, driver: facts.driver, vendor: facts.vendor, backend: facts.backend },
  cpu: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} threads`,
  node: process.version,
  // Others that compute at the same time slow all methods down.
  loadAverage: Number(loadavg()[1]!.toFixed(1)),
  date: new Date().toISOString(),
  channels: CHANNELS,
  measurements,
};
await mkdir(out, { recursive: true });
const file = join(
  out,
  `retrieval-${(adapter || 'adapter')
    .replace(/[^\w]+/g, '-')
    .replace(/^-|-$/g, '')
    .toLowerCase()}.json`,
);
await writeFileAtomic(file, `${JSON.stringify(report, null, 2)}\n`);
console.table(measurements);
console.log(`written: ${file}`);
