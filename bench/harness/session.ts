/** A whole run: the adapter, the contenders, the ceilings before and after, and every benchmark in between. */
import { type Gpu, openGpu } from '../../src/platform/gpu.js';
import { type SuiteOptions, suite } from '../cases/suites.js';
import { bestCeilings, measureCeilings } from './ceilings.js';
import { ENGINE, type EngineContender, engineContender } from './engine.js';
import { type Clock, measure } from './measure.js';
import { type BenchResults, type Ceiling, type Environment, FORMAT, type Row } from './results.js';
import type { Contender } from './types.js';

/** The machine and the JavaScript engine, which only Node or only the browser can tell. */
export interface Host {
  readonly kind: 'node' | 'browser';
  readonly clock: Clock;
  describe(): Omit<Environment, 'loadBefore' | 'loadAfter'>;
  loadAverage(): number | null;
}

export interface SessionOptions extends SuiteOptions {
  readonly suite: string;
  /** Only benchmarks whose names hold this. */
  readonly only: string;
  /** Names of contenders; empty: all there are. */
  readonly contenders: readonly string[];
  readonly rounds: number;
  readonly budgetSeconds: number;
  /** Engine kernels by op, as `KERNEL` names them. */
  readonly kernels?: Readonly<Record<string, string>>;
}

export const DEFAULTS = {
  ...{ suite: 'table', only: '', contenders: [], rounds: 10, budgetSeconds: 10, batch: 1 },
} satisfies SessionOptions;

export interface SessionEvents {
  readonly log?: (line: string) => void;
  /** Called with everything measured so far, after each benchmark; the next one waits for it. */
  readonly progress?: (results: BenchResults) => void | Promise<void>;
  readonly signal?: AbortSignal;
}

/** Loads the peers that are at hand; notes say which are not, and why. */
export type PeerLoader = (
  environment: 'node' | 'browser',
  device: GPUDevice,
) => Promise<{ readonly contenders: Contender[]; readonly notes: readonly string[] }>;

/** Shorter samples are mostly waiting, or quantised by the clock. */
const SAMPLE_MILLISECONDS = 100;

export async function runSession(
  host: Host,
  version: string,
  loadPeers: PeerLoader,
  options: SessionOptions,
  { log = () => {}, progress, signal }: SessionEvents = {},
): Promise<BenchResults> {
  const benchmarks = suite(options.suite, options, options.only);
  await using gpu = await openGpu({ notice: log });
  const notes: string[] = [];
  const wanted = (name: string) => options.contenders.length === 0 || options.contenders.includes(name);
  const engine = engineContender(gpu, version, options.kernels ? { kernels: options.kernels } : {});
  const contenders: Contender[] = wanted(ENGINE) ? [engine] : [];
  if (options.contenders.length === 0 || options.contenders.some((name) => name !== ENGINE)) {
    const peers = await loadPeers(host.kind, gpu.device);
    notes.push(...peers.notes);
    for (const peer of peers.contenders)
      if (wanted(peer.name)) contenders.push(peer);
      else await peer.dispose?.();
  }
  const unknown = options.contenders.filter((name) => !contenders.some((contender) => contender.name === name));
  if (unknown.length > 0) notes.push(`not at hand: ${unknown.join(', ')}`);

  const rows: Row[] = [];
  const loadBefore = host.loadAverage();
  const note = (line: string) => {
    if (!notes.includes(line)) notes.push(line);
  };
  let ceilings: Ceiling[] = [];
  const results = (): BenchResults => ({
    format: FORMAT,
    date: new Date().toISOString(),
    environment: { ...host.describe(), loadBefore, loadAfter: host.loadAverage() },
    adapter: adapterOf(gpu),
    options: {
      suite: options.suite,
      only: options.only,
      rounds: options.rounds,
      budgetSeconds: options.budgetSeconds,
      sampleMilliseconds: SAMPLE_MILLISECONDS,
      batch: options.batch,
      kernels: options.kernels ?? {},
    },
    contenders: contenders.map(({ name, version: which, on }) => ({ name, version: which, on })),
    notes,
    ceilings,
    rows: [...rows],
  });
  const { rounds, budgetSeconds } = options;
  const measuring = {
    ...{ rounds, budgetSeconds, sampleMilliseconds: SAMPLE_MILLISECONDS, clock: host.clock, log },
    ...(signal ? { signal } : {}),
  };
  const measuredCeilings = () => measureCeilings(gpu, { log, note, clock: host.clock });
  try {
    ceilings = await measuredCeilings();
    for (const benchmark of benchmarks) {
      const row = await measure(benchmark, contenders, engineAmong(contenders, engine), measuring);
      if (row.entries.length > 0) rows.push(row);
      await progress?.(results());
    }
    // Other work may have slowed down the first measurement, or this one.
    ceilings = bestCeilings(ceilings, await measuredCeilings());
  } catch (error) {
    // Stopped by the user: what there is counts.
    if (!signal?.aborted) throw error;
    notes.push('stopped before its end');
  } finally {
    for (const contender of contenders) if (contender !== engine) await contender.dispose?.();
    await engine.dispose?.();
  }
  return results();
}

const engineAmong = (contenders: readonly Contender[], engine: EngineContender) =>
  contenders.includes(engine) ? engine : null;

function adapterOf({ facts }: Gpu): BenchResults['adapter'] {
  const { vendor, architecture, device, description, driver, backend, cpu, features } = facts;
  return { vendor, architecture, device, description, driver, backend, cpu, features: [...features].sort() };
}
