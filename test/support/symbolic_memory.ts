/** Runs a plan on words that know which value they belong to, to see whether each step finds what it reads. */
import { expect } from 'vitest';
import type { Tensor } from '../../src/tensor/graph.js';
import type { BufferRef } from '../../src/tensor/op.js';
import type { Plan, PlanStep } from '../../src/tensor/plan.js';
import { bytesOf, offsetOf, rootOf } from '../../src/tensor/storage.js';
import { sizeOf } from '../../src/tensor/types.js';

/** What word `at` of a value must hold: of what consists of others, the words of these. */
function wordOf(tensor: Tensor, at: number): string {
  const root = rootOf(tensor);
  const { op, inputs, params, id } = root.node;
  const word = at + offsetOf(tensor) / 4;
  const starts = op?.parts?.(inputs, params);
  if (!starts || starts.length === 0) return `${id}.${root.index}:${word}`;
  const i = starts.findLastIndex((start) => start <= word);
  const within = word - starts[i]!;
  return within < sizeOf(inputs[i]!.shape) ? wordOf(inputs[i]!, within) : 'zero';
}

interface Located {
  readonly words: string[];
  readonly first: number;
}

/**
 * Every step writes its outputs, to the last byte of what is bound; copies copy. All kernels of ops with `Op.parts` must be
 * copies, but for those that fill gaps. Fails where a step or a result finds other words than its own, or where one dispatch
 * or copy reads and writes the same slot.
 */
export function replaySymbolically(plan: Plan): void {
  const slots = plan.slots.map((bytes) => new Array<string>(Math.ceil(bytes / 4)).fill('nothing'));
  const locate = (tensor: Tensor): Located | null => {
    const place = plan.place(tensor);
    return 'slot' in place ? { words: slots[place.slot]!, first: (place.offset + offsetOf(tensor)) / 4 } : null;
  };
  const check = (tensor: Tensor, reader: string) => {
    const located = locate(tensor);
    if (!located) return;
    for (let at = 0; at < sizeOf(tensor.shape); at++)
      if (located.words[located.first + at] !== wordOf(tensor, at))
        expect.unreachable(
          `${reader}: word ${at} of ${rootOf(tensor).node.op!.name} is ${located.words[located.first + at]}, not ${wordOf(tensor, at)}`,
        );
  };
  const write = (tensor: Tensor, word: (at: number) => string) => {
    const { words, first } = locate(tensor)!;
    for (let at = 0; at < bytesOf(tensor) / 4; at++) words[first + at] = word(at);
  };
  for (const [index, step] of plan.steps.entries()) {
    checkBuffers(plan, step, index);
    for (const scratch of step.scratch.keys()) {
      const { slot, offset } = plan.scratchPlace(index, scratch);
      slots[slot]!.fill('scratch', offset / 4, (offset + step.scratch[scratch]!) / 4);
    }
    const read = new Set(step.commands.flatMap(buffersOf).filter(({ kind }) => kind === 'input'));
    for (const { index: at } of read) check(step.inputs[at]!, step.label);
    const starts = step.node.op?.parts?.(step.inputs, step.node.params) ?? [];
    const [whole] = step.outputs;
    if (starts.length === 0)
      for (const tensor of step.outputs)
        write(tensor, (at) => (at < sizeOf(tensor.shape) ? wordOf(tensor, at) : 'junk'));
    for (const command of starts.length > 0 ? step.commands : []) {
      const { words, first } = locate(whole!)!;
      if ('source' in command) {
        for (let at = 0; at < sizeOf(whole!.shape); at++) if (wordOf(whole!, at) === 'zero') words[first + at] = 'zero';
      } else {
        const from = step.inputs[command.from.index]!;
        for (let at = 0; at < command.bytes / 4; at++)
          words[first + command.toOffset / 4 + at] = wordOf(from, command.fromOffset / 4 + at);
      }
    }
    for (const tensor of step.outputs) check(tensor, `${step.label}, when written`);
  }
  for (const tensor of [...plan.results, ...plan.graph.assignments.map(({ value }) => value)]) check(tensor, 'the end');
}

const buffersOf = (command: PlanStep['commands'][number]): readonly BufferRef[] =>
  'source' in command ? command.buffers : [command.from, command.to];

/** An output that only one command names is written; whatever else is not an output may be read. */
function checkBuffers(plan: Plan, step: PlanStep, index: number): void {
  const all = step.commands.flatMap(buffersOf);
  const uses = ({ kind, index: at }: BufferRef) =>
    all.filter((other) => other.kind === kind && other.index === at).length;
  for (const command of step.commands) {
    const buffers = buffersOf(command).map((ref) => {
      if (ref.kind === 'scratch') return { slot: plan.scratchPlace(index, ref.index).slot, written: null };
      const place = plan.place((ref.kind === 'input' ? step.inputs : step.outputs)[ref.index]!);
      const written = ref.kind === 'input' ? false : uses(ref) === 1 ? true : null;
      return { slot: 'slot' in place ? place.slot : null, written };
    });
    for (const [i, a] of buffers.entries())
      for (const b of buffers.slice(i + 1))
        if (a.slot !== null && a.slot === b.slot && (a.written === null || a.written !== b.written))
          expect.unreachable(`${step.label} may read and write slot ${a.slot} in one command`);
  }
}
