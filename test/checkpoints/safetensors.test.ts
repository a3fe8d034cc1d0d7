import { describe, expect, it } from 'vitest';
import { fromHostTensor, toHostTensor } from '../../src/checkpoints/host_tensors.js';
import { openSafetensors, parseSafetensors } from '../../src/checkpoints/safetensors.js';
import { serializeSafetensors, streamSafetensors } from '../../src/checkpoints/safetensors_writer.js';
import { CheckpointFormatError, type StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { memoryFile } from '../../src/platform/files.js';
import { hostTensor } from '../../src/tensor/types.js';
import { countingFile } from '../support/counting_file.js';
import { dataAvailable, readData } from '../support/files.js';

function file(header: unknown, data = 0): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

/** The error of parsing, which is also that of opening. */
async function failure(bytes: Uint8Array<ArrayBuffer>): Promise<CheckpointFormatError> {
  const name = 'run/model.safetensors';
  const opening: unknown = await openSafetensors(memoryFile(bytes, name)).catch((error: unknown) => error);
  try {
    parseSafetensors(bytes, name);
  } catch (error) {
    if (!(error instanceof CheckpointFormatError)) throw error;
    expect(opening).toEqual(error);
    return error;
  }
  throw new Error('was accepted');
}

const tensors: [string, StoredTensor][] = [
  ['step', { dtype: 'U32', shape: [], data: Uint32Array.of(4_000_000_000) }],
  ['conv1/weights', { dtype: 'F32', shape: [2, 1, 3], data: Float32Array.of(1, -0, Number.NaN, 1e-45, 3, 4) }],
  ['bytes', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
  ['12', { dtype: 'I32', shape: [2], data: Int32Array.of(-1, 5) }],
  ['none', { dtype: 'F32', shape: [0, 4], data: new Float32Array(0) }],
  ['big', { dtype: 'I64', shape: [1], data: BigInt64Array.of(-(2n ** 62n)) }],
];

describe('round trip', () => {
  it('keeps names, types, shapes, bits and metadata', () => {
    const bytes = serializeSafetensors(tensors, { format: 'segsort', step: '12' });
    const parsed = parseSafetensors(bytes, 'a');
    expect(parsed.metadata).toEqual({ format: 'segsort', step: '12' });
    expect([...parsed.tensors].sort()).toEqual([...tensors].sort());
    const bits = (t: StoredTensor) => [...new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength)];
    for (const [name, tensor] of tensors) expect(bits(parsed.tensors.get(name)!)).toEqual(bits(tensor));
  });

  it('gives the same bytes in whatever order tensors and metadata come', () => {
    const bytes = serializeSafetensors(tensors, { a: '1', b: '2' });
    expect(serializeSafetensors([...tensors].reverse(), { b: '2', a: '1' })).toEqual(bytes);
    expect(serializeSafetensors(parseSafetensors(bytes, 'a').tensors, { b: '2', a: '1' })).toEqual(bytes);
  });

  it('aligns the data, so that it is read without a copy', () => {
    const bytes = serializeSafetensors(tensors);
    for (const { data } of parseSafetensors(bytes, 'a').tensors.values()) expect(data.buffer).toBe(bytes.buffer);
    expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0);
  });

  it('reads from the middle of a buffer, at any alignment', () => {
    const bytes = serializeSafetensors(tensors);
    for (const shift of [1, 4, 8]) {
      const shifted = new Uint8Array(bytes.length + shift + 5);
      shifted.set(bytes, shift);
      const parsed = parseSafetensors(shifted.subarray(shift, shift + bytes.length), 'a');
      expect([...parsed.tensors].sort()).toEqual([...tensors].sort());
    }
  });

  it('goes from and to tensors of the engine', () => {
    for (const tensor of [hostTensor([2], [1.5, 2]), hostTensor([1], [-3], 'i32'), hostTensor([1], [7], 'u32')])
      expect(toHostTensor(fromHostTensor(tensor), 'a', 't')).toEqual(tensor);
  });

  it('refuses to write what does not fit', () => {
    const write = (name: string, tensor: StoredTensor) => serializeSafetensors([[name, tensor]]);
    const data = new Float32Array(3);
    expect(() => write('w', { dtype: 'F32', shape: [2, 2], data })).toThrow('tensor w: Float32Array of 3 elements');
    expect(() => write('w', { dtype: 'I32', shape: [3], data })).toThrow('does not hold I32 [3]');
    expect(() => write('__metadata__', { dtype: 'F32', shape: [3], data })).toThrow('reserved');
    expect(() => serializeSafetensors([tensors[0]!, tensors[1]!, tensors[0]!])).toThrow('tensor step');
  });
});

describe('a file opened', () => {
  const bytes = serializeSafetensors(tensors, { step: '12' });
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));

  it('is read tensor by tensor, each once', async () => {
    const { file, counts } = countingFile(memoryFile(bytes, 'a.safetensors'));
    await using opened = await openSafetensors(file);
    expect(counts.bytes).toBe(8 + length);
    expect(opened).toMatchObject({ format: 'safetensors', file: 'a.safetensors', metadata: { step: '12' } });
    const entry = { name: 'conv1/weights', dtype: 'F32', storedAs: 'F32', shape: [2, 1, 3], bytes: 24 };
    expect(opened.entries.get('conv1/weights')).toMatchObject(entry);
    const read: [string, StoredTensor][] = [];
    for (const name of opened.entries.keys()) read.push([name, await opened.read(name)]);
    expect(read.sort()).toEqual([...tensors].sort());
    expect(counts.bytes).toBe(bytes.length);
  });

  it('says which tensor it does not have', async () => {
    await using opened = await openSafetensors(memoryFile(bytes, 'a.safetensors'));
    await expect(opened.read('toString')).rejects.toThrow(
      'a.safetensors: tensor toString: is not in this file, which has 6 tensors',
    );
  });
});

describe('streaming', () => {
  const heads = tensors.map(([name, { dtype, shape }]) => [name, { dtype, shape }] as const);
  const held = new Map(tensors);

  it('gives the bytes of the file, and holds one tensor at a time', async () => {
    const asked: string[] = [];
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    const read = async (name: string) => {
      // The piece before has been taken.
      expect(pieces).toHaveLength(asked.length + 1);
      asked.push(name);
      return held.get(name)!;
    };
    for await (const piece of streamSafetensors(heads, read, { a: 'b' })) pieces.push(piece);
    expect(asked).toHaveLength(tensors.length);
    expect(new Uint8Array(await new Blob(pieces).arrayBuffer())).toEqual(serializeSafetensors(tensors, { a: 'b' }));
  });

  it('refuses what does not fit its head', async () => {
    const drain = async (tensor: StoredTensor) => {
      for await (const _ of streamSafetensors([['w', { dtype: 'F32', shape: [2] }]], async () => tensor));
    };
    const data = new Float32Array(3);
    await expect(drain({ dtype: 'F32', shape: [3], data })).rejects.toThrow(
      'tensor w: F32 [3] was read, F32 [2] was announced',
    );
    await expect(drain({ dtype: 'F32', shape: [2], data })).rejects.toThrow('Float32Array of 3 elements does not hold');
  });
});

describe('conversion', () => {
  it('makes f32 of half, bfloat16 and double', () => {
    const f16 = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0x3555);
    const converted = toHostTensor({ dtype: 'F16', shape: [9], data: f16 }, 'a', 't');
    expect(converted.dtype).toBe('f32');
    expect([...converted.data]).toEqual([1, -2, 65504, 2 ** -24, -0, Infinity, -Infinity, Number.NaN, 0.333251953125]);
    const bf16 = toHostTensor({ dtype: 'BF16', shape: [3], data: Uint16Array.of(0x3f80, 0xc049, 0xff80) }, 'a', 't');
    expect([...bf16.data]).toEqual([1, -3.140625, -Infinity]);
    const f64 = toHostTensor({ dtype: 'F64', shape: [1], data: Float64Array.of(0.1) }, 'a', 't');
    expect([...f64.data]).toEqual([Math.fround(0.1)]);
  });

  it('makes i32 of other integers, where they fit', () => {
    const i64 = (value: bigint): StoredTensor => ({ dtype: 'I64', shape: [2], data: BigInt64Array.of(1n, value) });
    expect(toHostTensor(i64(-(2n ** 31n)), 'a', 't')).toEqual(hostTensor([2], [1, -(2 ** 31)], 'i32'));
    for (const value of [2n ** 31n, 2n ** 32n + 1n, -(2n ** 62n)])
      expect(() => toHostTensor(i64(value), 'a.safetensors', 't')).toThrow(
        `a.safetensors: tensor t: element 1 is ${value}, which does not fit 32 bits`,
      );
    expect([...toHostTensor({ dtype: 'I8', shape: [2], data: Int8Array.of(-3, 4) }, 'a', 't').data]).toEqual([-3, 4]);
  });
});

it('lists tensors of types that are no numbers here, and reads the others', async () => {
  const header = {
    odd: { dtype: 'F8_E4M3', shape: [3], data_offsets: [0, 3] },
    known: { dtype: 'U8', shape: [1], data_offsets: [3, 4] },
    inherited: { dtype: 'toString', shape: [2], data_offsets: [4, 5] },
  };
  const name = 'a.safetensors';
  const bytes = file(header, 5);
  await using opened = await openSafetensors(memoryFile(bytes, name));
  const listed = { name: 'odd', dtype: null, storedAs: 'F8_E4M3', shape: [3], bytes: 3 };
  expect(opened.entries.get('odd')).toEqual(listed);
  expect(opened.entries.get('inherited')).toMatchObject({ dtype: null, bytes: 1 });
  expect((await opened.read('known')).data).toEqual(Uint8Array.of(0));
  const message = `${name}: tensor odd: is stored as F8_E4M3, which cannot be read as numbers`;
  await expect(opened.read('odd')).rejects.toThrow(message);
  expect(() => parseSafetensors(bytes, name)).toThrow(message);
});

describe('a damaged file', () => {
  it('is named when truncated, wherever it ends', async () => {
    const bytes = serializeSafetensors(tensors, { a: 'b' });
    for (let kept = 0; kept < bytes.length; kept++)
      expect((await failure(bytes.slice(0, kept))).message, `${kept} bytes`).toMatch(
        new RegExp(`^run/model.safetensors: at byte ${kept}: .*truncated`),
      );
    const last = await failure(bytes.slice(0, -1));
    expect(last.tensor).toBe('bytes');
    expect(last.message).toContain('tensor bytes: truncated: its data ends at byte');
  });

  const entry = (begin: number, end: number, more = {}) => ({
    dtype: 'U8',
    shape: [4],
    data_offsets: [begin, end],
    ...more,
  });
  it.each([
    ['a header longer than any', Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 1), null, 'no safetensors file'],
    ['a header that is no JSON', file('{"a":'), null, 'no valid JSON'],
    ['a header that is no UTF-8', file('x').fill(0xff, 8), null, 'no valid JSON'],
    ['a header that is a list', file([]), null, 'no JSON object'],
    ['metadata of numbers', file({ __metadata__: { a: 1 } }), null, 'must be an object of strings'],
    ['an entry that is no object', file({ a: 3 }), 'a', 'no JSON object'],
    ['a dtype that is no text', file({ a: entry(0, 4, { dtype: 4 }) }, 4), 'a', 'dtype 4 is no name of a type'],
    ['an end before its beginning', file({ a: entry(4, 2, { dtype: 'F4' }) }, 4), 'a', 'no pair'],
    ['a negative extent', file({ a: entry(0, 4, { shape: [-4] }) }, 4), 'a', 'shape [-4] is no list of sizes'],
    ['offsets that are no pair', file({ a: entry(0, 4, { data_offsets: [4] }) }, 4), 'a', 'no pair'],
    ['data too small for its shape', file({ a: entry(0, 3) }, 3), 'a', 'U8 [4] takes 4 bytes, data_offsets give it 3'],
    [
      'overlapping data',
      file({ a: entry(0, 4), b: entry(2, 6) }, 6),
      'b',
      'begins at byte 2 of the data, inside the data before it',
    ],
    ['a gap', file({ a: entry(0, 4), b: entry(5, 9) }, 9), 'b', 'begins at byte 5 of the data, after a gap'],
    ['bytes after the end', file({ a: entry(0, 4) }, 6), null, 'has 2 bytes after the data of its last tensor'],
  ])('with %s is refused', async (_, bytes, tensor, message) => {
    const error = await failure(bytes as Uint8Array<ArrayBuffer>);
    expect(error.message).toMatch(/^run\/model\.safetensors: /);
    expect(error.message).toContain(message);
    expect(error.tensor).toBe(tensor);
  });
});

describe.skipIf(!dataAvailable)('files written by the format’s own library (skipped without ../shared/data)', () => {
  it.each(['42_B', '48_H', '49_I', '62_b', '64_d', '65_e', '66_f', '68_h', '69_i'])('dtype_%s', async (name) => {
    const path = `checkpoints/safetensors/dtype_${name}.safetensors`;
    const { tensors, metadata } = parseSafetensors(await readData(path), path);
    expect(metadata).toEqual({ test: 'a' });
    const [[key, tensor]] = [...tensors] as [[string, StoredTensor]];
    expect(key).toBe(name.slice(3));
    expect(tensor.shape).toEqual([6]);
    const overall = 'checkpoints/safetensors/overall.safetensors';
    expect(parseSafetensors(await readData(overall), overall).tensors.get(key)).toEqual(tensor);
    const values = toHostTensor(tensor, path, key).data;
    expect(values.every((value) => Number.isFinite(value))).toBe(true);
    expect(values.some((value) => value !== 0)).toBe(true);
  });
});
