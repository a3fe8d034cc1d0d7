/**
 * TensorFlow V1 checkpoints, one file each: a table whose first value lists the tensors and their slices, and whose
 * other values are the slices (tensorflow/core/util/saved_tensor_slice.proto). TF-Slim's `resnet_v1_101.ckpt` is one.
 */
import { sizeOf } from '../tensor/types.js';
import { bytesField, decoding, integerField, readMessage, stringField } from './protobuf.js';
import { requireEntry, tensorOf } from './reading.js';
import type { Table, TableValue } from './sstable.js';
import { ARRAYS, CheckpointFormatError, type DType, type TensorEntry, type TensorFile } from './tensor_file.js';
import { type Box, boxesOf, checkDisjoint, placePart, readSlice, sliceKey } from './tensorflow_slices.js';
import { checkVersions, readShape, tensorFlowType } from './tensorflow_types.js';
import { readTensorProto } from './tensorflow_values.js';

interface Entry extends TensorEntry {
  readonly parts: readonly Part[];
}

/** A slice: its key in the table, and where it lies in the tensor. */
interface Part {
  readonly key: string;
  readonly box: Box;
}

/** Whether the value of a table's first key is a V1 checkpoint's list of tensors: a message in field 1. */
export function isTensorFlowV1({ bytes }: TableValue): boolean {
  return bytes[0] === 0x0a;
}

/**
 * The tensors of a V1 checkpoint. A tensor's own blocks are read when it is asked for.
 *
 * @param list the value of the table's first key
 * @throws CheckpointFormatError where that is damaged
 */
export function tensorFlowV1(table: Table, list: TableValue): TensorFile {
  const file = table.file.name;
  const entries = decoding({ file, offset: list.offset }, 'the list of tensors', () => readList(file, list));

  const readPart = async (name: string, dtype: DType, { key, box }: Part) => {
    const value = await table.get(key);
    if (!value) throw new CheckpointFormatError(file, { tensor: name }, 'is listed, but a slice of it is missing');
    return decoding({ file, tensor: name, offset: value.offset }, 'a slice', () =>
      readSavedSlice(value.bytes, name, dtype, sizeOf(box.lengths)),
    );
  };
  return {
    format: 'tensorflow-v1',
    file,
    entries,
    metadata: {},
    read: async (name) => {
      const { dtype, shape, bytes, parts } = requireEntry(file, entries, name);
      if (parts.length === 1) return tensorOf(dtype, shape, await readPart(name, dtype, parts[0]!));
      // Read before memory is taken for the whole: only then is it known that the file has that many elements.
      const read: Uint8Array[] = [];
      for (const part of parts) read.push(await readPart(name, dtype, part));
      return decoding({ file, tensor: name }, 'the list of its slices', () => {
        checkDisjoint(
          parts.map(({ box }) => box),
          shape,
        );
        const whole = new Uint8Array(bytes);
        for (const [place, { box }] of parts.entries())
          placePart(read[place]!, box, whole, shape, ARRAYS[dtype].BYTES_PER_ELEMENT);
        return tensorOf(dtype, shape, whole);
      });
    },
    [Symbol.asyncDispose]: () => table.file[Symbol.asyncDispose](),
  };
}

/** Reads `SavedTensorSlices.meta`. */
function readList(file: string, { bytes, offset }: TableValue): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>();
  const add = (message: Uint8Array) => {
    const { name, ...listed } = readSliceMeta(message);
    const entry = decoding({ file, tensor: name, offset }, 'its entry', () => entryOf(name, listed));
    if (entries.has(name)) throw new Error(`it has two tensors named ${name}`);
    entries.set(name, entry);
  };
  readMessage(bytes, {
    1: bytesField((list) => readMessage(list, { 1: bytesField(add), 2: bytesField(checkVersions) })),
  });
  return entries;
}

interface Listed {
  readonly shape: Uint8Array;
  readonly type: number;
  readonly slices: readonly Uint8Array[];
}

/** Reads a `SavedSliceMeta`. */
function readSliceMeta(bytes: Uint8Array): Listed & { readonly name: string } {
  let name = '';
  let shape: Uint8Array = new Uint8Array();
  let type = 0;
  const slices: Uint8Array[] = [];
  readMessage(bytes, {
    1: stringField((value) => {
      name = value;
    }),
    2: bytesField((value) => {
      shape = value;
    }),
    3: integerField((value) => {
      type = value;
    }),
    4: bytesField((value) => {
      slices.push(value);
    }),
  });
  return { name, shape, type, slices };
}

function entryOf(name: string, listed: Listed): Entry {
  const shape = readShape(listed.shape);
  const slices = listed.slices.map(readSlice);
  const parts = boxesOf(slices, shape).map((box, place) => ({ key: sliceKey(name, slices[place]!), box }));
  const type = tensorFlowType(listed.type);
  return { name, dtype: type.dtype, storedAs: type.name, shape, bytes: sizeOf(shape) * type.bytes, parts };
}

/** Reads the elements of a `SavedTensorSlices.data`. */
function readSavedSlice(bytes: Uint8Array, name: string, dtype: DType, elements: number): Uint8Array<ArrayBuffer> {
  let of = '';
  let proto: Uint8Array = new Uint8Array();
  const slice = {
    1: stringField((value) => {
      of = value;
    }),
    3: bytesField((value) => {
      proto = value;
    }),
  };
  readMessage(bytes, { 2: bytesField((value) => readMessage(value, slice)) });
  if (of !== name) throw new Error(`it is one of ${of}`);
  return readTensorProto(proto, dtype, elements);
}
