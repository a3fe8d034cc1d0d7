/**
 * The runtime: holds the device, makes residents, compiles step functions and runs them. There is no eager mode;
 * `evaluate` compiles and runs a function once.
 */
import { buildExecutable, createStorage, type Executable } from './executable.js';
import { type ResidentLike, Tensor } from './graph.js';
import type { AdapterFacts } from './op.js';
import { PipelineCache } from './pipelines.js';
import { bytesOf, dumpPlan, makePlan, megabytes, type Plan } from './plan.js';
import type { Recorder } from './recorder.js';
import { readRange, replay, replayChecked } from './replay.js';
import { type FlatGroup, Resident } from './resident.js';
import type { KernelOverrides } from './select.js';
import { type Returned, type Rewrite, traceStep } from './trace.js';
import type { TuningTable } from './tuning.js';
import {
  type HostTensor,
  hostArray,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  type TensorType,
  valuesOf,
} from './types.js';

/** The same structure with handles to the values. */
export type Results<R> = R extends Tensor ? Result : { readonly [K in keyof R]: Result };

/** The same structure with values read back. */
export type Values<R> = R extends Tensor ? HostTensor : { readonly [K in keyof R]: HostTensor };

export type Argument = HostTensor | Resident;

/** What the runtime needs of an open GPU (see `openGpu`). */
export interface RuntimeGpu {
  readonly device: GPUDevice;
  readonly facts: AdapterFacts;
}

export interface RuntimeOptions {
  /** Kernel variants by op, `{ matmul: 'naive' }`. */
  readonly kernels?: KernelOverrides;
  /** Choices found by measuring on this adapter and driver (see `tunePlans`). Default: those of the cost model. */
  readonly tuning?: TuningTable;
  /** Whether operands of matrix products may be rounded to f16 on their way into matrix units. Default: no. */
  readonly roundsProducts?: boolean;
}

export class DeviceLostError extends Error {
  override readonly name = 'DeviceLostError';
}

export class Runtime {
  readonly device: GPUDevice;
  readonly facts: AdapterFacts;
  readonly kernels: KernelOverrides;
  /** While there is one, it is told of all that runs (see `record`). */
  recorder: Recorder | null = null;
  readonly #pipelines: PipelineCache;
  #failure: Error | null = null;
  readonly #onError = (event: GPUUncapturedErrorEvent) => {
    event.preventDefault();
    this.#failure ??= new Error(`WebGPU error: ${event.error.message}`);
  };

  constructor(gpu: RuntimeGpu, options: RuntimeOptions = {}) {
    this.device = gpu.device;
    const { tuning = gpu.facts.tuning, roundsProducts = gpu.facts.roundsProducts } = options;
    this.facts = { ...gpu.facts, tuning, roundsProducts };
    this.kernels = options.kernels ?? {};
    this.#pipelines = new PipelineCache(gpu.device);
    this.device.addEventListener('uncapturederror', this.#onError);
    void this.device.lost.then(({ reason, message }) => {
      this.#failure ??= new DeviceLostError(
        `the GPU device was lost (${reason || 'unknown reason'}: ${message}); resume from the last checkpoint`,
      );
    });
  }

  /** Stops listening to the device, which stays open. Compiled steps and residents are disposed of by their owners. */
  [Symbol.dispose](): void {
    this.device.removeEventListener('uncapturederror', this.#onError as EventListener);
  }

  /** Throws what went wrong on the GPU since the last call, if anything. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** A value on the GPU that outlives steps; zeros if no value is given. */
  resident(name: string, value: HostTensor | TensorType): Resident {
    const resident = new Resident(name, value);
    resident.attach(this.#allocate(resident));
    if ('data' in value) this.write(resident, value);
    return resident;
  }

  /** Gives a flat group of residents its memory, all zero. */
  allocate(group: FlatGroup): void {
    group.attach(this.#allocate(group.flat));
  }

  #allocate(resident: Resident): GPUBuffer {
    this.check();
    const bytes = bytesOf(resident);
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits;
    const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    if (bytes > limit)
      throw new Error(
        `${resident.name} ${resident.dtype}${showShape(resident.shape)} takes ${megabytes(bytes)}, over this adapter's limit of ${megabytes(limit)}`,
      );
    return createStorage(this.device, resident.name, bytes);
  }

  write(resident: Resident, value: HostTensor): void {
    if (!sameShape(resident.shape, value.shape) || resident.dtype !== value.dtype)
      throw new Error(
        `${resident.name} is ${resident.dtype}${showShape(resident.shape)}, the value written is ${value.dtype}${showShape(value.shape)}`,
      );
    this.device.queue.writeBuffer(resident.buffer, resident.offset, value.data);
  }

  /** Reads a resident back, as the steps leave it that were submitted before the call; later ones need not wait. */
  async read(resident: Resident): Promise<HostTensor> {
    const { shape, dtype, buffer, offset, bytes } = resident;
    return hostTensorFrom(await this.#readBytes({ buffer, offset, bytes }), { shape, dtype });
  }

  async #readBytes(range: { buffer: GPUBuffer; offset: number; bytes: number }): Promise<ArrayBuffer> {
    this.check();
    try {
      const reading = readRange(this.device, range);
      const bytes = await (this.recorder?.waits('readback', reading) ?? reading);
      this.check();
      return bytes;
    } catch (error) {
      // A lost device rejects the mapping first; give its reason a turn to arrive.
      await new Promise((resolve) => setTimeout(resolve));
      this.check();
      throw error;
    }
  }

  /**
   * Compiles a step function. It is traced at the first call with arguments of given shapes and dtypes; later calls
   * replay the plan. `name` appears in errors; `rewrite` changes the trace before it is planned (see `recompute`).
   */
  compile<R extends Returned>(
    step: (...args: Tensor[]) => R,
    name = step.name || 'step',
    rewrite: Rewrite = (trace) => trace,
  ): CompiledStep<R> {
    return new CompiledStep(this, this.#pipelines, step, name, rewrite, (range) => this.#readBytes(range));
  }

  /** Runs a function once and reads its result: for exploring, and for tests. */
  async evaluate<R extends Returned>(body: () => R): Promise<Values<R>> {
    const step = this.compile<R>(body, 'evaluate');
    try {
      const results = await step.run();
      if (results instanceof Result) return (await results.read()) as Values<R>;
      const values: Record<string, HostTensor> = {};
      for (const [key, result] of Object.entries(results as Record<string, Result>)) values[key] = await result.read();
      return values as Values<R>;
    } finally {
      step[Symbol.dispose]();
    }
  }
}

/** A value that a run left on the GPU. `read` must be called, though not awaited, before the next run of the same step. */
export class Result {
  readonly shape: Shape;
  readonly dtype: HostTensor['dtype'];
  readonly #read: () => Promise<HostTensor>;

  constructor(type: TensorType, read: () => Promise<HostTensor>) {
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.#read = read;
  }

  read(): Promise<HostTensor> {
    return this.#read();
  }

  /** Reads a scalar. */
  async scalar(): Promise<number> {
    if (sizeOf(this.shape) !== 1) throw new Error(`${showShape(this.shape)} is not a scalar`);
    return valuesOf(await this.#read())[0]!;
  }
}

interface Compiled {
  readonly executable: Executable;
  readonly structure: Returned;
}

export class CompiledStep<R extends Returned> implements Disposable {
  readonly #runtime: Runtime;
  readonly #pipelines: PipelineCache;
  readonly #step: (...args: Tensor[]) => R;
  readonly #name: string;
  readonly #rewrite: Rewrite;
  readonly #readBytes: (range: { buffer: GPUBuffer; offset: number; bytes: number }) => Promise<ArrayBuffer>;
  readonly #plans = new Map<string, Promise<Compiled>>();
  #runs = 0;

  constructor(
    runtime: Runtime,
    pipelines: PipelineCache,
    step: (...args: Tensor[]) => R,
    name: string,
    rewrite: Rewrite,
    readBytes: (range: { buffer: GPUBuffer; offset: number; bytes: number }) => Promise<ArrayBuffer>,
  ) {
    this.#runtime = runtime;
    this.#pipelines = pipelines;
    this.#step = step;
    this.#name = name;
    this.#rewrite = rewrite;
    this.#readBytes = readBytes;
  }

  /** Runs the step. The promise resolves when the work is submitted, not when it is done. */
  async run(...args: Argument[]): Promise<Results<R>> {
    const compiled = await this.#prepare(args);
    const { recorder, device } = this.#runtime;
    if (recorder) await recorder.replay(this.#name, compiled.executable);
    else replay(device, compiled.executable);
    return this.#results(compiled);
  }

  /** Like `run`, stopping with a `NonFiniteError` at the first op that produces NaN or infinity. Slow. */
  async runChecked(...args: Argument[]): Promise<Results<R>> {
    const compiled = await this.#prepare(args);
    await replayChecked(this.#runtime.device, compiled.executable);
    return this.#results(compiled);
  }

  /** The plan for these arguments, as a table. */
  describe(...args: (TensorType | Resident)[]): string {
    return dumpPlan(this.plan(...args));
  }

  /** The plan for these arguments. It takes no memory on the GPU, so there is one also for steps that do not fit. */
  plan(...args: (TensorType | Resident)[]): Plan {
    return this.#trace(args).plan;
  }

  async #prepare(args: readonly Argument[]): Promise<Compiled> {
    this.#runtime.check();
    const compiled = await this.#compiled(args);
    this.#runs++;
    const begin = performance.now();
    for (const [index, range] of compiled.executable.argumentBuffers)
      this.#runtime.device.queue.writeBuffer(range.buffer, 0, (args[index] as HostTensor).data);
    this.#runtime.recorder?.span('upload', begin);
    return compiled;
  }

  #compiled(args: readonly (TensorType | Resident)[]): Promise<Compiled> {
    const key = args
      .map((arg) => (arg instanceof Resident ? `resident ${residentId(arg)}` : `${arg.dtype}${showShape(arg.shape)}`))
      .join(' ');
    let compiled = this.#plans.get(key);
    if (!compiled) {
      compiled = this.#build(args);
      this.#plans.set(key, compiled);
      // A failed build may be tried again, for instance after other memory was freed.
      compiled.catch(() => this.#plans.delete(key));
    }
    return compiled;
  }

  async #build(args: readonly (TensorType | Resident)[]): Promise<Compiled> {
    const { plan, structure } = this.#trace(args);
    try {
      const executable = await buildExecutable(this.#runtime.device, this.#pipelines, plan);
      return { executable, structure };
    } catch (error) {
      throw new Error(`${this.#name}: ${(error as Error).message}`, { cause: error });
    }
  }

  #trace(args: readonly (TensorType | Resident)[]): { plan: Plan; structure: Returned } {
    const { facts, kernels } = this.#runtime;
    const { graph, structure, results } = this.#rewrite(traceStep(this.#step, args), facts);
    return { plan: makePlan(graph, results, facts, kernels), structure };
  }

  #results({ executable, structure }: Compiled): Results<R> {
    const run = this.#runs;
    const result = (tensor: Tensor) =>
      new Result(tensor, async () => {
        if (this.#runs !== run) throw new Error(`${this.#name} has run again: read its results before the next run`);
        return hostTensorFrom(await this.#readBytes(executable.range(tensor)), tensor);
      });
    if (structure instanceof Tensor) return result(structure) as Results<R>;
    return Object.fromEntries(Object.entries(structure).map(([key, tensor]) => [key, result(tensor)])) as Results<R>;
  }

  [Symbol.dispose](): void {
    for (const compiled of this.#plans.values())
      void compiled.then(
        ({ executable }) => executable.destroy(),
        () => {},
      );
    this.#plans.clear();
  }
}

const residentIds = new WeakMap<ResidentLike, number>();
let nextResidentId = 0;
function residentId(resident: Resident): number {
  let id = residentIds.get(resident);
  if (id === undefined) {
    id = nextResidentId++;
    residentIds.set(resident, id);
  }
  return id;
}

function hostTensorFrom(bytes: ArrayBuffer, { shape, dtype }: TensorType): HostTensor {
  return { shape, dtype, data: hostArray(dtype, bytes, sizeOf(shape)) };
}
