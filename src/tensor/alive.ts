/** How much memory a plan's values need at each of its steps. */
import type { Tensor } from './graph.js';
import { BUFFER_GRANULE, bytesOf, type Plan, rootOf } from './plan.js';

const granules = (bytes: number): number => Math.max(1, Math.ceil(bytes / BUFFER_GRANULE)) * BUFFER_GRANULE;

/**
 * Bytes of values and scratch that must exist during each step, residents and arguments left out. The largest is
 * the plan's `liveBytes`.
 */
export function aliveBytes({ steps, results, graph }: Plan): number[] {
  const last = new Map<Tensor, number>();
  for (const [at, { inputs, outputs }] of steps.entries())
    for (const tensor of [...outputs, ...inputs.map(rootOf)]) last.set(tensor, at);
  for (const kept of [...results, ...graph.assignments.map(({ value }) => value)]) last.set(rootOf(kept), steps.length);
  const freed = new Array<number>(steps.length + 1).fill(0);
  let alive = 0;
  return steps.map(({ outputs, scratch }, at) => {
    for (const tensor of outputs) {
      alive += bytesOf(tensor);
      freed[last.get(tensor)!]! += bytesOf(tensor);
    }
    const during = alive + scratch.reduce((sum, bytes) => sum + granules(bytes), 0);
    alive -= freed[at]!;
    return during;
  });
}
