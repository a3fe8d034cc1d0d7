/**
 * The measuring itself. Contenders take turns case by case and round by round, so that whatever else the machine does in
 * between falls on all of them; each one's results are checked before it is timed.
 */
import type { EngineContender } from './engine.js';
import type { Entry, Row } from './results.js';
import { summarize } from './statistics.js';
import type { Benchmark, Contender, Prepared } from './types.js';

export interface Clock {
  /** Milliseconds, from any start. */
  now(): number;
  /** Milliseconds of CPU time of all threads that compute, from any start; null where it is not told. */
  cpu(): Promise<number | null>;
}

export interface MeasureOptions {
  /** Most samples of a contender. */
  readonly rounds: number;
  /**
   * After so much time of its own in a case, a contender gets no further rounds. It always gets one; where something is asked of
   * the engine, it and who it is measured by get three.
   */
  readonly budgetSeconds: number;
  /** Runs are repeated within a sample until it takes about this long. */
  readonly sampleMilliseconds: number;
  readonly clock: Clock;
  /** Receives what is going on, a line at a time. */
  readonly log?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** A contender that has passed the check. */
interface Runner {
  readonly contender: string;
  readonly prepared: Prepared;
  readonly error: number | null;
  /** Milliseconds to the first results, with all that is prepared for them. */
  readonly first: number;
  /** Of the first run by itself, which may still compile. */
  readonly firstRun: number;
  runsPerSample: number;
  spent: number;
  readonly samples: number[];
  readonly cpuSamples: number[];
}

const MOST_RUNS = 1000;
const LEAST_ROUNDS_ASKED = 3;

/** Measures one case or workload. A workload is for the engine alone. */
export async function measure(
  benchmark: Benchmark,
  contenders: readonly Contender[],
  engine: EngineContender | null,
  options: MeasureOptions,
): Promise<Row> {
  const { log = () => {} } = options;
  const entries = new Map<string, Entry>();
  const runners: Runner[] = [];
  let work = 'flops' in benchmark ? { flops: benchmark.flops, bytes: benchmark.bytes } : { flops: 0, bytes: 0 };
  const preparing: readonly {
    readonly name: string;
    readonly tolerance?: number | undefined;
    readonly prepare: () => Promise<Prepared | null>;
  }[] =
    'computation' in benchmark
      ? contenders.map((contender) => ({
          name: contender.name,
          tolerance: contender.tolerance,
          prepare: () => contender.prepare(benchmark),
        }))
      : engine
        ? [
            {
              name: engine.name,
              async prepare() {
                const prepared = await benchmark.prepare(engine.runtime);
                work = { flops: prepared.flops, bytes: prepared.bytes };
                return prepared;
              },
            },
          ]
        : [];
  try {
    for (const { name, tolerance = 0, prepare } of preparing) {
      options.signal?.throwIfAborted();
      log(`${benchmark.name}: ${name} prepares`);
      const outcome = await check(benchmark, { name, tolerance, prepare }, options);
      if ('prepared' in outcome) runners.push(outcome);
      else entries.set(name, outcome);
    }
    for (const runner of runners) {
      try {
        await warmUp(runner, options);
      } catch (error) {
        entries.set(runner.contender, failure(runner.contender, 'fails', error));
      }
    }
    const ask = 'ask' in benchmark ? benchmark.ask : undefined;
    const leastOf = ({ contender }: Runner) =>
      ask && (contender === engine?.name || contender === ask.contender) ? LEAST_ROUNDS_ASKED : 1;
    for (let round = 0; round < options.rounds; round++)
      for (let turn = 0; turn < runners.length; turn++) {
        // Another one begins each round, so that nobody always runs behind the same neighbour.
        const runner = runners[(turn + round) % runners.length]!;
        const next = runner.samples.at(-1) ?? 0;
        const enough = runner.spent + next * runner.runsPerSample > options.budgetSeconds * 1000;
        if (entries.has(runner.contender) || (runner.samples.length >= leastOf(runner) && enough)) continue;
        options.signal?.throwIfAborted();
        log(`${benchmark.name}: ${runner.contender}, round ${round + 1}`);
        try {
          await sample(runner, options.clock);
        } catch (error) {
          entries.set(runner.contender, failure(runner.contender, 'fails', error));
        }
      }
    for (const runner of runners)
      if (!entries.has(runner.contender)) entries.set(runner.contender, await measured(runner));
  } finally {
    for (const { prepared } of runners) prepared.dispose();
  }
  const { name, tolerance } = benchmark;
  return {
    name,
    ...work,
    tolerance,
    ...('ask' in benchmark && benchmark.ask ? { ask: benchmark.ask } : {}),
    entries: preparing.flatMap((contender) => entries.get(contender.name) ?? []),
  };
}

/** Prepares a contender, runs it once and compares what comes out with the reference. */
async function check(
  benchmark: Benchmark,
  {
    name: contender,
    tolerance,
    prepare,
  }: { readonly name: string; readonly tolerance: number; readonly prepare: () => Promise<Prepared | null> },
  { clock }: MeasureOptions,
): Promise<Runner | Entry> {
  let prepared: Prepared | null;
  let first: number;
  try {
    const begin = clock.now();
    prepared = await prepare();
    if (!prepared) return { contender, status: 'absent' };
    first = begin;
  } catch (error) {
    return failure(contender, 'refuses', error);
  }
  try {
    const begin = clock.now();
    await prepared.run();
    const firstRun = clock.now() - begin;
    first = clock.now() - first;
    const error = benchmark.errorOf ? benchmark.errorOf(await prepared.read()) : null;
    if (error !== null && !(error <= Math.max(benchmark.tolerance, tolerance))) {
      prepared.dispose();
      return { contender, status: 'wrong', error };
    }
    return { contender, prepared, error, first, firstRun, runsPerSample: 1, spent: 0, samples: [], cpuSamples: [] };
  } catch (error) {
    prepared.dispose();
    // What compiles late refuses late.
    return failure(contender, 'refuses', error);
  }
}

function failure(contender: string, status: 'refuses' | 'fails', error: unknown): Entry {
  return { contender, status, message: error instanceof Error ? error.message : String(error) };
}

/**
 * Runs more and more often, now that everything is compiled, until a sample lasts long enough: a single short run is mostly
 * waiting. Slow ones are warm enough.
 */
async function warmUp(runner: Runner, { budgetSeconds, sampleMilliseconds, clock }: MeasureOptions): Promise<void> {
  if (runner.firstRun > budgetSeconds * 500) return;
  for (let runs = 1; ; ) {
    runner.runsPerSample = runs;
    const { elapsed, own } = await timed(runner.prepared, runs, clock);
    const missing = sampleMilliseconds / Math.max(own ?? elapsed, 1e-3);
    if (missing <= 1.25 || runs === MOST_RUNS) return;
    runs = Math.min(MOST_RUNS, Math.ceil(runs * Math.min(missing, 10)));
  }
}

/** Milliseconds of so many runs by this clock, and by the contender's own, if it has one. */
async function timed(prepared: Prepared, runs: number, clock: Clock): Promise<{ elapsed: number; own: number | null }> {
  const begin = clock.now();
  let own: number | null = null;
  if (runs > 1 && prepared.runMany) own = numberOf(await prepared.runMany(runs));
  else
    for (let i = 0; i < runs; i++) {
      const told = numberOf(await prepared.run());
      if (told !== null) own = (own ?? 0) + told;
    }
  return { elapsed: clock.now() - begin, own };
}

async function sample(runner: Runner, clock: Clock): Promise<void> {
  const { prepared, runsPerSample } = runner;
  const cpu = await clock.cpu();
  const { elapsed, own } = await timed(prepared, runsPerSample, clock);
  const cpuAfter = await clock.cpu();
  runner.spent += elapsed;
  runner.samples.push((own ?? elapsed) / runsPerSample);
  // Who measures itself computes elsewhere.
  if (own === null && cpu !== null && cpuAfter !== null) runner.cpuSamples.push((cpuAfter - cpu) / runsPerSample);
}

const numberOf = (told: unknown): number | null => (typeof told === 'number' ? told : null);

async function measured({ contender, prepared, error, first, ...rest }: Runner): Promise<Entry> {
  const { runsPerSample, samples, cpuSamples } = rest;
  return {
    ...{ contender, status: 'measured', error, first, runsPerSample, samples, cpuSamples },
    note: (await prepared.note?.()) ?? '',
    summary: summarize(samples),
    cpu: cpuSamples.reduce((sum, each) => sum + each, 0) / cpuSamples.length || null,
  };
}
