/**
 * Values that lie in others, so that nothing need be copied: where another is to hold them (`Op.parts`), as gradients in the flat
 * array that the optimiser reads, or the pieces of a concatenation, they are written there at once; and where they are some of
 * another (`Op.partOf`) they are read there. Either in one piece or, among the columns of others, row by row: if all that writes and
 * reads them can (`Kernel.pitched`).
 *
 * A buffer may not be both read and written by one dispatch, whatever the ranges. So what one value holds, directly or by way
 * of others, must be such that no step reads some of it and writes more of it.
 */
import type { Tensor } from './graph.js';
import { type BufferRef, type Command, input, type Operand, output } from './op.js';
import type { PlanStep } from './plan.js';
import { BINDING_ALIGNMENT, bytesOf, offsetOf, rootOf } from './storage.js';
import { BYTES_PER_ELEMENT, sizeOf } from './types.js';

/** Where a part lies. */
export interface Holder {
  readonly whole: Tensor;
  /** Of the part's first byte in the whole, which may be a part of another itself. */
  readonly offset: number;
  /** See `Part`. */
  readonly pitch?: number;
}

/** Parts by what holds them. Each is an output of a step. */
export type Holders = ReadonlyMap<Tensor, Holder>;

const buffersOf = (command: Command): readonly BufferRef[] =>
  'source' in command ? command.buffers : [command.from, command.to];

const isSame = (a: BufferRef, b: BufferRef) => a.kind === b.kind && a.index === b.index;

const names = (command: Command, ref: BufferRef): boolean => buffersOf(command).some((buffer) => isSame(buffer, ref));

/** Whether these commands do nothing with an input but put it in its place. */
const onlyPlace = (commands: readonly Command[], part: BufferRef): boolean =>
  commands.every(
    (command) =>
      !names(command, part) || buffersOf(command).every((buffer) => isSame(buffer, part) || isSame(buffer, output(0))),
  );

/** What may lie in another value, and the step that puts it there or takes it from there. */
interface Candidate {
  readonly part: Tensor;
  readonly holder: Holder;
  readonly step: PlanStep;
}

/** Inputs of steps that hold them. */
function* partsWritten(steps: readonly PlanStep[]): Generator<Candidate> {
  for (const step of steps) {
    const { node, inputs, outputs, commands } = step;
    const whole = outputs[0]!;
    for (const [i, { start, pitch }] of (node.op?.parts?.(inputs, node.params) ?? []).entries()) {
      const part = rootOf(inputs[i]!);
      const holder = { whole, offset: start * BYTES_PER_ELEMENT[whole.dtype], pitch };
      if (isAllOf(inputs[i]!, part) && onlyPlace(commands, input(i))) yield { part, holder, step };
    }
  }
}

/** Outputs that are some of what another step has computed. */
function* partsRead(steps: readonly PlanStep[]): Generator<Candidate> {
  const written = new Set(steps.flatMap(({ outputs }) => outputs));
  for (const step of steps) {
    const { node, inputs, outputs } = step;
    const found = node.op?.partOf?.(inputs, node.params);
    if (!found) continue;
    const whole = rootOf(inputs[0]!);
    const offset = offsetOf(inputs[0]!) + found.start * BYTES_PER_ELEMENT[whole.dtype];
    if (written.has(whole)) yield { part: outputs[0]!, holder: { whole, offset, pitch: found.pitch }, step };
  }
}

const isAllOf = (tensor: Tensor, root: Tensor) => sizeOf(tensor.shape) === sizeOf(root.shape) && offsetOf(tensor) === 0;

/** Whether all steps but the one that would copy the value can take it with a pitch: none of them sees rows of another length. */
const takePitch = (part: Tensor, steps: readonly PlanStep[], copies: PlanStep): boolean =>
  steps.every((step) => {
    const takes = (kind: BufferRef['kind']) => (tensor: Tensor, index: number) =>
      rootOf(tensor) !== part ||
      (isAllOf(tensor, part) &&
        tensor.shape.at(-1) === part.shape.at(-1) &&
        (step === copies || step.pitched.operands.some((operand) => isSame(operand, { kind, index }))));
    return step.inputs.every(takes('input')) && step.outputs.every(takes('output'));
  });

/** The outermost value that holds this one, and where. */
export function wholeOf(tensor: Tensor, holders: Holders): Holder {
  let [whole, offset] = [tensor, 0];
  for (let holder = holders.get(whole); holder; holder = holders.get(whole)) {
    whole = holder.whole;
    offset += holder.offset;
  }
  return { whole, offset };
}

/** The steps without those that would copy some of a value that is read there. */
export const withoutReads = (steps: readonly PlanStep[], holders: Holders): PlanStep[] =>
  steps.filter(
    ({ node, inputs, outputs }) => !node.op?.partOf || holders.get(outputs[0]!)?.whole !== rootOf(inputs[0]!),
  );

/** Which steps write and read the values, parts in their places left out, and what is held by what. */
class Placing {
  readonly holders: Map<Tensor, Holder>;
  readonly #writers = new Map<Tensor, PlanStep>();
  readonly #readers = new Map<Tensor, PlanStep[]>();
  /** All that lies in a value that no other holds, and the value itself. */
  readonly #held = new Map<Tensor, Tensor[]>();

  /** Begins with what is read in place. */
  constructor(steps: readonly PlanStep[], holders: Holders) {
    this.holders = new Map(holders);
    for (const step of withoutReads(steps, holders)) {
      for (const tensor of step.outputs) {
        this.#writers.set(tensor, step);
        this.#readers.set(tensor, []);
        this.#held.set(tensor, [tensor]);
      }
      for (const tensor of step.inputs) this.#readers.get(wholeOf(rootOf(tensor), holders).whole)?.push(step);
    }
  }

  /** Puts the value into the output of a step that reads it, if nothing speaks against it. */
  place({ part, holder, step }: Candidate): void {
    const { whole } = holder;
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
      this.holders.set(part, holder);
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
 * Finds the parts that can be written or read in their places: those that steps compute and no alias makes less of, that start where
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
  const canLie = ({ part, holder: { whole, offset, pitch }, step }: Candidate) =>
    mayHold(whole) &&
    !keptRoots.has(part) &&
    offset % BINDING_ALIGNMENT === 0 &&
    // Rows are read and written four elements at a time.
    (pitch === undefined || (pitch % 4 === 0 && takePitch(part, steps, step)));

  const read = [...partsRead(steps)].filter(canLie);
  const placing = new Placing(steps, new Map(read.map(({ part, holder }) => [part, holder])));
  for (const candidate of partsWritten(steps)) if (canLie(candidate)) placing.place(candidate);
  return placing.holders;
}

/** The steps for values that lie in others: without what copies them, and with the pitches of those that lie row by row. */
export function stepsInPlace(steps: readonly PlanStep[], holders: Holders): PlanStep[] {
  return withoutReads(steps, holders).map((step) => withPitches(withoutPlaced(step, holders), holders));
}

function withoutPlaced(step: PlanStep, holders: Holders): PlanStep {
  const placed = step.inputs.flatMap((tensor, i) =>
    holders.get(rootOf(tensor))?.whole === step.outputs[0] ? [i] : [],
  );
  if (placed.length === 0) return step;
  const commands = step.commands.filter((command) => !placed.some((i) => names(command, input(i))));
  // Neither read nor written.
  const bytes = placed.reduce((rest, i) => rest - 2 * bytesOf(step.inputs[i]!), step.bytes);
  return { ...step, commands, bytes };
}

function withPitches(step: PlanStep, holders: Holders): PlanStep {
  const operandOf = (tensor: Tensor): Operand => {
    const { shape, dtype } = tensor;
    return { shape, dtype, pitch: holders.get(rootOf(tensor))?.pitch };
  };
  const inputs = step.inputs.map(operandOf);
  const outputs = step.outputs.map(operandOf);
  const { operands, commands } = step.pitched;
  const hasPitch = ({ kind, index }: BufferRef) => (kind === 'input' ? inputs : outputs)[index]!.pitch !== undefined;
  return operands.some(hasPitch) ? { ...step, commands: commands(inputs, outputs) } : step;
}
