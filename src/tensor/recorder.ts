/** When what ran: the kernels of replays on the GPU, by its timestamps, and what the host did meanwhile. */
import type { Executable, ReadyStep } from './executable.js';
import type { Plan } from './plan.js';
import { Encoding, type ReplayPhase, readRange, SubmitParts, submitAll } from './replay.js';
import type { Runtime } from './runtime.js';
import { showShape } from './types.js';

/** What a step of a plan took. All times are milliseconds, points in time those of `performance.now()`. */
export interface StepTime {
  readonly label: string;
  readonly op: string;
  readonly variant: string;
  readonly shapes: string;
  readonly begin: number;
  readonly milliseconds: number;
  readonly flops: number;
  /** Bytes read and written if every operand moves once. */
  readonly bytes: number;
  /** Bytes of the plan's values that are alive in this step. */
  readonly alive: number;
}

export interface RecordedReplay {
  /** The compiled step's. */
  readonly name: string;
  readonly plan: Plan;
  /** In the order of the plan. */
  readonly kernels: readonly StepTime[];
}

export interface HostSpan {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
  /** Waiting, which other work may overlap. */
  readonly waits: boolean;
}

export interface Recording {
  readonly replays: readonly RecordedReplay[];
  readonly spans: readonly HostSpan[];
  /** Whether kernels were timed by the GPU; otherwise each was submitted and waited for, which takes about 0.1 ms more. */
  readonly timestamps: boolean;
}

/** Records all that a runtime runs during `body`. Kernels run in passes of their own, so that a step takes a little longer. */
export async function record(runtime: Runtime, body: (recorder: Recorder) => Promise<unknown>): Promise<Recording> {
  if (runtime.recorder) throw new Error('this runtime is being recorded already');
  const recorder = new Recorder(runtime.device);
  runtime.recorder = recorder;
  try {
    await body(recorder);
  } finally {
    runtime.recorder = null;
  }
  return recorder.finish();
}

/** A query set holds at most 4,096 timestamps, two a step. */
const STEPS_PER_SET = 2048;

/** Nanoseconds of the GPU's clock at the beginning and the end of each step. */
interface Stamped {
  readonly set: GPUQuerySet;
  readonly resolved: GPUBuffer;
  readonly steps: number;
}

interface Pending {
  readonly name: string;
  readonly plan: Plan;
  /** When the host began to submit it: no kernel ran before. */
  readonly submitted: number;
  readonly stamped: readonly Stamped[];
  /** Where there are no timestamps: begin and end. */
  readonly waited: readonly (readonly [number, number])[];
}

export class Recorder {
  readonly #device: GPUDevice;
  readonly #timestamps: boolean;
  readonly #pending: Pending[] = [];
  readonly #spans: HostSpan[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#timestamps = device.features.has('timestamp-query');
  }

  /** Notes what the host has done since `begin`. */
  span(name: string, begin: number): void {
    this.#spans.push({ name, begin, end: performance.now(), waits: false });
  }

  /** Notes how long the host waits for something. */
  async waits<T>(name: string, promise: Promise<T>): Promise<T> {
    const begin = performance.now();
    try {
      return await promise;
    } finally {
      this.#spans.push({ name, begin, end: performance.now(), waits: true });
    }
  }

  /** Runs the plan as `replay` does, with timestamps. Resolves when all is submitted. */
  async replay(name: string, executable: Executable): Promise<void> {
    const submitted = performance.now();
    const stamped = this.#timestamps ? this.#stamp(executable) : [];
    const waited = this.#timestamps ? [] : await this.#wait(executable);
    this.#pending.push({ name, plan: executable.plan, submitted, stamped, waited });
  }

  #stamp({ steps, assignments }: Executable): Stamped[] {
    const device = this.#device;
    const stamped: Stamped[] = [];
    const parts = new SubmitParts();
    const watch = this.#watch();
    watch('encode');
    let encoding = new Encoding(device, 'recorded replay');
    for (let first = 0; first < steps.length; first += STEPS_PER_SET) {
      const part = steps.slice(first, first + STEPS_PER_SET);
      const set = device.createQuerySet({ type: 'timestamp', count: part.length * 2 });
      for (const [at, ready] of part.entries()) {
        if (parts.isFull(ready.step)) {
          encoding.submit(watch);
          watch('encode');
          encoding = new Encoding(device, 'recorded replay');
        }
        encodeStamped(encoding, ready, set, at * 2);
      }
      encoding.endPass();
      const resolved = device.createBuffer({ label: 'timestamps', size: part.length * 16, usage: 0x200 | 0x04 }); // QUERY_RESOLVE | COPY_SRC
      encoding.encoder.resolveQuerySet(set, 0, part.length * 2, resolved, 0);
      stamped.push({ set, resolved, steps: part.length });
    }
    for (const copy of assignments) encoding.add(copy);
    encoding.submit(watch);
    watch(null);
    return stamped;
  }

  async #wait({ steps, assignments }: Executable): Promise<[number, number][]> {
    const times: [number, number][] = [];
    for (const { commands } of steps) {
      const begin = performance.now();
      submitAll(this.#device, commands);
      await this.#device.queue.onSubmittedWorkDone();
      times.push([begin, performance.now()]);
    }
    submitAll(this.#device, assignments);
    return times;
  }

  #watch(): (phase: ReplayPhase | null) => void {
    let earlier: ReplayPhase | null = null;
    let begin = 0;
    return (phase) => {
      if (earlier) this.span(earlier, begin);
      earlier = phase;
      begin = performance.now();
    };
  }

  /** Waits for what was recorded. The recorder starts anew. */
  async finish(): Promise<Recording> {
    const pending = this.#pending.splice(0);
    const ticks: number[][][] = [];
    for (const { stamped } of pending) ticks.push(await this.#ticks(stamped));
    const offset = this.#timestamps ? await this.#offset(pending, ticks) : 0;
    let end = Number.NEGATIVE_INFINITY;
    const replays = pending.map(({ name, plan, waited }, i): RecordedReplay => {
      const kernels = plan.steps.map((step, at): StepTime => {
        const [from, to] = this.#timestamps ? ticks[i]![at]!.map((tick) => tick + offset) : waited[at]!;
        // The beginning of a pass is stamped when it is issued, maybe before what comes earlier is done.
        const begin = Math.max(from!, end);
        end = Math.max(begin, to!);
        const shapes = `${step.inputs.map((tensor) => showShape(tensor.shape)).join(' ')} -> ${step.outputs.map((tensor) => showShape(tensor.shape)).join(' ')}`;
        const { label, op, variant, flops, bytes } = step;
        return { label, op, variant, shapes, begin, milliseconds: end - begin, flops, bytes, alive: plan.alive[at]! };
      });
      return { name, plan, kernels };
    });
    return { replays, spans: this.#spans.splice(0), timestamps: this.#timestamps };
  }

  /** Begin and end of each step in milliseconds of the GPU's clock. */
  async #ticks(stamped: readonly Stamped[]): Promise<number[][]> {
    const ticks: number[][] = [];
    for (const { set, resolved, steps } of stamped) {
      const bytes = steps * 16;
      const stamps = new BigUint64Array(await readRange(this.#device, { buffer: resolved, offset: 0, bytes }));
      for (let i = 0; i < steps; i++) ticks.push([Number(stamps[i * 2]!) / 1e6, Number(stamps[i * 2 + 1]!) / 1e6]);
      resolved.destroy();
      set.destroy();
    }
    return ticks;
  }

  /**
   * What is to be added to the GPU's clock to have the host's. An empty pass ran between its submission and the
   * news of its end, which bounds the offset on both sides; the tightest bounds of a few are taken. So the error is below
   * half of what a submission and its answer take, about 0.1 ms.
   */
  async #offset(pending: readonly Pending[], ticks: readonly (readonly number[][])[]): Promise<number> {
    let low = Number.NEGATIVE_INFINITY;
    let high = Number.POSITIVE_INFINITY;
    // Some drivers do not stamp an empty pass.
    for (const [i, { submitted }] of pending.entries()) {
      const begin = ticks[i]![0]?.[0] ?? 0;
      if (begin !== 0) low = Math.max(low, submitted - begin);
    }
    for (let i = 0; i < 5; i++) {
      const set = this.#device.createQuerySet({ type: 'timestamp', count: 2 });
      const resolved = this.#device.createBuffer({ size: 16, usage: 0x200 | 0x04 }); // QUERY_RESOLVE | COPY_SRC
      const before = performance.now();
      const encoding = new Encoding(this.#device, 'clock');
      encoding.beginPass({ timestampWrites: stampsOf(set, 0) });
      encoding.endPass();
      encoding.encoder.resolveQuerySet(set, 0, 2, resolved, 0);
      encoding.submit();
      await this.#device.queue.onSubmittedWorkDone();
      const after = performance.now();
      const [[begin, end]] = (await this.#ticks([{ set, resolved, steps: 1 }])) as [[number, number]];
      if (begin === 0 || end === 0) continue;
      low = Math.max(low, before - begin);
      high = Math.min(high, after - end);
    }
    if (low === Number.NEGATIVE_INFINITY) return 0;
    return high < Number.POSITIVE_INFINITY ? (low + high) / 2 : low;
  }
}

const stampsOf = (querySet: GPUQuerySet, at: number): GPUComputePassTimestampWrites => ({
  querySet,
  beginningOfPassWriteIndex: at,
  endOfPassWriteIndex: at + 1,
});

function encodeStamped(encoding: Encoding, { commands }: ReadyStep, querySet: GPUQuerySet, at: number): void {
  if (commands.every(({ kind }) => kind === 'dispatch')) {
    encoding.beginPass({ timestampWrites: stampsOf(querySet, at) });
    for (const command of commands) encoding.add(command);
    encoding.endPass();
    return;
  }
  // Copies lie between passes: empty ones stamp what is before and behind.
  encoding.beginPass({ timestampWrites: { querySet, beginningOfPassWriteIndex: at } });
  encoding.endPass();
  for (const command of commands) encoding.add(command);
  encoding.beginPass({ timestampWrites: { querySet, endOfPassWriteIndex: at + 1 } });
  encoding.endPass();
}
