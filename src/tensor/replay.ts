/** The three ways to run an executable: replay it, time it kernel by kernel, or check every value for NaN. */

import type { Executable, Range, ReadyCommand } from './executable.js';
import { describe } from './graph.js';
import { showShape, sizeOf } from './types.js';

/**
 * A driver's watchdog kills work that runs for seconds, so a replay is submitted in parts of about this many FLOPs
 * (a few milliseconds on a GPU; on a software adapter there is no watchdog in Node, and Chrome's is per submit).
 */
const FLOPS_PER_SUBMIT = 2e11;

/** Runs the plan once: all dispatches, then the copies into assigned residents. Returns once submitted. */
export function replay(device: GPUDevice, executable: Executable): void {
  let encoder = device.createCommandEncoder({ label: 'replay' });
  let pass: GPUComputePassEncoder | null = null;
  let flops = 0;
  const submit = () => {
    pass?.end();
    pass = null;
    device.queue.submit([encoder.finish()]);
  };
  for (const { step, commands } of executable.steps) {
    if (flops > 0 && flops + step.flops > FLOPS_PER_SUBMIT) {
      submit();
      encoder = device.createCommandEncoder({ label: 'replay' });
      flops = 0;
    }
    flops += step.flops;
    for (const command of commands) pass = encode(encoder, pass, command);
  }
  for (const copy of executable.assignments) pass = encode(encoder, pass, copy);
  submit();
}

function encode(
  encoder: GPUCommandEncoder,
  pass: GPUComputePassEncoder | null,
  command: ReadyCommand,
): GPUComputePassEncoder | null {
  if (command.kind === 'copy') {
    pass?.end();
    encoder.copyBufferToBuffer(
      command.from.buffer,
      command.from.offset,
      command.to.buffer,
      command.to.offset,
      command.bytes,
    );
    return null;
  }
  const open = pass ?? encoder.beginComputePass();
  open.setPipeline(command.pipeline);
  open.setBindGroup(0, command.bindGroup);
  open.dispatchWorkgroups(...command.workgroups);
  return open;
}

export interface StepTime {
  readonly label: string;
  readonly op: string;
  readonly variant: string;
  readonly shapes: string;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/**
 * Runs the plan once with a timestamp around every step. Without the feature `timestamp-query` each step is submitted
 * and waited for, and the times include that round trip (about 0.1 ms).
 */
export async function profile(device: GPUDevice, executable: Executable): Promise<StepTime[]> {
  const milliseconds = device.features.has('timestamp-query')
    ? await profileByTimestamps(device, executable)
    : await profileByWaiting(device, executable);
  return executable.steps.map(({ step }, index) => ({
    label: step.label,
    op: step.op,
    variant: step.variant,
    shapes: `${step.inputs.map((tensor) => showShape(tensor.shape)).join(' ')} -> ${step.outputs.map((tensor) => showShape(tensor.shape)).join(' ')}`,
    milliseconds: milliseconds[index]!,
    flops: step.flops,
    bytes: step.bytes,
  }));
}

/** A query set holds at most 4,096 timestamps. */
const STEPS_PER_QUERY_SET = 2048;

async function profileByTimestamps(device: GPUDevice, executable: Executable): Promise<number[]> {
  const times: number[] = [];
  const { steps, assignments } = executable;
  for (let first = 0; first < steps.length; first += STEPS_PER_QUERY_SET) {
    const part = steps.slice(first, first + STEPS_PER_QUERY_SET);
    const querySet = device.createQuerySet({ type: 'timestamp', count: part.length * 2 });
    const encoder = device.createCommandEncoder({ label: 'profile' });
    for (const [i, { commands }] of part.entries()) {
      // An empty pass before and after also brackets steps that are copies.
      encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex: i * 2 } }).end();
      let pass: GPUComputePassEncoder | null = null;
      for (const command of commands) pass = encode(encoder, pass, command);
      pass?.end();
      encoder.beginComputePass({ timestampWrites: { querySet, endOfPassWriteIndex: i * 2 + 1 } }).end();
    }
    const bytes = part.length * 16;
    const resolved = device.createBuffer({ size: bytes, usage: 0x200 | 0x04 }); // QUERY_RESOLVE | COPY_SRC
    encoder.resolveQuerySet(querySet, 0, part.length * 2, resolved, 0);
    if (first + STEPS_PER_QUERY_SET >= steps.length) for (const copy of assignments) encode(encoder, null, copy);
    device.queue.submit([encoder.finish()]);
    const stamps = new BigUint64Array(await readRange(device, { buffer: resolved, offset: 0, bytes }));
    for (let i = 0; i < part.length; i++) times.push(Number(stamps[i * 2 + 1]! - stamps[i * 2]!) / 1e6);
    resolved.destroy();
    querySet.destroy();
  }
  return times;
}

async function profileByWaiting(device: GPUDevice, executable: Executable): Promise<number[]> {
  const times: number[] = [];
  for (const { commands } of executable.steps) {
    const begin = performance.now();
    submitAll(device, commands);
    await device.queue.onSubmittedWorkDone();
    times.push(performance.now() - begin);
  }
  submitAll(device, executable.assignments);
  return times;
}

function submitAll(device: GPUDevice, commands: readonly ReadyCommand[]): void {
  const encoder = device.createCommandEncoder();
  let pass: GPUComputePassEncoder | null = null;
  for (const command of commands) pass = encode(encoder, pass, command);
  pass?.end();
  device.queue.submit([encoder.finish()]);
}

/** Thrown by a checked run: the first op that turned finite inputs into something else. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

/**
 * Runs the plan step by step and reads every float output back. Assignments are made only if all values are finite, so
 * the residents still hold what led to the failure. Slow: for finding where a NaN comes from.
 */
export async function replayChecked(device: GPUDevice, executable: Executable): Promise<void> {
  for (const { step, commands } of executable.steps) {
    submitAll(device, commands);
    for (const tensor of step.outputs) {
      if (tensor.dtype !== 'f32') continue;
      const values = new Float32Array(await readRange(device, executable.range(tensor)), 0, sizeOf(tensor.shape));
      const bad = values.findIndex((value) => !Number.isFinite(value));
      if (bad < 0) continue;
      const count = values.reduce((sum, value) => sum + (Number.isFinite(value) ? 0 : 1), 0);
      const inputs = step.inputs.map((from) => `${from.dtype}${showShape(from.shape)}`).join(', ');
      throw new NonFiniteError(
        `${describe(tensor)} [kernel ${step.op}:${step.variant}] is the first value that is not finite: ${count} of ${values.length} elements, the first is ${values[bad]} at ${bad}; its inputs (${inputs}) were finite`,
      );
    }
  }
  submitAll(device, executable.assignments);
}

/** Reads bytes back. Waits for all work submitted before. */
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
