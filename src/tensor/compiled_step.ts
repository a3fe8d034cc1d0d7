/** A step function compiled for a runtime, and handles to what it leaves on the GPU. */
import { buildExecutable, type Executable, type Range } from './executable.js';
import { type ResidentLike, Tensor } from './graph.js';
import type { PipelineCache } from './pipelines.js';
import { dumpPlan, makePlan, type Plan } from './plan.js';
import { replay, replayChecked } from './replay.js';
import { Resident } from './resident.js';
import type { Runtime } from './runtime.js';
import { type Returned, type Rewrite, traceStep } from './trace.js';
import {
  checkHostTensor,
  type HostTensor,
  hostArray,
  type Shape,
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
  readonly #readBytes: (range: Range) => Promise<ArrayBuffer>;
  readonly #plans = new Map<string, Promise<Compiled>>();
  #runs = 0;

  constructor(
    runtime: Runtime,
    pipelines: PipelineCache,
    step: (...args: Tensor[]) => R,
    name: string,
    rewrite: Rewrite,
    readBytes: (range: Range) => Promise<ArrayBuffer>,
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
    const compiled = await this.#compiled(args);
    // From here on nothing is waited for, so that runs that are begun side by side take turns.
    const run = this.#upload(compiled, args);
    const { recorder, device } = this.#runtime;
    if (recorder) await recorder.replay(this.#name, compiled.executable);
    else replay(device, compiled.executable);
    return this.#results(compiled, run);
  }

  /** Like `run`, stopping with a `NonFiniteError` at the first op that produces NaN or infinity. Slow. */
  async runChecked(...args: Argument[]): Promise<Results<R>> {
    const compiled = await this.#compiled(args);
    const run = this.#upload(compiled, args);
    await replayChecked(this.#runtime.device, compiled.executable);
    return this.#results(compiled, run);
  }

  /** The plan for these arguments, as a table. */
  describe(...args: (TensorType | Resident)[]): string {
    return dumpPlan(this.plan(...args));
  }

  /** The plan for these arguments. It takes no memory on the GPU, so there is one also for steps that do not fit. */
  plan(...args: (TensorType | Resident)[]): Plan {
    return this.#trace(args).plan;
  }

  /** Puts the arguments where the step reads them. Returns the number of the run that this begins. */
  #upload({ executable }: Compiled, args: readonly Argument[]): number {
    this.#runtime.check();
    const begin = performance.now();
    for (const [index, range] of executable.argumentBuffers) {
      const value = args[index] as HostTensor;
      checkHostTensor(`${this.#name}: argument ${index}`, value);
      this.#runtime.device.queue.writeBuffer(range.buffer, 0, value.data);
    }
    this.#runtime.recorder?.span('upload', begin);
    return ++this.#runs;
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

  #results({ executable, structure }: Compiled, run: number): Results<R> {
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

export function hostTensorFrom(bytes: ArrayBuffer, { shape, dtype }: TensorType): HostTensor {
  return { shape, dtype, data: hostArray(dtype, bytes, sizeOf(shape)) };
}
