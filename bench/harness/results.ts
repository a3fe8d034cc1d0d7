/** What a run of the benchmarks leaves: plain data, as it is written to the JSON file. */
import type { CeilingKind } from './ceilings.js';
import type { Summary } from './statistics.js';

export const FORMAT = 'segsort-webgpu benchmark 1';

export interface BenchResults {
  readonly format: typeof FORMAT;
  /** ISO 8601. */
  readonly date: string;
  readonly environment: Environment;
  readonly adapter: Adapter;
  readonly options: {
    readonly suite: string;
    /** Part of the names of the cases that were measured; empty: all of the suite. */
    readonly only: string;
    readonly rounds: number;
    readonly budgetSeconds: number;
    /** Least length of a sample. */
    readonly sampleMilliseconds: number;
    readonly batch: number;
    /** The engine's kernels that were asked for by name. */
    readonly kernels: Readonly<Record<string, string>>;
  };
  readonly contenders: readonly ContenderFacts[];
  /** What could not be loaded, and other things a reader has to know. */
  readonly notes: readonly string[];
  readonly ceilings: readonly Ceiling[];
  readonly rows: readonly Row[];
}

export interface Environment {
  /** `Node v22.12.0`, or the browser's user agent. */
  readonly runtime: string;
  readonly system: string;
  /** Model and number of threads of the processor, as far as it is told. */
  readonly processor: string;
  /** Of the last minute, before and after: other work slows everything down. Null where it is not told. */
  readonly loadBefore: number | null;
  readonly loadAfter: number | null;
}

export interface Adapter {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly driver: string;
  readonly backend: string;
  readonly cpu: boolean;
  readonly features: readonly string[];
}

export interface ContenderFacts {
  readonly name: string;
  readonly version: string;
  readonly on: string;
}

/** The best that simple kernels reach on this device. */
export interface Ceiling {
  readonly kind: CeilingKind;
  /** FLOP/s, or bytes/s where the kind is a copy. */
  readonly rate: number;
  /** The same for a second of CPU time, of all threads together; null where that is not told. Of use for CPU adapters alone. */
  readonly cpuRate: number | null;
  /** The variant that reached it. */
  readonly variant: string;
  /** Best rates of all that were tried. */
  readonly tried: Readonly<Record<string, number>>;
}

export interface Row {
  readonly name: string;
  readonly flops: number;
  readonly bytes: number;
  readonly tolerance: number;
  readonly ask?: { readonly contender: string; readonly times: number };
  readonly entries: readonly Entry[];
}

/** One contender's attempt at a case. Wrong results are never timed. */
export type Entry =
  | { readonly contender: string; readonly status: 'absent' }
  | { readonly contender: string; readonly status: 'refuses' | 'fails'; readonly message: string }
  | { readonly contender: string; readonly status: 'wrong'; readonly error: number }
  | Measured;

export interface Measured {
  readonly contender: string;
  readonly status: 'measured';
  /** Against the case's reference; null where there is none. */
  readonly error: number | null;
  /** How it computes, such as its kernels. */
  readonly note: string;
  /** Milliseconds of the first run, compilation included. */
  readonly first: number;
  /** Runs that make one sample: short ones are submitted together. */
  readonly runsPerSample: number;
  /** Milliseconds a run. */
  readonly samples: readonly number[];
  readonly summary: Summary;
  /** Milliseconds of CPU time a run, all threads together; empty where it is not told, or spent in another process. */
  readonly cpuSamples: readonly number[];
  /** Their mean, since Chrome counts in steps of 10 ms; null where there are none, or not one step was counted. */
  readonly cpu: number | null;
}

export const isMeasured = (entry: Entry | undefined): entry is Measured => entry?.status === 'measured';

/** The entry of a contender. */
export const entryOf = (row: Row, contender: string): Entry | undefined =>
  row.entries.find((entry) => entry.contender === contender);

/** By the clock, or by CPU time, which other work on the machine disturbs less. */
export type Metric = 'clock' | 'cpu';

/** Milliseconds of a run by either; null where they were not told. */
export const millisecondsOf = ({ summary, cpu }: Measured, metric: Metric): number | null =>
  metric === 'clock' ? summary.median : cpu;

/**
 * The share of what the device could do that a contender reaches: the time that a case's arithmetic would take at the FMA ceiling,
 * or its bytes at the copy kernel's, whichever is more (Williams, Waterman and Patterson, Roofline, 2009), over the time it took.
 * FLOPs are those of the plain algorithm, so that Winograd's may pass 1; so may what stays in a cache. Null where it is not known:
 * no ceiling was measured, or CPU time is to be compared and a GPU computes.
 */
export function shareOfCeiling(
  { ceilings, adapter }: Pick<BenchResults, 'ceilings'> & { readonly adapter: Pick<Adapter, 'cpu'> },
  { flops, bytes }: Pick<Row, 'flops' | 'bytes'>,
  entry: Measured,
  metric: Metric = 'clock',
): { readonly share: number; readonly bound: 'arithmetic' | 'memory' } | null {
  const milliseconds = millisecondsOf(entry, metric);
  const rateOf = (kind: CeilingKind) => {
    const ceiling = ceilings.find((each) => each.kind === kind);
    return (metric === 'clock' ? ceiling?.rate : ceiling?.cpuRate) ?? null;
  };
  const [fma, copy] = [rateOf('f32'), rateOf('copy kernel')];
  if (milliseconds === null || fma === null || copy === null || (metric === 'cpu' && !adapter.cpu)) return null;
  const [arithmetic, memory] = [flops / fma, bytes / copy];
  return {
    share: (1000 * Math.max(arithmetic, memory)) / milliseconds,
    bound: arithmetic >= memory ? 'arithmetic' : 'memory',
  };
}
