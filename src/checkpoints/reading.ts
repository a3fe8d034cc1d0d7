/** What reading has in common, whatever the format. */
import { type Shape, sizeOf } from '../tensor/types.js';
import { ARRAYS, CheckpointFormatError, type DType, type StoredTensor, type TensorEntry } from './tensor_file.js';

/**
 * A tensor of bytes as they lie in a file, little-endian. A view of them, unless they are not aligned to its elements.
 *
 * @param bytes as many as shape and dtype take
 */
export function tensorOf(dtype: DType, shape: Shape, bytes: Uint8Array<ArrayBuffer>): StoredTensor {
  const TypedArray = ARRAYS[dtype];
  const aligned = bytes.byteOffset % TypedArray.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return { dtype, shape, data: new TypedArray(aligned.buffer, aligned.byteOffset, sizeOf(shape)) };
}

/**
 * The entry of that name.
 *
 * @throws CheckpointFormatError where there is none, or it cannot be read as numbers
 */
export function requireEntry<E extends TensorEntry>(
  file: string,
  entries: ReadonlyMap<string, E>,
  name: string,
): E & { readonly dtype: DType } {
  const entry = entries.get(name);
  const fail = (message: string): never => {
    throw new CheckpointFormatError(file, { tensor: name }, message);
  };
  if (!entry) return fail(`is not in this file, which has ${entries.size} tensors`);
  const { dtype } = entry;
  if (dtype === null) return fail(`is stored as ${entry.storedAs}, which cannot be read as numbers`);
  return { ...entry, dtype };
}

/** Whether a value that a file gives is a size, a count or a place in bytes. */
export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
