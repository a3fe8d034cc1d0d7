/** The machine that a pickle is a program for: a stack with marks, and a memo of values to come back to. */
import { PickleBytes, PickleError } from './pickle_bytes.js';

/** What a global does when it is called: makes a value of its arguments, and may throw PickleError. */
export type PickleCall = (args: readonly unknown[]) => unknown;

/** A Python class or function that a pickle named, `torch._utils._rebuild_tensor_v2`. */
export class PickleGlobal {
  readonly name: string;
  /** Null for what may be named but not called. */
  readonly call: PickleCall | null;

  constructor(name: string, call: PickleCall | null) {
    this.name = name;
    this.call = call;
  }
}

/** An object that takes the state which a pickle gives it after it was made. */
export abstract class PickleStateful {
  abstract setState(state: unknown): void;
}

export interface PickleHost {
  /** All that may be named, by module and name. */
  readonly globals: ReadonlyMap<string, PickleCall | null>;
  /** What a persistent id stands for. */
  persistent(id: unknown): unknown;
}

export class PickleMachine {
  readonly input: PickleBytes;
  readonly memo = new Map<number, unknown>();
  readonly #host: PickleHost;
  readonly #stack: unknown[] = [];
  /** Heights of the stack that `popMark` goes back to. */
  readonly #marks: number[] = [];

  constructor(bytes: Uint8Array<ArrayBuffer>, start: number, host: PickleHost) {
    this.input = new PickleBytes(bytes, start);
    this.#host = host;
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  /** As many values, the top one last; the values below a mark are out of reach. */
  popSome(count: number): unknown[] {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length - floor < count) throw new PickleError('takes more from its stack than is there');
    return this.#stack.splice(this.#stack.length - count);
  }

  pop(): unknown {
    return this.popSome(1)[0];
  }

  /** What was pushed since the last mark. */
  popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw new PickleError('goes back to a mark that it did not make');
    return this.#stack.splice(mark);
  }

  top(): unknown {
    if (this.#stack.length === 0) throw new PickleError('looks at its stack while that is empty');
    return this.#stack[this.#stack.length - 1];
  }

  keep(index: number): void {
    this.memo.set(index, this.top());
  }

  recall(index: number): unknown {
    if (!this.memo.has(index)) throw new PickleError(`recalls value ${index}, which it did not keep`);
    return this.memo.get(index);
  }

  append(items: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw new PickleError('appends to what is no list');
    for (const item of items) list.push(item);
  }

  addItems(items: readonly unknown[]): void {
    const set = this.top();
    if (!(set instanceof Set)) throw new PickleError('adds items to what is no set');
    for (const item of items) set.add(item);
  }

  setItems(items: readonly unknown[]): void {
    const map = this.top();
    if (!(map instanceof Map)) throw new PickleError('sets items of what is no dictionary');
    setItems(map, items);
  }

  /** Attributes of containers (`_metadata` of a state dict) are left out. */
  setState(state: unknown): void {
    const object = this.top();
    if (object instanceof PickleStateful) object.setState(state);
    else if (typeof object !== 'object' || object === null)
      throw new PickleError('sets the state of what is no object');
  }

  global(module: unknown, name: unknown): PickleGlobal {
    if (typeof module !== 'string' || typeof name !== 'string') throw new PickleError('names a global without a text');
    const full = `${module}.${name}`;
    const call = this.#host.globals.get(full);
    if (call === undefined)
      throw new PickleError(
        `names ${full}, which is no part of a state dict and is not run: save model.state_dict(), not the model`,
      );
    return new PickleGlobal(full, call);
  }

  call(callee: unknown, args: unknown): unknown {
    if (!(callee instanceof PickleGlobal)) throw new PickleError('calls what is no global');
    if (!callee.call) throw new PickleError(`calls ${callee.name}, which is not run`);
    if (!Array.isArray(args)) throw new PickleError(`calls ${callee.name} without a tuple of arguments`);
    return callee.call(args);
  }

  persistent(id: unknown): unknown {
    return this.#host.persistent(id);
  }
}

export function setItems(map: Map<unknown, unknown>, items: readonly unknown[]): Map<unknown, unknown> {
  if (items.length % 2 !== 0) throw new PickleError('gives a dictionary a key without a value');
  for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
  return map;
}
