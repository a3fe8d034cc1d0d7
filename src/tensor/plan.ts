/**
 * From a graph to a plan: which kernels run in which order, and where every value lies. A plan is plain data; it can
 * be made and printed without a GPU. `executable.ts` turns it into buffers, pipelines and bind groups.
 */
import { epiloguesOf, joined } from './epilogue.js';
import { fuse } from './fuse.js';
import { fusedCommands } from './fused_kernel.js';
import { describe, type Graph, type Node, type Tensor } from './graph.js';
import { assignSlots, type Lifetime, type SlotPlace } from './memory.js';
import type { AdapterFacts, Command } from './op.js';
import { type KernelOverrides, selectKernel } from './select.js';
import { BYTES_PER_ELEMENT, showShape, sizeOf, type TensorType } from './types.js';

export interface PlanStep {
  /** `block1/unit_1/conv1: conv2d`, or the fused ops, or an op and its epilogue, joined with `+`. */
  readonly label: string;
  readonly op: string;
  readonly variant: string;
  /** The node (the last one, if fused; the first, if it has an epilogue) whose outputs are written. */
  readonly node: Node;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly commands: readonly Command[];
  readonly scratch: readonly number[];
  readonly flops: number;
  /** Bytes read and written if every operand moves once. */
  readonly bytes: number;
}

/** Where a value lies: in a slot of the plan, from a byte on, or in a source (argument, resident, constant). */
export type Place = SlotPlace | { readonly source: Tensor };

export interface Plan {
  readonly graph: Graph;
  readonly steps: readonly PlanStep[];
  /** Bytes of each slot; every slot is a buffer of its own, which values share. */
  readonly slots: readonly number[];
  /** Place of a value (of the value an alias stands for). */
  place(tensor: Tensor): Place;
  /** Where scratch buffer `index` of step `step` lies. */
  scratchPlace(step: number, index: number): SlotPlace;
  /** Largest sum of bytes that must be alive at the same time: a lower bound for any assignment to slots. */
  readonly liveBytes: number;
  /** Values the caller reads after a run. */
  readonly results: readonly Tensor[];
}

/** Every buffer is rounded up to this, so that kernels may read whole 4-vectors. */
export const BUFFER_GRANULE = 16;

/** Slots grow no further than this: drivers refuse larger allocations sooner. */
const MOST_SLOT_BYTES = 2 ** 30;

export function bytesOf({ shape, dtype }: TensorType): number {
  return Math.ceil((sizeOf(shape) * BYTES_PER_ELEMENT[dtype]) / BUFFER_GRANULE) * BUFFER_GRANULE;
}

/** What the scopes of nodes begin with that compute again what a step has computed before (see `autograd/recompute.ts`). */
export const REPEATED = 'recompute';

/** The value an alias (reshape, view) stands for, or is a part of. */
export function rootOf(tensor: Tensor): Tensor {
  let root = tensor;
  while (root.node.op?.alias) root = root.node.inputs[0]!;
  return root;
}

/** Where a value starts within the one it is an alias of, in bytes. */
export function offsetOf(tensor: Tensor): number {
  let elements = 0;
  for (let at = tensor; at.node.op?.alias; at = at.node.inputs[0]!) elements += at.node.op.alias(at.node.params);
  return elements * BYTES_PER_ELEMENT[tensor.dtype];
}

/**
 * Plans a trace. Neither `results` nor assigned values may be sources themselves (`Runtime` copies such values first),
 * since an assignment would change them.
 */
export function makePlan(
  graph: Graph,
  results: readonly Tensor[],
  adapter: AdapterFacts,
  overrides: KernelOverrides = {},
): Plan {
  const kept = [...results, ...graph.assignments.map((assignment) => assignment.value)];
  const live = liveNodes(kept);
  const groups = fuse(graph, live, new Set([...kept, ...graph.pinned]), adapter.limits);
  const fusedAway = new Set<Node>();
  for (const [id, group] of groups) for (const node of group.nodes) if (node.id !== id) fusedAway.add(node);

  const epilogues = epiloguesOf(graph, live);
  const steps: PlanStep[] = [];
  for (const node of graph.nodes) {
    if (!live.has(node) || !node.op || node.op.alias || fusedAway.has(node)) continue;
    const group = groups.get(node.id);
    if (group) {
      const flops = group.nodes.length * sizeOf(group.output.shape);
      const label = group.nodes.map((member) => member.op!.name).join('+');
      steps.push(
        makeStep(node, label, 'fused', group.inputs, [group.output], fusedCommands(group, adapter), [], flops),
      );
    } else {
      const context = { inputs: node.inputs, outputs: node.outputs, params: node.params, adapter };
      const kernel = selectKernel(node.op, context, overrides);
      const behind = epilogues.get(node);
      const both = joined(kernel, context, behind, overrides);
      if (both) fusedAway.add(behind!);
      const nodes = both ? [node, behind!] : [node];
      const { commands, scratch } = both ?? {
        commands: kernel.commands(context),
        scratch: kernel.scratch?.(context) ?? [],
      };
      const op = nodes.map((member) => member.op!.name).join('+');
      const outputs = nodes.flatMap((member) => member.outputs);
      const flops = nodes.reduce((sum, member) => sum + flopsOf(member), 0);
      steps.push(makeStep(node, op, kernel.name, node.inputs, outputs, commands, scratch, flops));
    }
  }
  return { graph, steps, results, ...placeValues(steps, kept, adapter) };
}

const flopsOf = ({ op, inputs, outputs, params }: Node) =>
  op!.flops?.(inputs, outputs, params) ?? sizeOf(outputs[0]!.shape);

function makeStep(
  node: Node,
  op: string,
  variant: string,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  commands: readonly Command[],
  scratch: readonly number[],
  flops: number,
): PlanStep {
  const bytes = [...inputs, ...outputs].reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const label = node.scope ? `${node.scope}: ${op}` : op;
  return { label, op, variant, node, inputs, outputs, commands, scratch, flops, bytes };
}

/** The nodes that the values depend on. */
export function liveNodes(kept: readonly Tensor[]): Set<Node> {
  const live = new Set<Node>();
  const pending = kept.map((tensor) => tensor.node);
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (live.has(node)) continue;
    live.add(node);
    for (const tensor of node.inputs) pending.push(tensor.node);
  }
  return live;
}

function placeValues(
  steps: readonly PlanStep[],
  kept: readonly Tensor[],
  adapter: AdapterFacts,
): Pick<Plan, 'slots' | 'place' | 'scratchPlace' | 'liveBytes'> {
  const lifetimes: Lifetime[] = [];
  const valueAt = new Map<Tensor, number>();
  const scratchAt: number[][] = [];
  for (const [at, step] of steps.entries()) {
    const written: number[] = [];
    const write = (bytes: number): number => {
      lifetimes.push({ bytes, from: at, to: at, apart: new Set() });
      written.push(lifetimes.length - 1);
      return lifetimes.length - 1;
    };
    for (const tensor of step.outputs) {
      checkSize(tensor, adapter);
      valueAt.set(tensor, write(bytesOf(tensor)));
    }
    scratchAt.push(
      step.scratch.map((bytes) => {
        if (bytes > adapter.limits.maxStorageBufferBindingSize)
          throw new Error(
            `${step.label}:${step.variant} needs a scratch buffer of ${megabytes(bytes)}, over the adapter's limit`,
          );
        return write(Math.max(BUFFER_GRANULE, Math.ceil(bytes / BUFFER_GRANULE) * BUFFER_GRANULE));
      }),
    );
    const read = step.inputs.map((tensor) => valueAt.get(rootOf(tensor))).filter((value) => value !== undefined);
    for (const value of read) lifetimes[value]!.to = at;
    // A step of several dispatches may read what it has written: its outputs and scratch buffers lie apart as well.
    for (const value of written)
      for (const other of [...read, ...written])
        if (other !== value) {
          lifetimes[value]!.apart.add(other);
          lifetimes[other]!.apart.add(value);
        }
  }
  for (const tensor of kept) lifetimes[valueAt.get(rootOf(tensor))!]!.to = Number.POSITIVE_INFINITY;
  const most = Math.min(adapter.limits.maxStorageBufferBindingSize, MOST_SLOT_BYTES);
  const { slots, places, liveBytes } = assignSlots(lifetimes, most);
  return {
    slots,
    liveBytes,
    place(tensor) {
      const root = rootOf(tensor);
      const value = valueAt.get(root);
      return value === undefined ? { source: root } : places[value]!;
    },
    scratchPlace: (step, index) => places[scratchAt[step]![index]!]!,
  };
}

function checkSize(tensor: Tensor, adapter: AdapterFacts): void {
  const limit = adapter.limits.maxStorageBufferBindingSize;
  if (bytesOf(tensor) > limit)
    throw new Error(
      `${describe(tensor)} takes ${megabytes(bytesOf(tensor))}, over this adapter's largest binding of ${megabytes(limit)}: use a smaller batch or crop`,
    );
}

export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 3 : 1)} MiB`;
}

/** The plan as a table: one line a step, with kernel, shapes, slot, bytes and FLOPs. */
export function dumpPlan(plan: Plan): string {
  const rows = plan.steps.map((step, index) => [
    String(index),
    step.label,
    step.variant,
    `${step.inputs.map((tensor) => showShape(tensor.shape)).join(' ')} -> ${step.outputs.map((tensor) => showShape(tensor.shape)).join(' ')}`,
    step.outputs
      .map((tensor) => {
        const place = plan.place(tensor);
        return 'slot' in place ? `#${place.slot}+${place.offset}` : 'source';
      })
      .join(' '),
    megabytes(step.bytes),
    (step.flops / 1e6).toFixed(3),
  ]);
  const table = [['step', 'op', 'kernel', 'shapes', 'slot', 'bytes', 'MFLOP'], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  const planned = plan.slots.reduce((sum, bytes) => sum + bytes, 0);
  const flops = plan.steps.reduce((sum, step) => sum + step.flops, 0);
  const repeated = plan.steps
    .filter(({ node }) => node.scope.startsWith(REPEATED))
    .reduce((sum, step) => sum + step.flops, 0);
  const again = repeated > 0 ? ` (${((100 * repeated) / (flops - repeated)).toFixed(1)} % more by recomputation)` : '';
  lines.push(
    `${plan.steps.length} steps, ${(flops / 1e9).toFixed(3)} GFLOP${again}, ${plan.slots.length} slots of ${megabytes(planned)} in all (at least ${megabytes(plan.liveBytes)} must be alive at once)`,
  );
  return lines.join('\n');
}
