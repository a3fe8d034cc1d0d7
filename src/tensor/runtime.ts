/**
 * The runtime: holds the device, makes residents, compiles step functions and runs them. There is no eager mode;
 * `evaluate` compiles and runs a function once.
 */
import { CompiledStep, hostTensorFrom, Result, type Values } from './compiled_step.js';
import { createStorage } from './executable.js';
import type { Tensor } from './graph.js';
import type { AdapterFacts } from './op.js';
import { PipelineCache } from './pipelines.js';
import type { Recorder } from './recorder.js';
import { readRange } from './replay.js';
import { type FlatGroup, Resident } from './resident.js';
import type { KernelOverrides } from './select.js';
import { bytesOf, megabytes } from './storage.js';
import type { Returned, Rewrite } from './trace.js';
import type { TuningTable } from './tuning.js';
import { checkHostTensor, type HostTensor, sameShape, showShape, type TensorType } from './types.js';

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
    this.#fail(new Error(`WebGPU error: ${event.error.message}`));
  };

  constructor(gpu: RuntimeGpu, options: RuntimeOptions = {}) {
    this.device = gpu.device;
    const { tuning = gpu.facts.tuning, roundsProducts = gpu.facts.roundsProducts } = options;
    this.facts = { ...gpu.facts, tuning, roundsProducts };
    this.kernels = options.kernels ?? {};
    this.#pipelines = new PipelineCache(gpu.device);
    this.device.addEventListener('uncapturederror', this.#onError);
    // The device outlives its runtimes, and would hold on to them.
    const self = new WeakRef(this);
    void this.device.lost.then(({ reason, message }) => {
      const runtime = self.deref();
      if (!runtime) return;
      const why = `${reason || 'unknown reason'}: ${message}`;
      runtime.#fail(new DeviceLostError(`the GPU device was lost (${why}); resume from the last checkpoint`));
    });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Stops listening to the device, which stays open. Compiled steps and residents are disposed of by their owners. */
  [Symbol.dispose](): void {
    this.device.removeEventListener('uncapturederror', this.#onError as EventListener);
  }

  /** Throws what went wrong on the device, if anything did: from then on, every time. */
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
    checkHostTensor(resident.name, value);
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
