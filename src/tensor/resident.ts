/** Values that stay on the GPU between steps: parameters, optimiser state, running statistics, memory banks. */
import type { ResidentLike } from './graph.js';
import { BYTES_PER_ELEMENT, type DType, type Shape, sizeOf, type TensorType } from './types.js';

/** A range of a GPU buffer with a type and a name. Dispose of the one that owns the buffer to free it. */
export class Resident implements ResidentLike, Disposable {
  readonly isResident = true;
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly buffer: GPUBuffer;
  /** Byte offset in `buffer`, a multiple of 256. */
  readonly offset: number;
  readonly #owner: boolean;

  constructor(name: string, type: TensorType, buffer: GPUBuffer, offset = 0, owner = true) {
    this.name = name;
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.buffer = buffer;
    this.offset = offset;
    this.#owner = owner;
  }

  get bytes(): number {
    return sizeOf(this.shape) * BYTES_PER_ELEMENT;
  }

  [Symbol.dispose](): void {
    if (this.#owner) this.buffer.destroy();
  }
}

/** Elements between the starts of neighbours in a flat buffer are a multiple of this (256 bytes). */
export const FLAT_ALIGNMENT = 64;

export interface FlatLayout {
  /** Start of each entry, in elements. */
  readonly offsets: readonly number[];
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
  return { offsets, length };
}

/** Several named residents in one buffer, so that an optimiser step is a few dispatches over all of them. */
export class FlatGroup implements Disposable {
  readonly flat: Resident;
  readonly layout: FlatLayout;
  readonly views: readonly Resident[];

  constructor(flat: Resident, layout: FlatLayout, entries: readonly { name: string; shape: Shape }[]) {
    this.flat = flat;
    this.layout = layout;
    this.views = entries.map(
      ({ name, shape }, index) =>
        new Resident(
          name,
          { shape, dtype: flat.dtype },
          flat.buffer,
          layout.offsets[index]! * BYTES_PER_ELEMENT,
          false,
        ),
    );
  }

  [Symbol.dispose](): void {
    this.flat[Symbol.dispose]();
  }
}
