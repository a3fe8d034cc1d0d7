/** Finds by measuring what the cost model can only guess: tiles of matrix products, and parts of their sums. */
import { apply } from './graph.js';
import type { Plan, PlanStep } from './plan.js';
import { record } from './recorder.js';
import { Runtime, type RuntimeGpu } from './runtime.js';
import type { TuningTable } from './tuning.js';

export interface TuneOptions {
  /** Choices that are known already, and not measured again. */
  readonly known?: TuningTable;
  /** Candidates that are tried of each choice, those first that the cost model prefers. Default 8. */
  readonly most?: number;
  /** Measured runs of each, of which the fastest counts. Default 5. */
  readonly runs?: number;
  /** Told of each choice when it is made. */
  readonly progress?: (choice: TunedChoice) => void;
}

export interface TunedChoice {
  readonly key: string;
  readonly candidate: string;
  readonly milliseconds: number;
  /** Those of the candidate that is taken without tuning. */
  readonly untuned: number;
  /** How many choices have been made, this one counted, and how many there are. */
  readonly done: number;
  readonly total: number;
}

interface Choice {
  readonly step: PlanStep;
  readonly candidates: readonly string[];
}

/** The choices that some plans leave to tuning, each once. */
export function choicesOf(plans: readonly Plan[], { facts }: Pick<RuntimeGpu, 'facts'>): Map<string, Choice> {
  const choices = new Map<string, Choice>();
  for (const { steps } of plans)
    for (const step of steps) {
      const { op, inputs, outputs, params } = step.node;
      const kernel = op?.kernels?.find(({ name }) => name === step.variant);
      for (const { key, candidates } of kernel?.tuning?.({ inputs, outputs, params, adapter: facts }) ?? [])
        if (candidates.length > 1 && !choices.has(key)) choices.set(key, { step, candidates });
    }
  return choices;
}

/**
 * Measures the candidates of every choice that the plans leave open, on tensors of zeros of the plans' own shapes, and
 * returns the fastest. Nothing else should run on the device meanwhile.
 */
export async function tunePlans(
  gpu: RuntimeGpu,
  plans: readonly Plan[],
  { known = {}, most = 8, runs = 5, progress }: TuneOptions = {},
): Promise<TuningTable> {
  const open = [...choicesOf(plans, gpu)].filter(([key]) => known[key] === undefined);
  const table: Record<string, string> = {};
  for (const [index, [key, { step, candidates }]] of open.entries()) {
    const times: { candidate: string; milliseconds: number }[] = [];
    for (const candidate of candidates.slice(0, most)) {
      // A driver may refuse a pipeline that others take: such a candidate is out of the question here.
      const milliseconds = await timeOf(gpu, step, { ...known, [key]: candidate }, runs).catch(() => Number.NaN);
      if (Number.isFinite(milliseconds)) times.push({ candidate, milliseconds });
    }
    if (times.length === 0) continue;
    const best = times.reduce((least, time) => (time.milliseconds < least.milliseconds ? time : least));
    table[key] = best.candidate;
    const untuned = times.find(({ candidate }) => candidate === candidates[0])?.milliseconds ?? Number.NaN;
    progress?.({ key, ...best, untuned, done: index + 1, total: open.length });
  }
  return table;
}

/** Milliseconds of the fastest of some runs of a step by itself. */
async function timeOf({ device, facts }: RuntimeGpu, step: PlanStep, tuning: TuningTable, runs: number) {
  const op = step.node.op!;
  using runtime = new Runtime({ device, facts }, { kernels: { [op.name]: step.variant }, tuning });
  const inputs = step.node.inputs.map(({ shape, dtype }, i) => runtime.resident(`input ${i}`, { shape, dtype }));
  // What goes wrong with a candidate is no failure of the device, for which other runtimes would take it.
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  let milliseconds: number;
  let errors: (GPUError | null)[];
  try {
    using compiled = runtime.compile(() => Object.fromEntries(apply(op, inputs, step.node.params).entries()));
    await compiled.run();
    await device.queue.onSubmittedWorkDone();
    const { replays } = await record(runtime, async () => {
      for (let i = 0; i < runs; i++) await compiled.run();
    });
    const times = replays.map(({ kernels }) => {
      return kernels.reduce((sum, kernel) => sum + (kernel.op === op.name ? kernel.milliseconds : 0), 0);
    });
    milliseconds = Math.min(...times);
  } finally {
    errors = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
    for (const input of inputs) input[Symbol.dispose]();
  }
  for (const error of errors) if (error) throw new Error(error.message);
  return milliseconds;
}
