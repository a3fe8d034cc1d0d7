/**
 * Parts of partitioned variables: which elements they are (`TensorSliceProto`), under which key a table has them, and
 * how they are put together.
 */
import { type Shape, showShape, sizeOf, stridesOf } from '../tensor/types.js';
import { bytesField, integerField, readMessage } from './protobuf.js';
import { binaryString } from './sstable.js';

/** Along one axis; all of it where `length` is null. */
export interface Extent {
  readonly start: number;
  readonly length: number | null;
}

export type Slice = readonly Extent[];

/** A slice of a given shape: for each axis, the first element and their number. */
export interface Box {
  readonly starts: readonly number[];
  readonly lengths: Shape;
}

/** Reads a `TensorSliceProto`. */
export function readSlice(bytes: Uint8Array): Slice {
  const extents: Extent[] = [];
  readMessage(bytes, {
    1: bytesField((extent) => {
      let start = 0;
      let length: number | null = null;
      const fields = {
        1: integerField((value) => {
          start = value;
        }),
        2: integerField((value) => {
          length = value;
        }),
      };
      readMessage(extent, fields);
      extents.push({ start, length });
    }),
  });
  return extents;
}

/**
 * Checks that slices can be the parts of a tensor: each lies inside, and together they have as many elements.
 *
 * @throws Error where they don't
 */
export function boxesOf(slices: readonly Slice[], shape: Shape): Box[] {
  const boxes = slices.map((slice, place) => {
    if (slice.length !== shape.length)
      throw new Error(`slice ${place} has ${slice.length} axes, the tensor ${shape.length}`);
    const starts = slice.map(({ start }) => start);
    const lengths = slice.map(({ length }, axis) => length ?? shape[axis]!);
    const inside = lengths.every(
      (length, axis) => starts[axis]! >= 0 && length >= 0 && starts[axis]! + length <= shape[axis]!,
    );
    if (!inside)
      throw new Error(`slice ${place} is ${showShape(lengths)} from ${showShape(starts)} of ${showShape(shape)}`);
    return { starts, lengths };
  });
  const elements = boxes.reduce((sum, { lengths }) => sum + sizeOf(lengths), 0);
  if (elements !== sizeOf(shape))
    throw new Error(
      `its ${slices.length} slices have ${elements} elements, its shape ${showShape(shape)} ${sizeOf(shape)}`,
    );
  return boxes;
}

/**
 * Checks that slices are the parts of a tensor: that no two overlap.
 *
 * @param boxes as `boxesOf` gives them
 * @throws Error where they do
 */
export function checkDisjoint(boxes: readonly Box[], shape: Shape): void {
  // As their sizes add up, an element that lies in two leaves another in none.
  const covered = new Uint8Array(sizeOf(shape));
  for (const box of boxes) for (const [start, length] of runs(box, shape)) covered.fill(1, start, start + length);
  const missing = covered.indexOf(0);
  if (missing >= 0) throw new Error(`its slices overlap, and leave out element ${missing}`);
}

/**
 * Copies a part to its place.
 *
 * @param part the elements of the slice, row-major
 * @param whole those of the tensor
 */
export function placePart(part: Uint8Array, box: Box, whole: Uint8Array, shape: Shape, elementBytes: number): void {
  let at = 0;
  for (const [start, length] of runs(box, shape)) {
    const end = at + length * elementBytes;
    whole.set(part.subarray(at, end), start * elementBytes);
    at = end;
  }
}

/** Ranges of elements of the tensor that a slice consists of, in the slice's own order: where each begins, and its length. */
function* runs({ starts, lengths }: Box, shape: Shape): Generator<readonly [number, number]> {
  if (lengths.includes(0)) return;
  // A run goes over the innermost axes that the slice spans in full, and what it spans of the next.
  let outer = shape.length;
  let length = 1;
  while (outer > 0) {
    outer--;
    length *= lengths[outer]!;
    if (lengths[outer] !== shape[outer]) break;
  }
  const strides = stridesOf(shape);
  const index = starts.slice(0, outer);
  const first = starts.slice(outer).reduce((sum, start, axis) => sum + start * strides[outer + axis]!, 0);
  for (;;) {
    yield [index.reduce((sum, place, axis) => sum + place * strides[axis]!, first), length];
    let axis = outer - 1;
    while (axis >= 0 && ++index[axis]! === starts[axis]! + lengths[axis]!) {
      index[axis] = starts[axis]!;
      axis--;
    }
    if (axis < 0) return;
  }
}

/**
 * The key of a part in a table, which sorts as the name and the extents do: TensorFlow's `EncodeTensorNameSlice`
 * (tensorflow/core/util/saved_tensor_slice_util.cc) of its ordered code (tensorflow/core/lib/strings/ordered_code.cc).
 */
export function sliceKey(name: string, slice: Slice): string {
  const text = binaryString(new TextEncoder().encode(name)).replace(/[\0\xff]/g, (c) =>
    c === '\0' ? '\0\xff' : '\xff\0',
  );
  const extents = slice.map(({ start, length }) => orderedSigned(start) + orderedSigned(length ?? -1));
  return `${orderedUnsigned(0)}${text}\0\x01${orderedUnsigned(slice.length)}${extents.join('')}`;
}

/** The number of its bytes, then they, the highest first. */
function orderedUnsigned(value: number): string {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return String.fromCharCode(bytes.length, ...bytes);
}

/**
 * Two's complement in n bytes of 7n - 1 bits and a sign. The leading n bits are ones that the rest of the sign's bits
 * are combined with by exclusive or: they give the length, and make longer positive numbers sort higher.
 */
function orderedSigned(value: number): string {
  const word = BigInt(value);
  let length = 1n;
  while ((word < 0n ? ~word : word) >> (7n * length - 1n)) length++;
  const header = ((1n << length) - 1n) << (7n * length);
  const code = BigInt.asUintN(Number(8n * length), word ^ header);
  const bytes: number[] = [];
  for (let place = length - 1n; place >= 0n; place--) bytes.push(Number((code >> (8n * place)) & 255n));
  return String.fromCharCode(...bytes);
}
