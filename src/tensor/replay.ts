/** Running an executable: replay it, or check every value for NaN. `recorder.ts` times it. */

import type { Executable, Range, ReadyCommand } from './executable.js';
import { describe } from './graph.js';
import type { PlanStep } from './plan.js';
import { type HostData, hostArray, isFloat, showShape, sizeOf, type TensorType, valuesOf } from './types.js';

/**
 * A driver's watchdog kills work that runs for seconds, so a replay is submitted in parts of about this many FLOPs
 * (a few milliseconds on a GPU; on a software adapter there is no watchdog in Node, and Chrome's is per submit).
 */
const FLOPS_PER_SUBMIT = 2e11;

/** What the host is at in a replay. */
export type ReplayPhase = 'encode' | 'finish' | 'submit';

/** Is told of each phase as it begins, and of the end (null). */
export type WatchReplay = (phase: ReplayPhase | null) => void;

/** Runs the plan once: all dispatches, then the copies into assigned residents. Returns once submitted. */
export function replay(device: GPUDevice, executable: Executable, watch?: WatchReplay): void {
  const parts = new SubmitParts();
  watch?.('encode');
  let encoding = new Encoding(device, 'replay');
  for (const { step, commands } of executable.steps) {
    if (parts.isFull(step)) {
      encoding.submit(watch);
      watch?.('encode');
      encoding = new Encoding(device, 'replay');
    }
    for (const command of commands) encoding.add(command);
  }
  for (const copy of executable.assignments) encoding.add(copy);
  encoding.submit(watch);
  watch?.(null);
}

/** Says where a replay is to be submitted in between. */
export class SubmitParts {
  #flops = 0;

  /** Counts a step; true if what came before it is to be submitted first. */
  isFull({ flops }: PlanStep): boolean {
    const full = this.#flops > 0 && this.#flops + flops > FLOPS_PER_SUBMIT;
    this.#flops = full ? flops : this.#flops + flops;
    return full;
  }
}

/**
 * Commands on their way into a submit. A call of the API costs about a microsecond in Node, most of it for crossing from
 * JavaScript and for checking arguments, so there are as few of them and of their arguments as can be.
 */
export class Encoding {
  readonly encoder: GPUCommandEncoder;
  readonly #device: GPUDevice;
  #pass: GPUComputePassEncoder | null = null;
  #pipeline: GPUComputePipeline | null = null;

  constructor(device: GPUDevice, label: string) {
    this.#device = device;
    this.encoder = device.createCommandEncoder({ label });
  }

  add(command: ReadyCommand): void {
    if (command.kind === 'copy') {
      const { from, to, bytes } = command;
      this.endPass();
      this.encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, bytes);
      return;
    }
    const pass = this.#pass ?? this.beginPass();
    const { pipeline, workgroups } = command;
    if (pipeline !== this.#pipeline) {
      pass.setPipeline(pipeline);
      this.#pipeline = pipeline;
    }
    pass.setBindGroup(0, command.bindGroup);
    const [x, y, z] = workgroups;
    if (z !== 1) pass.dispatchWorkgroups(x, y, z);
    else if (y !== 1) pass.dispatchWorkgroups(x, y);
    else pass.dispatchWorkgroups(x);
  }

  /** Begins a pass for the dispatches to come, which is begun by itself if need be. */
  beginPass(descriptor?: GPUComputePassDescriptor): GPUComputePassEncoder {
    this.endPass();
    this.#pass = this.encoder.beginComputePass(descriptor);
    return this.#pass;
  }

  endPass(): void {
    this.#pass?.end();
    this.#pass = null;
    this.#pipeline = null;
  }

  submit(watch?: WatchReplay): void {
    this.endPass();
    watch?.('finish');
    const commands = this.encoder.finish();
    watch?.('submit');
    this.#device.queue.submit([commands]);
  }
}

/** Submits commands by themselves. */
export function submitAll(device: GPUDevice, commands: readonly ReadyCommand[]): void {
  const encoding = new Encoding(device, 'commands');
  for (const command of commands) encoding.add(command);
  encoding.submit();
}

/** Thrown by a checked run: the first op whose result is not finite. Arguments and residents are not looked at. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

const HALVES_OVERFLOW =
  '. Gradients of a scaled loss overflow now and then, which an unchecked run takes care of: look for what else is wrong in f32';

/**
 * Runs the plan step by step and reads every float output back. Assignments are made only if all values are finite, so
 * the residents still hold what led to the failure. Slow: for finding where a NaN comes from.
 */
export async function replayChecked(device: GPUDevice, executable: Executable): Promise<void> {
  for (const { step, commands } of executable.steps) {
    submitAll(device, commands);
    for (const tensor of step.outputs) {
      const { dtype } = tensor;
      if (!isFloat(dtype)) continue;
      const values = await readValues(device, executable.range(tensor), tensor);
      const bad = values.findIndex((value) => !Number.isFinite(value));
      if (bad < 0) continue;
      let count = 0;
      for (const value of values) if (!Number.isFinite(value)) count++;
      const inputs = step.inputs.map((from) => `${from.dtype}${showShape(from.shape)}`).join(', ');
      throw new NonFiniteError(
        `${describe(tensor)} [kernel ${step.op}:${step.variant}] is the first value that is not finite: ${count} of ${values.length} elements, the first is ${values[bad]} at ${bad}; what was computed before is finite; its inputs are ${inputs}${dtype === 'f16' ? HALVES_OVERFLOW : ''}`,
      );
    }
  }
  submitAll(device, executable.assignments);
}

/** The elements of a value that may lie among the columns of others. */
async function readValues(device: GPUDevice, range: Range, { dtype, shape }: TensorType): Promise<HostData> {
  const data = hostArray(dtype, await readRange(device, range));
  const width = shape.at(-1) ?? 1;
  const { pitch = width } = range;
  const own = data.filter((_, i) => i % pitch < width);
  return valuesOf({ dtype, data: own.subarray(0, sizeOf(shape)) });
}

/** Reads bytes back, as they are after all work submitted before the call. */
export async function readRange(device: GPUDevice, range: Range): Promise<ArrayBuffer> {
  const staging = device.createBuffer({ label: 'readback', size: range.bytes, usage: 0x01 | 0x08 }); // MAP_READ | COPY_DST
  const encoder = device.createCommandEncoder({ label: 'readback' });
  encoder.copyBufferToBuffer(range.buffer, range.offset, staging, 0, range.bytes);
  device.queue.submit([encoder.finish()]);
  try {
    await staging.mapAsync(1); // READ
    const copy = staging.getMappedRange().slice(0);
    staging.unmap();
    return copy;
  } finally {
    staging.destroy();
  }
}
