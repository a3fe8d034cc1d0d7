/** Writes what `torch.save` writes, so that tests can make state dicts of any size. */
import type { DType, StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { stridesOf } from '../../src/tensor/types.js';
import { storedZip } from './zip_writer.js';

const STORAGES: Partial<Record<DType, string>> = {
  F64: 'Double',
  F32: 'Float',
  F16: 'Half',
  BF16: 'BFloat16',
  I64: 'Long',
  I32: 'Int',
  I16: 'Short',
  I8: 'Char',
  U8: 'Byte',
  BOOL: 'Bool',
};

/** A `.pth` file with a state dict of these tensors, each with a storage of its own. */
export function torchFile(tensors: ReadonlyMap<string, StoredTensor>): Uint8Array<ArrayBuffer> {
  const names = [...tensors.keys()];
  return storedZip(
    new Map([
      ['archive/data.pkl', stateDictPickle(tensors, (name) => `${names.indexOf(name)}`)],
      ['archive/byteorder', new TextEncoder().encode('little')],
      ...[...tensors.values()].map(({ data }, i): [string, Uint8Array] => [
        `archive/data/${i}`,
        new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      ]),
      ['archive/version', new TextEncoder().encode('3\n')],
    ]),
  );
}

/** The same as PyTorch before 1.6 wrote it. */
export function legacyTorchFile(tensors: ReadonlyMap<string, StoredTensor>): Uint8Array<ArrayBuffer> {
  const names = [...tensors.keys()];
  const key = (name: string) => `${90_000 + names.indexOf(name)}`;
  const machine = [0x7d, ...MARK, ...text('little_endian'), 0x88, SETITEMS];
  const pieces = [
    pickle([0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]),
    pickle(integer(1001)),
    pickle(machine),
    stateDictPickle(tensors, key, [0x4e]),
    pickle([0x5d, ...MARK, ...names.flatMap((name) => text(key(name))), 0x65]),
    ...[...tensors.values()].flatMap(({ data }) => [
      new Uint8Array(BigInt64Array.of(BigInt(data.length)).buffer),
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    ]),
  ];
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

const MARK = [0x28];
const TUPLE = 0x74;
const REDUCE = 0x52;
const SETITEMS = 0x75;
const ORDERED_DICT = [...global('collections', 'OrderedDict'), 0x29, REDUCE];

/** @param view what stands behind a storage's size: nothing, or in older files None */
function stateDictPickle(
  tensors: ReadonlyMap<string, StoredTensor>,
  key: (name: string) => string,
  view: readonly number[] = [],
): Uint8Array {
  const items = [...tensors].flatMap(([name, { dtype, shape, data }]) => {
    const storage = STORAGES[dtype];
    if (!storage) throw new Error(`${name}: PyTorch has no storage of ${dtype}`);
    return [
      ...text(name),
      ...global('torch._utils', '_rebuild_tensor_v2'),
      ...MARK,
      ...[...MARK, ...text('storage'), ...global('torch', `${storage}Storage`), ...text(key(name)), ...text('cpu')],
      ...[...integer(data.length), ...view, TUPLE, 0x51],
      ...[...integer(0), ...tuple(shape), ...tuple(stridesOf(shape)), 0x89, ...ORDERED_DICT, TUPLE, REDUCE],
    ];
  });
  return pickle([...ORDERED_DICT, ...MARK, ...items, SETITEMS]);
}

/** A pickle of protocol 2. */
export function pickle(opcodes: readonly number[]): Uint8Array {
  return Uint8Array.from([0x80, 2, ...opcodes, 0x2e]);
}

export function global(module: string, name: string): number[] {
  return [0x63, ...new TextEncoder().encode(`${module}\n${name}\n`)];
}

export function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [0x58, ...littleEndian(bytes.length, 4), ...bytes];
}

/** Below 2^48, not negative. */
export function integer(value: number): number[] {
  return [0x8a, 7, ...littleEndian(value, 7)];
}

export function tuple(values: readonly number[]): number[] {
  return [...MARK, ...values.flatMap(integer), TUPLE];
}

function littleEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);
}
