/** Pickles that claim what PyTorch would never write. */
import { global, integer, pickle, text, tuple } from './torch_writer.js';
import { storedZip } from './zip_writer.js';

const MARK = 0x28;
const TUPLE = 0x74;
const REDUCE = 0x52;
const EMPTY_DICT = 0x7d;
const SETITEMS = 0x75;

/** An archive whose pickle has these opcodes, with one storage `0` of 6 floats, and `extra` entries. */
export function archive(
  opcodes: readonly number[],
  extra: Readonly<Record<string, Uint8Array>> = {},
): Uint8Array<ArrayBuffer> {
  const floats = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
  return storedZip(new Map(Object.entries({ 'a/data.pkl': pickle(opcodes), 'a/data/0': floats, ...extra })));
}

const storage = (elements: number) => [
  ...[MARK, ...text('storage'), ...global('torch', 'FloatStorage'), ...text('0'), ...text('cpu'), ...integer(elements)],
  ...[TUPLE, 0x51],
];

/** A tensor of the storage with 6 elements. */
export const tensor = (offset: number, shape: readonly number[], strides: readonly number[], elements = 6) => [
  ...[...global('torch._utils', '_rebuild_tensor_v2'), MARK, ...storage(elements)],
  ...[...integer(offset), ...tuple(shape), ...tuple(strides), 0x89, EMPTY_DICT, TUPLE, REDUCE],
];

export const dictionary = (...items: (readonly number[])[]) => [EMPTY_DICT, MARK, ...items.flat(), SETITEMS];
