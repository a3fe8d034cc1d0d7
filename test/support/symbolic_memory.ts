/** Runs a plan on words that know which value they belong to, to see whether each step finds what it reads. */
import { expect } from 'vitest';
import type { Tensor } from '../../src/tensor/graph.js';
import type { BufferRef, Part } from '../../src/tensor/op.js';
import type { Plan, PlanStep } from '../../src/tensor/plan.js';
import { bytesOf, offsetOf, rootOf } from '../../src/tensor/storage.js';
import { sizeOf, type TensorType } from '../../src/tensor/types.js';

/** What word `at` of a value must hold: of what consists of others, or is some of another, the words of these. */
function wordOf(tensor: Tensor, at: number): string {
  const root = rootOf(tensor);
  const { op, inputs, params, id } = root.node;
  const word = at + offsetOf(tensor) / 4;
  const whole = op?.partOf?.(inputs, params);
  if (whole) return wordOf(inputs[0]!, wordIn(whole, root, word));
  const parts = op?.parts?.(inputs, params) ?? [];
  if (parts.length === 0) return `${id}.${root.index}:${word}`;
  const pitch = parts[0]!.pitch ?? 0;
  const [row, column] = pitch > 0 ? [Math.floor(word / pitch), word % pitch] : [0, word];
  const i = parts.findLastIndex(({ start }) => start <= column);
  const within = column - parts[i]!.start + row * (inputs[i]!.shape.at(-1) ?? 1);
  return within < sizeOf(inputs[i]!.shape) ? wordOf(inputs[i]!, within) : 'zero';
}

/** Where in a value element `at` of one lies that is a part of it. */
export function wordIn({ start, pitch }: Part, { shape }: TensorType, at: number): number {
  if (pitch === undefined) return start + at;
  const width = shape.at(-1)!;
  return start + Math.floor(at / width) * pitch + (at % width);
}

interface Located {
  readonly words: string[];
  readonly at: (word: number) => number;
  readonly pitched: boolean;
}

/**
 * Every step writes its outputs, to the last byte of what is bound; copies copy. Commands of ops with `Op.parts` must copy an input
 * or fill gaps. Fails where a step or a result finds other words than its own, or where one dispatch
 * or copy reads and writes the same slot.
 */
export function replaySymbolically(plan: Plan): void {
  const slots = plan.slots.map((bytes) => new Array<string>(Math.ceil(bytes / 4)).fill('nothing'));
  const locate = (tensor: Tensor): Located | null => {
    const place = plan.place(tensor);
    if (!('slot' in place)) return null;
    const { slot, offset, pitch } = place;
    const part = { start: (offset + offsetOf(tensor)) / 4, pitch };
    return { words: slots[slot]!, at: (word) => wordIn(part, tensor, word), pitched: pitch !== undefined };
  };
  const check = (tensor: Tensor, reader: string) => {
    const located = locate(tensor);
    if (!located) return;
    for (let at = 0; at < sizeOf(tensor.shape); at++) {
      const found = located.words[located.at(at)];
      if (found !== wordOf(tensor, at))
        expect.unreachable(
          `${reader}: word ${at} of ${rootOf(tensor).node.op!.name} is ${found}, not ${wordOf(tensor, at)}`,
        );
    }
  };
  const write = (tensor: Tensor, word: (at: number) => string) => {
    const { words, at, pitched } = locate(tensor)!;
    const end = pitched ? sizeOf(tensor.shape) : bytesOf(tensor) / 4;
    for (let i = 0; i < end; i++) words[at(i)] = word(i);
  };
  for (const [index, step] of plan.steps.entries()) {
    checkBuffers(plan, step, index);
    for (const scratch of step.scratch.keys()) {
      const { slot, offset } = plan.scratchPlace(index, scratch);
      slots[slot]!.fill('scratch', offset / 4, (offset + step.scratch[scratch]!) / 4);
    }
    const read = new Set(step.commands.flatMap(buffersOf).filter(({ kind }) => kind === 'input'));
    for (const { index: at } of read) check(step.inputs[at]!, step.label);
    const parts = step.node.op?.parts?.(step.inputs, step.node.params) ?? [];
    const [whole] = step.outputs;
    if (parts.length === 0)
      for (const tensor of step.outputs)
        write(tensor, (at) => (at < sizeOf(tensor.shape) ? wordOf(tensor, at) : 'junk'));
    for (const command of parts.length > 0 ? step.commands : []) {
      const { words, at } = locate(whole!)!;
      if (!('source' in command)) {
        const from = step.inputs[command.from.index]!;
        for (let i = 0; i < command.bytes / 4; i++)
          words[at(command.toOffset / 4 + i)] = wordOf(from, command.fromOffset / 4 + i);
        continue;
      }
      const { index } = command.buffers.find(({ kind }) => kind === 'input')!;
      const [from, part] = [step.inputs[index]!, parts[index]];
      if (part) for (let i = 0; i < sizeOf(from.shape); i++) words[at(wordIn(part, from, i))] = wordOf(from, i);
      else for (let i = 0; i < sizeOf(whole!.shape); i++) if (wordOf(whole!, i) === 'zero') words[at(i)] = 'zero';
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
