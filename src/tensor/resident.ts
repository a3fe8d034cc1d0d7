/** Values that stay on the GPU between steps: parameters, optimiser state, running statistics, memory banks. */
import type { ResidentLike } from './graph.js';
import { BYTES_PER_ELEMENT, type DType, type Shape, showShape, sizeOf, type TensorType } from './types.js';

interface Memory {
  readonly buffer: GPUBuffer;
  /** In bytes, a multiple of 256. */
  readonly offset: number;
  readonly owner: boolean;
}

/**
 * A named value on the GPU. A model declares its residents before there is a device, so that it can be traced and
 * planned without one; `Runtime.resident` and `Runtime.flatGroup` give them memory.
 */
export class Resident implements ResidentLike, Disposable {
  readonly isResident = true;
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  #memory: Memory | null = null;

  constructor(name: string, type: TensorType) {
    this.name = name;
    this.shape = type.shape;
    this.dtype = type.dtype;
  }

  /** Puts the value into a range of a buffer. Only the owner of a buffer frees it. */
  attach(buffer: GPUBuffer, offset = 0, owner = true): void {
    if (this.#memory) throw new Error(`${this.name} has memory already`);
    this.#memory = { buffer, offset, owner };
  }

  get hasMemory(): boolean {
    return this.#memory !== null;
  }

  get buffer(): GPUBuffer {
    return this.#attached().buffer;
  }

  get offset(): number {
    return this.#attached().offset;
  }

  get bytes(): number {
    return sizeOf(this.shape) * BYTES_PER_ELEMENT[this.dtype];
  }

  #attached(): Memory {
    if (!this.#memory)
      throw new Error(
        `${this.name} ${this.dtype}${showShape(this.shape)} has no memory yet: allocate it on a runtime first`,
      );
    return this.#memory;
  }

  [Symbol.dispose](): void {
    if (this.#memory?.owner) this.#memory.buffer.destroy();
    this.#memory = null;
  }
}

/** Elements between the starts of neighbours in a flat buffer are a multiple of this: 256 bytes, if they are halves. */
export const FLAT_ALIGNMENT = 128;

export interface FlatLayout {
  /** Start of each entry, in elements. */
  readonly offsets: readonly number[];
  /** Number of elements of each entry. */
  readonly sizes: readonly number[];
  /** Length of the flat buffer, in elements. */
  readonly length: number;
}

/** Where entries of these sizes (in elements) lie in one flat buffer. */
export function flatLayout(sizes: readonly number[]): FlatLayout {
  const offsets: number[] = [];
  let length = 0;
  for (const size of sizes) {
    offsets.push(length);
    length += Math.ceil(size / FLAT_ALIGNMENT) * FLAT_ALIGNMENT;
  }
  return { offsets, sizes, length };
}

/** Several residents in one buffer, so that an update of all of them is a few dispatches. */
export class FlatGroup implements Disposable {
  readonly flat: Resident;
  readonly layout: FlatLayout;
  readonly entries: readonly Resident[];

  constructor(name: string, entries: readonly Resident[]) {
    this.layout = flatLayout(entries.map(({ shape }) => sizeOf(shape)));
    this.flat = new Resident(name, { shape: [this.layout.length], dtype: 'f32' });
    this.entries = entries;
    for (const { name: entry, dtype } of entries)
      if (dtype !== 'f32') throw new Error(`${name}: ${entry} is ${dtype}; a flat group holds f32`);
  }

  /** Puts the group and all its entries into `buffer`. */
  attach(buffer: GPUBuffer): void {
    this.flat.attach(buffer);
    for (const [index, entry] of this.entries.entries())
      entry.attach(buffer, this.layout.offsets[index]! * BYTES_PER_ELEMENT.f32, false);
  }

  [Symbol.dispose](): void {
    this.flat[Symbol.dispose]();
    for (const entry of this.entries) entry[Symbol.dispose]();
  }
}
