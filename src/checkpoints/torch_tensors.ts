/** Reading the tensors that a pickle of PyTorch describes, whatever holds their storages. */
import type { RandomAccessFile } from '../platform/files.js';
import { showShape } from '../tensor/types.js';
import { PickleError } from './pickle_bytes.js';
import { requireEntry, tensorOf } from './reading.js';
import { gatherStrided, isRowMajor } from './strided.js';
import { CheckpointFormatError, type TensorEntry, type TensorFile } from './tensor_file.js';
import type { TorchStorage } from './torch_objects.js';
import type { TorchState } from './torch_state.js';

/** Reads `length` bytes of a storage from `offset`. */
export type StorageReader = (storage: TorchStorage, offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>;

/** The file with these tensors. */
export function torchTensors(
  file: RandomAccessFile,
  { tensors, metadata }: TorchState,
  readStorage: StorageReader,
): TensorFile {
  const entries = new Map<string, TensorEntry>();
  for (const [name, tensor] of tensors) {
    const { type, storedAs, shape, bytes } = tensor;
    entries.set(name, { name, dtype: type.dtype, storedAs, shape, bytes });
  }
  return {
    format: 'pytorch',
    file: file.name,
    entries,
    metadata,
    read: async (name) => {
      const { dtype, shape, bytes } = requireEntry(file.name, entries, name);
      // An expanded tensor repeats its elements, so that a small file could ask for any amount of memory.
      if (bytes > file.size)
        throw new CheckpointFormatError(
          file.name,
          { tensor: name },
          `${showShape(shape)} takes ${bytes} bytes, more than the whole file: it repeats elements; save its clone()`,
        );
      const { storage, type, offset, extent, strides } = tensors.get(name)!;
      const stored = await readStorage(storage, storage.begin + offset * type.bytes, extent * type.bytes);
      const dense = isRowMajor(shape, strides) ? stored : gatherStrided(stored, shape, strides, type.bytes);
      return tensorOf(dtype, shape, dense);
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

/** @param start byte of the file at which the pickle begins; null where it is compressed */
export function withFormatErrors<R>(file: string, start: number | null, body: () => R): R {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    const position = error.position ?? 0;
    const offset = (start ?? 0) + position;
    const where = start === null && position > 0 ? ` at byte ${position} of it` : '';
    throw new CheckpointFormatError(file, { offset }, `its pickle ${error.message}${where}`, { cause: error });
  }
}
