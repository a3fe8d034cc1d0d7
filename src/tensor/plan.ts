/**
 * From a graph to a plan: which kernels run in which order, and where every value lies. A plan is plain data; it can
 * be made and printed without a GPU. `executable.ts` turns it into buffers, pipelines and bind groups.
 */
import { epiloguesOf, joined } from './epilogue.js';
import { type FusedGroup, fuse } from './fuse.js';
import { fusedCommands } from './fused_kernel.js';
import type { Graph, Node, Tensor } from './graph.js';
import type { SlotPlace } from './memory.js';
import { type AdapterFacts, type BufferRef, type Command, input, type Operand, output } from './op.js';
import { type Placement, placeValues } from './placement.js';
import { type KernelOverrides, selectKernel } from './select.js';
import { bytesOf, megabytes } from './storage.js';
import { sameShape, showShape, sizeOf } from './types.js';

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
  readonly pitched: Pitched;
  readonly flops: number;
  /** Bytes read and written if every operand moves once. */
  readonly bytes: number;
}

/** The operands of a step that may lie among the columns of others. */
export interface Pitched {
  readonly operands: readonly BufferRef[];
  /** The step's commands for operands that do. */
  commands(inputs: readonly Operand[], outputs: readonly Operand[]): readonly Command[];
}

/**
 * Where a value lies: in a slot of the plan, from a byte on, or in a source (argument, resident, constant). With a pitch (see
 * `Operand`) where others lie between its rows.
 */
export type Place = (SlotPlace & { readonly pitch?: number }) | { readonly source: Tensor };

export interface Plan extends Placement {
  readonly graph: Graph;
  /** Largest sum of bytes that must be alive at the same time: a lower bound for any assignment to slots. */
  readonly liveBytes: number;
  /** Values the caller reads after a run. */
  readonly results: readonly Tensor[];
}

/** What the scopes of nodes begin with that compute again what a step has computed before (see `autograd/recompute.ts`). */
export const REPEATED = 'recompute';

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
  const { groups, absorbed } = fuse(graph, live, new Set([...kept, ...graph.pinned]), adapter);
  const epilogues = epiloguesOf(graph, live);
  /** What other steps compute as well. */
  const elsewhere = new Set(absorbed);
  const steps: PlanStep[] = [];
  for (const node of graph.nodes) {
    if (!live.has(node) || !node.op || node.op.alias || elsewhere.has(node)) continue;
    const group = groups.get(node.id);
    if (group) {
      steps.push(fusedStep(node, group, adapter));
    } else {
      const context = { inputs: node.inputs, outputs: node.outputs, params: node.params, adapter };
      const kernel = selectKernel(node.op, context, overrides);
      const behind = epilogues.get(node);
      const both = joined(kernel, context, behind, overrides);
      if (both) elsewhere.add(behind!);
      const nodes = both ? [node, behind!] : [node];
      const { commands, scratch } = both ?? {
        commands: kernel.commands(context),
        scratch: kernel.scratch?.(context) ?? [],
      };
      const op = nodes.map((member) => member.op!.name).join('+');
      const outputs = nodes.flatMap((member) => member.outputs);
      const flops = nodes.reduce((sum, member) => sum + flopsOf(member), 0);
      const pitched: Pitched = {
        operands: both ? [] : (kernel.pitched ?? []),
        commands: (inputs, outputs) => kernel.commands({ ...context, inputs, outputs }),
      };
      const { inputs } = node;
      steps.push(makeStep({ node, op, variant: kernel.name, inputs, outputs, commands, scratch, pitched, flops }));
    }
  }
  const placement = placeValues(steps, kept, adapter);
  return { graph, results, liveBytes: Math.max(0, ...placement.alive), ...placement };
}

/** Of a node by itself. */
export const flopsOf = ({ op, inputs, outputs, params }: Node) =>
  op!.flops?.(inputs, outputs, params) ?? sizeOf(outputs[0]!.shape);

function fusedStep(node: Node, group: FusedGroup, adapter: AdapterFacts): PlanStep {
  const { inputs, output: written, flops } = group;
  const op = group.nodes.map((member) => member.op!.name).join('+');
  const all = inputs.flatMap((tensor, i) => (sameShape(tensor.shape, written.shape) ? [input(i)] : []));
  const pitched: Pitched = {
    operands: [...all, output(0)],
    commands: (inputs, outputs) => fusedCommands(group, adapter, inputs, outputs[0]),
  };
  const commands = fusedCommands(group, adapter);
  return makeStep({ node, op, variant: 'fused', inputs, outputs: [written], commands, scratch: [], pitched, flops });
}

function makeStep(step: Omit<PlanStep, 'label' | 'bytes'>): PlanStep {
  const { node, op, inputs, outputs } = step;
  const bytes = [...inputs, ...outputs].reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  return { ...step, label: node.scope ? `${node.scope}: ${op}` : op, bytes };
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
