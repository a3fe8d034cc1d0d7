/**
 * A plan made real: buffers for its slots, one uniform buffer, pipelines and bind groups, all built beforehand, so
 * that a replay only encodes dispatches and submits.
 */
import type { Tensor } from './graph.js';
import type { BufferRef, Copy, Dispatch } from './op.js';
import type { PipelineCache } from './pipelines.js';
import type { Plan, PlanStep } from './plan.js';
import type { Resident } from './resident.js';
import { bytesOf, inGranules, megabytes, offsetOf } from './storage.js';
import { BYTES_PER_ELEMENT, sizeOf } from './types.js';
import { packUniforms, type Shader, specialize } from './wgsl.js';

/** A range of a buffer, as bound or copied. */
export interface Range {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
  /** Of the value that lies there (see `Operand`). */
  readonly pitch?: number;
}

interface ReadyDispatch {
  readonly kind: 'dispatch';
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

interface ReadyCopy {
  readonly kind: 'copy';
  readonly from: Range;
  readonly to: Range;
  readonly bytes: number;
}

export type ReadyCommand = ReadyDispatch | ReadyCopy;

export interface ReadyStep {
  readonly step: PlanStep;
  readonly commands: readonly ReadyCommand[];
}

export interface Executable {
  readonly plan: Plan;
  readonly steps: readonly ReadyStep[];
  /** Copies of assigned values into their residents, which end a replay. */
  readonly assignments: readonly ReadyCopy[];
  /** Where each argument is uploaded to; null where the argument is a resident. */
  readonly argumentBuffers: ReadonlyMap<number, Range>;
  range(tensor: Tensor): Range;
  destroy(): void;
}

/** A zero-filled storage buffer that can be copied from and to. */
export function createStorage(device: GPUDevice, label: string, bytes: number): GPUBuffer {
  return device.createBuffer({ label, size: bytes, usage: 0x80 | 0x04 | 0x08 }); // STORAGE | COPY_SRC | COPY_DST
}

/** What of it cannot be built is freed again. */
export async function buildExecutable(device: GPUDevice, pipelines: PipelineCache, plan: Plan): Promise<Executable> {
  const owned: GPUBuffer[] = [];
  try {
    return await build(device, pipelines, plan, owned);
  } catch (error) {
    for (const buffer of owned) buffer.destroy();
    throw error;
  }
}

interface Memory {
  readonly slots: readonly GPUBuffer[];
  readonly sources: ReadonlyMap<Tensor, Range>;
  readonly argumentBuffers: ReadonlyMap<number, Range>;
}

/** Slots, arguments and constants; residents have memory already. */
async function allocate(device: GPUDevice, plan: Plan, owned: GPUBuffer[]): Promise<Memory> {
  const create = (label: string, bytes: number): GPUBuffer => {
    if (bytes > device.limits.maxBufferSize)
      throw new Error(
        `${label} takes ${megabytes(bytes)}, over this adapter's largest buffer of ${megabytes(device.limits.maxBufferSize)}`,
      );
    const buffer = createStorage(device, label, bytes);
    owned.push(buffer);
    return buffer;
  };
  device.pushErrorScope('out-of-memory');
  let outOfMemory: Promise<GPUError | null>;
  let memory: Memory;
  try {
    const slots = plan.slots.map((bytes, slot) => create(`slot ${slot}`, bytes));
    const argumentBuffers = new Map<number, Range>();
    const sources = new Map<Tensor, Range>();
    for (const node of plan.graph.nodes) {
      if (!node.source) continue;
      const tensor = node.outputs[0]!;
      const bytes = bytesOf(tensor);
      if (node.source.kind === 'resident') {
        const resident = node.source.resident as Resident;
        sources.set(tensor, { buffer: resident.buffer, offset: resident.offset, bytes });
      } else {
        const range = { buffer: create(node.source.kind, bytes), offset: 0, bytes };
        sources.set(tensor, range);
        if (node.source.kind === 'argument') argumentBuffers.set(node.source.index, range);
        else device.queue.writeBuffer(range.buffer, 0, node.source.value.data);
      }
    }
    memory = { slots, sources, argumentBuffers };
  } finally {
    outOfMemory = device.popErrorScope();
  }
  if (await outOfMemory) {
    const total = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
    throw new Error(
      `out of GPU memory: the plan's ${plan.slots.length} slots take ${megabytes(total)}; use a smaller batch or crop, or recomputation (--recompute)`,
    );
  }
  return memory;
}

async function build(device: GPUDevice, pipelines: PipelineCache, plan: Plan, owned: GPUBuffer[]): Promise<Executable> {
  const { slots, sources, argumentBuffers } = await allocate(device, plan, owned);
  const range = (tensor: Tensor): Range => {
    const place = plan.place(tensor);
    const { buffer, offset, pitch }: Omit<Range, 'bytes'> =
      'slot' in place ? { ...place, buffer: slots[place.slot]! } : sources.get(place.source)!;
    const bytes = bytesOf({ shape: tensor.shape, dtype: tensor.dtype, pitch });
    return { buffer, offset: offset + offsetOf(tensor), bytes, pitch };
  };
  const locate = (at: number, ref: BufferRef): Range => {
    const step = plan.steps[at]!;
    if (ref.kind === 'input') return range(step.inputs[ref.index]!);
    if (ref.kind === 'output') return range(step.outputs[ref.index]!);
    const bytes = inGranules(step.scratch[ref.index]!);
    const { slot, offset } = plan.scratchPlace(at, ref.index);
    return { buffer: slots[slot]!, offset, bytes };
  };

  const uniforms = new UniformBlock(device.limits.minUniformBufferOffsetAlignment);
  const shaders = new Map<Dispatch, { shader: Shader; uniformAt: number }>();
  for (const step of plan.steps)
    for (const command of step.commands)
      if ('source' in command) {
        try {
          const { source, constants } = command;
          const shader = specialize(typeof source === 'string' ? source : await source(), constants);
          const uniformAt = shader.uniforms.length > 0 ? uniforms.add(packUniforms(shader, command.uniforms)) : -1;
          shaders.set(command, { shader, uniformAt });
        } catch (error) {
          throw new Error(`${step.label}:${step.variant}: ${(error as Error).message}`);
        }
      }
  const uniformBuffer = uniforms.upload(device, owned);

  const steps = await Promise.all(
    plan.steps.map(async (step, at): Promise<ReadyStep> => {
      const commands = await Promise.all(
        step.commands.map(async (command): Promise<ReadyCommand> => {
          if (!('source' in command)) return readyCopy(command, (ref) => locate(at, ref));
          const { shader, uniformAt } = shaders.get(command)!;
          const { pipeline, layout } = await pipelines.get(shader, `${step.op}:${step.variant}`);
          const entries: GPUBindGroupEntry[] = command.buffers.map((ref, i) => {
            const { buffer, offset, bytes } = locate(at, ref);
            return { binding: i + 1, resource: { buffer, offset, size: bytes } };
          });
          if (entries.length !== shader.storage.length)
            throw new Error(
              `${step.label}:${step.variant}: ${entries.length} buffers for ${shader.storage.length} bindings`,
            );
          if (uniformAt >= 0)
            entries.push({
              binding: 0,
              resource: {
                buffer: uniformBuffer!,
                offset: uniformAt,
                size: Math.ceil((shader.uniforms.length * 4) / 16) * 16,
              },
            });
          const [x, y = 1, z = 1] = command.workgroups;
          device.pushErrorScope('validation');
          const bindGroup = device.createBindGroup({ label: step.label, layout, entries });
          const invalid = await device.popErrorScope();
          if (invalid) throw new Error(`${step.label}:${step.variant} (${step.node.where}): ${invalid.message}`);
          return { kind: 'dispatch', pipeline, bindGroup, workgroups: [x, y, z] };
        }),
      );
      return { step, commands };
    }),
  );
  const assignments = plan.graph.assignments.map(({ resident, value }): ReadyCopy => {
    const { buffer, offset } = resident as Resident;
    const bytes = sizeOf(resident.shape) * BYTES_PER_ELEMENT[resident.dtype];
    return { kind: 'copy', from: range(value), to: { buffer, offset, bytes }, bytes };
  });
  const destroy = () => {
    for (const buffer of owned) buffer.destroy();
  };
  return { plan, steps, assignments, argumentBuffers, range, destroy };
}

function readyCopy(command: Copy, locate: (ref: BufferRef) => Range): ReadyCopy {
  const from = locate(command.from);
  const to = locate(command.to);
  return {
    kind: 'copy',
    from: { ...from, offset: from.offset + command.fromOffset },
    to: { ...to, offset: to.offset + command.toOffset },
    bytes: command.bytes,
  };
}

/** All uniform blocks of a plan in one buffer; equal blocks are stored once. */
class UniformBlock {
  readonly #alignment: number;
  readonly #at = new Map<string, number>();
  readonly #blocks: ArrayBuffer[] = [];
  #length = 0;

  constructor(alignment: number) {
    this.#alignment = alignment;
  }

  add(block: ArrayBuffer): number {
    const key = new Uint32Array(block).join();
    let at = this.#at.get(key);
    if (at === undefined) {
      at = this.#length;
      this.#at.set(key, at);
      this.#blocks.push(block);
      this.#length += Math.ceil(block.byteLength / this.#alignment) * this.#alignment;
    }
    return at;
  }

  upload(device: GPUDevice, owned: GPUBuffer[]): GPUBuffer | null {
    if (this.#length === 0) return null;
    const bytes = new Uint8Array(this.#length);
    let next = 0;
    for (const block of this.#blocks) {
      bytes.set(new Uint8Array(block), next);
      next += Math.ceil(block.byteLength / this.#alignment) * this.#alignment;
    }
    const buffer = device.createBuffer({ label: 'uniforms', size: this.#length, usage: 0x40 | 0x08 }); // UNIFORM | COPY_DST
    device.queue.writeBuffer(buffer, 0, bytes);
    owned.push(buffer);
    return buffer;
  }
}
