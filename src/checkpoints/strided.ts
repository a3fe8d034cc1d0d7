/** Tensors that lie in a file with strides of their own: transposed, in Fortran's order, sliced. */
import { type Shape, stridesOf } from '../tensor/types.js';

/** Whether elements follow one another in row-major order. */
export function isRowMajor(shape: Shape, strides: readonly number[]): boolean {
  const dense = stridesOf(shape);
  return shape.includes(0) || shape.every((size, axis) => size === 1 || strides[axis] === dense[axis]);
}

/** Strides of Fortran's order, in elements: `[2,3,4]` gives `[1,2,6]`. */
export function columnMajorStrides(shape: Shape): number[] {
  return stridesOf([...shape].reverse()).reverse();
}

/**
 * Copies a strided tensor into row-major order.
 *
 * @param bytes from its first element to its last
 * @param strides in elements
 * @param elementBytes 1, 2, 4 or 8
 */
export function gatherStrided(
  bytes: Uint8Array<ArrayBuffer>,
  shape: Shape,
  strides: readonly number[],
  elementBytes: number,
): Uint8Array<ArrayBuffer> {
  // Copied as integers, for a float's NaN need not keep its bits; 64-bit elements as two words.
  const Words = elementBytes === 1 ? Uint8Array : elementBytes === 2 ? Uint16Array : Uint32Array;
  const width = elementBytes / Words.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % Words.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const from = new Words(aligned.buffer, aligned.byteOffset, aligned.byteLength / Words.BYTES_PER_ELEMENT);
  // Axes of one element have strides that mean nothing.
  const axes = shape.map((size, axis) => ({ size, stride: strides[axis]! * width })).filter(({ size }) => size !== 1);
  const inner = axes.pop() ?? { size: 1, stride: 0 };
  const rows = axes.reduce((count, { size }) => count * size, 1);
  const to = new Words(rows * inner.size * width);
  const index = new Array<number>(axes.length).fill(0);
  let start = 0;
  let write = 0;
  for (let row = 0; row < rows; row++) {
    for (let i = 0, read = start; i < inner.size; i++, read += inner.stride)
      for (let word = 0; word < width; word++) to[write++] = from[read + word]!;
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      const { size, stride } = axes[axis]!;
      start += stride;
      if (++index[axis]! < size) break;
      index[axis] = 0;
      start -= size * stride;
    }
  }
  return new Uint8Array(to.buffer);
}
