/**
 * Recomputation: values of the forward pass that the backward pass computes again instead of keeping them in memory until
 * then. Results are the same to the bit: a repeated step is the same kernel on the same values, random numbers are functions
 * of their counters, and what a step assigns is assigned once.
 *
 * Values are dropped within blocks, such as residual units. Neighbouring blocks are joined to groups: between groups
 * everything is kept, and within a group all that it drops is alive at one time, while its gradients are computed. How many
 * blocks make a group is found by a search over the plan's peak ("Training Deep Nets with Sublinear Memory Cost", Chen et
 * al., 2016, sections 4.1 to 4.3).
 */
import { currentGraph, type Tensor } from '../tensor/graph.js';
import { bytesOf } from '../tensor/storage.js';
import type { Rewrite } from '../tensor/trace.js';
import { rewriteTrace } from './recompute_rewrite.js';
import { peakOf, type Steps, scheduleOf, stepsOf } from './recompute_schedule.js';
import { droppedValues } from './recompute_values.js';

/**
 * What the backward pass computes again, by the FLOPs that an element costs:
 * - `none`: nothing; all that it reads is kept
 * - `cheap`: up to 64, what a processor computes in the time that it takes to write the element: batch norm, activations,
 *   sums, pooling, copies; no convolution of more than a few channels
 * - `balanced`: up to 1024, so also the convolutions that widen a ResNet's bottlenecks (1x1, from at most 512 channels)
 * - `blocks`: up to 16384: whole residual units, but no 3x3 convolutions of more than 910 channels, as heads have
 */
export const RECOMPUTE_MODES = ['none', 'cheap', 'balanced', 'blocks'] as const;
export type RecomputeMode = (typeof RECOMPUTE_MODES)[number];

const MOST_FLOPS: Readonly<Record<RecomputeMode, number>> = {
  none: 0,
  cheap: 64,
  balanced: 1024,
  blocks: 16384,
};

/**
 * Marks what `body` appends to the trace as a block: its inner values may be computed again by the backward pass. What is
 * read outside of it is kept. A block within a block is part of the outer one. Without recomputation it has no effect.
 */
export function recomputable<R>(body: () => R): R {
  const graph = currentGraph();
  return graph.within(graph.blocks, body);
}

/**
 * For `Runtime.compile`: the step with recomputation.
 *
 * @throws RangeError for a mode that there is none of
 */
export function recompute(mode: RecomputeMode): Rewrite {
  const mostFlops = MOST_FLOPS[mode] as number | undefined;
  if (mostFlops === undefined)
    throw new RangeError(`recompute: must be one of ${RECOMPUTE_MODES.join(', ')}, got ${mode}`);
  return (trace, facts) => {
    if (mode === 'none') return trace;
    const steps = stepsOf(trace, facts);
    const dropped = leastMemory(steps, mostFlops);
    return dropped.size > 0 ? rewriteTrace(trace, scheduleOf(steps, dropped), dropped) : trace;
  };
}

/** Factor between the sizes of groups that are tried. */
const STRIDE = 1.3;

/** The values to drop for the lowest peak; none where keeping everything is no worse. */
function leastMemory(steps: Steps, mostFlops: number): ReadonlySet<Tensor> {
  let best: ReadonlySet<Tensor> = new Set();
  let least = peakOf(steps, best);
  const tried = new Set<string>();
  const bytes = droppedBytes(steps, mostFlops);
  const total = bytes.reduce((sum, value) => sum + value, 0);
  for (let most = Math.max(1, Math.min(...bytes.filter(Boolean))); most < total * STRIDE; most *= STRIDE)
    for (const backwards of [false, true]) {
      const groups = joinBlocks(steps.blocks, bytes, most, backwards);
      const key = groups.join();
      if (tried.has(key)) continue;
      tried.add(key);
      const dropped = droppedValues(steps, groups, mostFlops);
      const peak = peakOf(steps, dropped);
      if (peak < least) [best, least] = [dropped, peak];
    }
  return best;
}

/** Bytes that each block drops of what the backward pass reads, were it a group of its own. */
function droppedBytes(steps: Steps, mostFlops: number): number[] {
  const bytes = steps.blocks.map(() => 0);
  const alone = steps.blocks.map((_, block) => block);
  for (const value of droppedValues(steps, alone, mostFlops))
    if (steps.readers.get(value)!.some(({ backward }) => backward))
      bytes[steps.producers.get(value)!.block]! += bytesOf(value);
  return bytes;
}

/** The group of each block: neighbours join, from the first or from the last, up to so many bytes. */
function joinBlocks(blocks: Steps['blocks'], bytes: readonly number[], most: number, backwards: boolean): number[] {
  const order = [...blocks.keys()];
  if (backwards) order.reverse();
  const groups: number[] = [];
  let group = -1;
  let sum = 0;
  for (const [i, block] of order.entries()) {
    const before = order[i - 1];
    const [left, right] = backwards ? [block, before] : [before, block];
    const joined = left !== undefined && right !== undefined && blocks[left]!.end === blocks[right]!.first;
    if (joined && sum + bytes[block]! <= most) sum += bytes[block]!;
    else {
      group++;
      sum = bytes[block]!;
    }
    groups[block] = group;
  }
  return groups;
}
