/** How values are stored: the bytes that they take, and what an alias is an alias of. */
import type { Tensor } from './graph.js';
import type { Operand } from './op.js';
import { BYTES_PER_ELEMENT, sizeOf } from './types.js';

/** Every buffer is rounded up to this, so that kernels may read whole 4-vectors. */
export const BUFFER_GRANULE = 16;

/** What offsets in a buffer are multiples of, so that it can be bound there. */
export const BINDING_ALIGNMENT = 256;

export const inGranules = (bytes: number): number => Math.ceil(bytes / BUFFER_GRANULE) * BUFFER_GRANULE;

/** Bytes from the first to the last of a value, and what lies between its rows. */
export function bytesOf({ shape, dtype, pitch }: Operand): number {
  const width = shape.at(-1) ?? 1;
  const rows = sizeOf(shape) / width;
  return inGranules(((rows - 1) * (pitch ?? width) + width) * BYTES_PER_ELEMENT[dtype]);
}

/** The value an alias (reshape, view) stands for, or is a part of. */
export function rootOf(tensor: Tensor): Tensor {
  let root = tensor;
  while (root.node.op?.alias) root = root.node.inputs[0]!;
  return root;
}

/** Where a value starts within the one it is an alias of, in bytes. */
export function offsetOf(tensor: Tensor): number {
  let elements = 0;
  for (let at = tensor; at.node.op?.alias; at = at.node.inputs[0]!) elements += at.node.op.alias(at.node.params);
  return elements * BYTES_PER_ELEMENT[tensor.dtype];
}

export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 3 : 1)} MiB`;
}
