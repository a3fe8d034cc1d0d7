/** A recording of the same thing done several times, put together: medians by kernel, host time, memory. */
import { partOf, type StepPart } from '../../segsort/step_parts.js';
import type { Plan } from '../../tensor/plan.js';
import type { StepTime } from '../../tensor/recorder.js';
import type { Profiled } from './workload.js';

export interface KernelProfile extends Omit<StepTime, 'begin'> {
  readonly part: StepPart;
  /** Scope it was traced in; that of the forward pass also for gradients. */
  readonly layer: string;
  /** Dispatches and copies. */
  readonly commands: number;
  /** In each repeat; `milliseconds` is their median. */
  readonly samples: readonly number[];
}

export interface PlanMemory {
  readonly name: string;
  readonly slots: number;
  /** Of all slots. */
  readonly plannedBytes: number;
  /** The most that must be alive at one time, whatever the plan. */
  readonly liveBytes: number;
  /** The step during which it is. */
  readonly at: string;
}

export interface HostTime {
  readonly name: string;
  /** A repeat, on average. */
  readonly milliseconds: number;
  readonly waits: boolean;
}

export interface StepProfile {
  readonly repeats: number;
  /** Whether kernels were timed by the GPU's clock. */
  readonly timestamps: boolean;
  readonly kernels: readonly KernelProfile[];
  /** From the beginning of the first kernel of a repeat to the end of its last, median. */
  readonly milliseconds: number;
  readonly host: readonly HostTime[];
  readonly memory: readonly PlanMemory[];
  readonly residentBytes: number;
}

export function summarize({ recording, repeats, residentBytes }: Profiled): StepProfile {
  const { replays, spans, timestamps } = recording;
  const each = replays.length / repeats;
  const commands = replays.slice(0, each).flatMap(({ plan }) => plan.steps.map((step) => step.commands.length));
  const runs = Array.from({ length: repeats }, (_, run) =>
    replays.slice(run * each, (run + 1) * each).flatMap(({ kernels }) => kernels),
  );
  if (!Number.isInteger(each) || runs.some((run) => run.length !== runs[0]!.length))
    throw new Error(`${repeats} repeats ran ${replays.length} plans: they did not all do the same`);
  const kernels = runs[0]!.map(({ begin: _, ...kernel }, at): KernelProfile => {
    const samples = runs.map((run) => run[at]!.milliseconds);
    const { label } = kernel;
    return {
      ...kernel,
      milliseconds: median(samples),
      part: partOf(label),
      layer: layerOf(label),
      commands: commands[at]!,
      samples,
    };
  });
  const lengths = runs.map((run) => (run.length > 0 ? endOf(run.at(-1)!) - run[0]!.begin : 0));
  const plans = new Map(replays.map(({ name, plan }) => [plan, name]));
  return {
    repeats,
    timestamps,
    kernels,
    milliseconds: median(lengths),
    host: hostTimes(spans, repeats),
    memory: [...plans].map(([plan, name]) => memoryOf(plan, name, kernels)),
    residentBytes,
  };
}

const endOf = ({ begin, milliseconds }: StepTime): number => begin + milliseconds;

/** `grad backbone/block1/unit_1: conv2dInputGrad` belongs to `backbone/block1/unit_1`. */
function layerOf(label: string): string {
  const [scope, op] = label.replace(/^(grad )+/, '').split(': ');
  return op === undefined ? 'other' : scope!;
}

function memoryOf(plan: Plan, name: string, kernels: readonly KernelProfile[]): PlanMemory {
  const { slots, liveBytes } = plan;
  const at = kernels.find(({ alive }) => alive === liveBytes)?.label ?? '';
  return { name, slots: slots.length, plannedBytes: slots.reduce((sum, bytes) => sum + bytes, 0), liveBytes, at };
}

/** By what it went to. */
function hostTimes(spans: Profiled['recording']['spans'], repeats: number): HostTime[] {
  const times = new Map<string, { milliseconds: number; waits: boolean }>();
  for (const { name, begin, end, waits } of spans) {
    const { milliseconds } = times.get(name) ?? { milliseconds: 0 };
    times.set(name, { milliseconds: milliseconds + (end - begin) / repeats, waits });
  }
  return [...times].map(([name, time]) => ({ name, ...time }));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
