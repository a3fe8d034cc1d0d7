/** Which values a backward pass computes again, where blocks are joined to groups. */
import type { Tensor } from '../tensor/graph.js';
import { bytesOf } from '../tensor/storage.js';
import { sizeOf } from '../tensor/types.js';
import type { Step, Steps } from './recompute_schedule.js';

/** Values of this share of their block's largest, such as the statistics of batch norm, are worth no time. */
const SMALL = 1 / 32;

/**
 * The values that are not kept for the backward pass: those within a group that take at most `mostFlops` an element, and
 * nothing that would have to be kept only for them.
 *
 * @param groups the group of each block
 */
export function droppedValues(steps: Steps, groups: readonly number[], mostFlops: number): Set<Tensor> {
  const largest = steps.blocks.map(() => 0);
  for (const { block, outputs } of steps.all)
    if (block >= 0) largest[block] = Math.max(largest[block]!, ...outputs.map(bytesOf));
  const groupOf = (step: Step | undefined) => (step && step.block >= 0 ? groups[step.block]! : -1);
  const isSmall = (value: Tensor, { block }: Step) => bytesOf(value) <= largest[block]! * SMALL;

  const dropped = new Set<Tensor>();
  for (const step of steps.all) {
    const group = groupOf(step);
    if (group < 0 || step.backward) continue;
    const elements = step.outputs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    if (step.flops > mostFlops * elements) continue;
    const atHand = (input: Tensor) => {
      const producer = steps.producers.get(input);
      if (groupOf(producer) !== group || dropped.has(input) || isSmall(input, producer!)) return true;
      return steps.readers.get(input)!.some(({ backward }) => backward);
    };
    if (!step.inputs.every(atHand)) continue;
    for (const output of step.outputs) {
      const readOutside = steps.readers.get(output)!.some((reader) => !reader.backward && groupOf(reader) !== group);
      if (!readOutside && !steps.kept.has(output) && !isSmall(output, step)) dropped.add(output);
    }
  }
  return dropped;
}
