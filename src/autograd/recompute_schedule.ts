/**
 * A trace as the steps that its plan has, and the order they run in where the backward pass computes values again:
 * what `recompute.ts` decides by and `recompute_rewrite.ts` writes down.
 */
import { epiloguesOf } from '../tensor/epilogue.js';
import { type FusedGroup, fuse } from '../tensor/fuse.js';
import type { Node, Span, Tensor } from '../tensor/graph.js';
import type { AdapterFacts } from '../tensor/op.js';
import { flopsOf, liveNodes } from '../tensor/plan.js';
import { bytesOf, rootOf } from '../tensor/storage.js';
import type { Trace } from '../tensor/trace.js';

/**
 * What runs at one time: a fused group of elementwise nodes, or one node, with its epilogue, if there is one, whether or not
 * the kernel to come can compute it: so that an epilogue is never repeated without what it belongs to, by another kernel.
 */
export interface Step {
  readonly nodes: readonly Node[];
  /** The values read, each once; never aliases. */
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Without those of an epilogue, which take next to no time. */
  readonly flops: number;
  /** Whether gradients appended it. */
  readonly backward: boolean;
  /** The block it belongs to, as an index; -1 outside of all. */
  readonly block: number;
}

/** A step at its place in the order; `again` for one that is computed once more. */
export interface Scheduled {
  readonly step: Step;
  readonly again: boolean;
}

export interface Steps {
  readonly all: readonly Step[];
  /** The step that computes a value; none for sources. */
  readonly producers: ReadonlyMap<Tensor, Step>;
  /** The steps that read a value. */
  readonly readers: ReadonlyMap<Tensor, readonly Step[]>;
  /** Values that are read after the last step: results and assignments. */
  readonly kept: ReadonlySet<Tensor>;
  /** The outermost blocks, in order; what follows its predecessor at once is one run with it. */
  readonly blocks: readonly Span[];
}

/** The steps of a trace, as it would be planned without recomputation. */
export function stepsOf({ graph, results }: Trace, adapter: AdapterFacts): Steps {
  const wanted = [...results, ...graph.assignments.map(({ value }) => value)];
  const live = liveNodes(wanted);
  const { groups, absorbed } = fuse(graph, live, new Set([...wanted, ...graph.pinned]), adapter);
  const epilogues = epiloguesOf(graph, live);
  const elsewhere = new Set([...absorbed, ...epilogues.values()]);
  const blocks = outermost(graph.blocks);
  const all = graph.nodes
    .filter((node) => live.has(node) && node.op && !node.op.alias && !elsewhere.has(node))
    .map((node) => stepOf(node, groups.get(node.id), epilogues.get(node), blocks, graph.backward));
  const producers = new Map<Tensor, Step>();
  const readers = new Map<Tensor, Step[]>();
  for (const step of all) {
    for (const output of step.outputs) {
      producers.set(output, step);
      readers.set(output, []);
    }
    for (const input of step.inputs) readers.get(input)?.push(step);
  }
  return { all, producers, readers, kept: new Set(wanted.map(rootOf)), blocks };
}

function stepOf(
  node: Node,
  group: FusedGroup | undefined,
  epilogue: Node | undefined,
  blocks: readonly Span[],
  backward: readonly Span[],
): Step {
  const nodes = group?.nodes ?? (epilogue ? [node, epilogue] : [node]);
  const inputs = new Set((group?.inputs ?? node.inputs).map(rootOf));
  const outputs = group ? [group.output] : nodes.flatMap((member) => member.outputs);
  const [block, ...others] = new Set(nodes.map(({ id }) => blocks.findIndex((span) => isIn(span, id))));
  return {
    nodes,
    inputs: [...inputs],
    outputs,
    flops: group?.flops ?? flopsOf(node),
    backward: backward.some((span) => isIn(span, node.id)),
    block: others.length > 0 ? -1 : block!,
  };
}

const isIn = ({ first, end }: Span, id: number) => id >= first && id < end;

function outermost(spans: readonly Span[]): Span[] {
  const sorted = spans.filter(({ first, end }) => end > first).sort((a, b) => a.first - b.first || b.end - a.end);
  const outer: Span[] = [];
  for (const span of sorted) if (span.first >= (outer.at(-1)?.end ?? 0)) outer.push(span);
  return outer;
}

/**
 * The order of the steps where the backward pass computes the values of `dropped` again: each just before its first use
 * there.
 */
export function scheduleOf({ all, producers }: Steps, dropped: ReadonlySet<Tensor>): Scheduled[] {
  const scheduled: Scheduled[] = [];
  const repeated = new Set<Step>();
  const repeat = (value: Tensor): void => {
    const step = producers.get(value);
    if (!step || !dropped.has(value) || repeated.has(step)) return;
    repeated.add(step);
    for (const input of step.inputs) repeat(input);
    scheduled.push({ step, again: true });
  };
  for (const step of all) {
    if (step.backward) for (const input of step.inputs) repeat(input);
    scheduled.push({ step, again: false });
  }
  return scheduled;
}

/** The most bytes of values that are alive at one step of a schedule, without the scratch memory of kernels. */
export function peakOf(steps: Steps, dropped: ReadonlySet<Tensor>): number {
  const schedule = scheduleOf(steps, dropped);
  const first = [new Map<Tensor, number>(), new Map<Tensor, number>()] as const;
  const last = [new Map<Tensor, number>(), new Map<Tensor, number>()] as const;
  for (const [at, { step, again }] of schedule.entries()) {
    for (const output of step.outputs) {
      first[again ? 1 : 0].set(output, at);
      last[again ? 1 : 0].set(output, at);
    }
    for (const input of step.inputs) {
      const version = (again || step.backward) && dropped.has(input) ? 1 : 0;
      if (first[version].has(input)) last[version].set(input, at);
    }
  }
  for (const value of steps.kept) if (first[0].has(value)) last[0].set(value, schedule.length);
  const changes = new Float64Array(schedule.length + 2);
  for (const version of [0, 1] as const)
    for (const [value, from] of first[version]) {
      changes[from]! += bytesOf(value);
      changes[last[version].get(value)! + 1]! -= bytesOf(value);
    }
  let alive = 0;
  let most = 0;
  for (const change of changes) {
    alive += change;
    most = Math.max(most, alive);
  }
  return most;
}
