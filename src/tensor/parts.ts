/**
 * Values that are written at once where another is to hold them (`Op.parts`), so that nothing need be copied there: gradients in
 * the flat array that the optimiser reads, or pieces of a concatenation.
 *
 * A buffer may not be both read and written by one dispatch, whatever the ranges. So what one value holds, directly or by way
 * of others, must be such that no step reads some of it and writes more of it.
 */
import type { Tensor } from './graph.js';
import { type BufferRef, type Command, input, output } from './op.js';
import type { PlanStep } from './plan.js';
import { BINDING_ALIGNMENT, bytesOf, offsetOf, rootOf } from './storage.js';
import { BYTES_PER_ELEMENT, sizeOf } from './types.js';

/** Where a part lies. */
export interface Holder {
  readonly whole: Tensor;
  /** Of the part's first byte in the whole, which may be a part of another itself. */
  readonly offset: number;
}

/** Parts by what holds them. Each is an output of a step. */
export type Holders = ReadonlyMap<Tensor, Holder>;

const buffersOf = (command: Command): readonly BufferRef[] =>
  'source' in command ? command.buffers : [command.from, command.to];

const names = (command: Command, { kind, index }: BufferRef): boolean =>
  buffersOf(command).some((buffer) => buffer.kind === kind && buffer.index === index);

/** Whether these commands do nothing with an input but put it in its place. */
function onlyPlace(commands: readonly Command[], part: BufferRef): boolean {
  const isPlain = (buffer: BufferRef) =>
    buffer.kind === part.kind ? buffer.index === part.index : buffer.kind === 'output' && buffer.index === 0;
  return commands.every((command) => !names(command, part) || buffersOf(command).every(isPlain));
}

/** Which steps write and read the values, parts in their places left out, and what is held by what. */
class Placing {
  readonly holders = new Map<Tensor, Holder>();
  readonly #writers = new Map<Tensor, PlanStep>();
  readonly #readers = new Map<Tensor, PlanStep[]>();
  /** All that lies in a value that no other holds, and the value itself. */
  readonly #held = new Map<Tensor, Tensor[]>();

  constructor(steps: readonly PlanStep[]) {
    for (const step of steps) {
      for (const tensor of step.outputs) {
        this.#writers.set(tensor, step);
        this.#readers.set(tensor, []);
        this.#held.set(tensor, [tensor]);
      }
      for (const tensor of step.inputs) this.#readers.get(rootOf(tensor))?.push(step);
    }
  }

  /** Puts the value into the output of a step that reads it, if nothing speaks against it. */
  place(part: Tensor, step: PlanStep, offset: number): void {
    const whole = step.outputs[0]!;
    const parts = this.#held.get(part);
    const others = this.#held.get(whole);
    if (!parts || !others) return;
    const readers = this.#readers.get(part)!;
    // Read by another input as well: that one would be copied within a buffer.
    if (readers.indexOf(step) !== readers.lastIndexOf(step)) return;
    this.#readers.set(
      part,
      readers.filter((reader) => reader !== step),
    );
    if (this.#areApart(parts, others)) {
      this.holders.set(part, { whole, offset });
      this.#held.delete(part);
      this.#held.set(whole, [...others, ...parts]);
    } else this.#readers.set(part, readers);
  }

  /** Whether no step reads some of these values and writes others. */
  #areApart(some: readonly Tensor[], others: readonly Tensor[]): boolean {
    return this.#areReadApart(some, others) && this.#areReadApart(others, some);
  }

  #areReadApart(read: readonly Tensor[], written: readonly Tensor[]): boolean {
    const writers = new Set(written.map((tensor) => this.#writers.get(tensor)!));
    return read.every((tensor) => {
      if (this.#readers.get(tensor)!.some((step) => writers.has(step))) return false;
      // A step may also read what it has written itself, unless each is named but once.
      const own = this.#writers.get(tensor)!;
      return !writers.has(own) || [tensor, ...written].every((output) => isNamedOnce(own, output));
    });
  }
}

function isNamedOnce({ outputs, commands }: PlanStep, tensor: Tensor): boolean {
  const index = outputs.indexOf(tensor);
  return index < 0 || commands.filter((command) => names(command, output(index))).length === 1;
}

/**
 * Finds the parts that can be written in their places: those that a step computes and no alias makes less of, that start where
 * a buffer can be bound, are held by nothing else, and are not kept, since they would keep the whole.
 *
 * @param mayHold which values may hold parts
 */
export function partsInPlace(
  steps: readonly PlanStep[],
  kept: readonly Tensor[],
  mayHold: (whole: Tensor) => boolean = () => true,
): Holders {
  const keptRoots = new Set(kept.map(rootOf));
  const placing = new Placing(steps);
  for (const step of steps) {
    const { node, inputs, outputs, commands } = step;
    const [whole] = outputs;
    const starts = node.op?.parts?.(inputs, node.params);
    if (!starts || !mayHold(whole!)) continue;
    for (const [i, start] of starts.entries()) {
      const part = rootOf(inputs[i]!);
      const isWhole = sizeOf(part.shape) === sizeOf(inputs[i]!.shape) && offsetOf(inputs[i]!) === 0;
      const offset = start * BYTES_PER_ELEMENT[whole!.dtype];
      if (part.dtype !== whole!.dtype || !isWhole || offset % BINDING_ALIGNMENT !== 0) continue;
      if (!keptRoots.has(part) && onlyPlace(commands, input(i))) placing.place(part, step, offset);
    }
  }
  return placing.holders;
}

/** The step without what copies inputs to where they lie already. */
export function withoutPlaced(step: PlanStep, holders: Holders): PlanStep {
  const isPlaced = (tensor: Tensor) => {
    const holder = holders.get(rootOf(tensor));
    return holder !== undefined && holder.whole === step.outputs[0];
  };
  const placed = step.inputs.flatMap((tensor, i) => (isPlaced(tensor) ? [i] : []));
  if (placed.length === 0) return step;
  const commands = step.commands.filter((command) => !placed.some((i) => names(command, input(i))));
  // Neither read nor written.
  const bytes = placed.reduce((rest, i) => rest - 2 * bytesOf(step.inputs[i]!), step.bytes);
  return { ...step, commands, bytes };
}
