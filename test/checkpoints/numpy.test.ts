/** What NumPy's own files (open.test.ts) do not show: writing, and damage. */
import { describe, expect, it } from 'vitest';
import { openNumpy } from '../../src/checkpoints/numpy.js';
import { serializeNpy } from '../../src/checkpoints/numpy_header.js';
import { CheckpointFormatError, type StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { memoryFile } from '../../src/platform/files.js';
import { checkpointGolden } from '../support/checkpoints.js';
import { countingFile } from '../support/counting_file.js';
import { storedZip } from '../support/zip_writer.js';

describe('serializeNpy', () => {
  it.each([
    ...['f8', 'f4', 'f2', 'i8', 'i4', 'i2', 'i1', 'u8', 'u4', 'u2', 'u1', 'b1'],
    ...['vector', 'scalar', 'empty'],
  ])('writes the bytes that numpy.save writes: %s', async (name) => {
    const golden = await checkpointGolden(`${name}.npy`);
    await using file = await openNumpy(golden);
    expect(serializeNpy(await file.read('tensor'))).toEqual(await golden.read(0, golden.size));
  });

  it('refuses what NumPy does not have, and what does not fit', () => {
    const data = new Uint16Array(2);
    expect(() => serializeNpy({ dtype: 'BF16', shape: [2], data })).toThrow('no element type BF16');
    expect(() => serializeNpy({ dtype: 'U16', shape: [3], data })).toThrow('2 elements do not fill [3]');
  });
});

/** A file of version 1.0 with this header, and `data` zeros behind it. */
function npy(header: string, data = 0, version = 1): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(10 + text.length + data);
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), version, 0]);
  new DataView(bytes.buffer).setUint16(8, text.length, true);
  bytes.set(text, 10);
  return bytes;
}

const header = ({ descr = "'<f4'", order = 'False', shape = '(3,)' } = {}) =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

async function failure(bytes: Uint8Array): Promise<CheckpointFormatError> {
  const error: unknown = await openNumpy(memoryFile(bytes, 'run/a.npy')).catch((caught: unknown) => caught);
  if (!(error instanceof CheckpointFormatError)) throw new Error('no CheckpointFormatError', { cause: error });
  expect(error).toMatchObject({ file: 'run/a.npy', tensor: 'tensor', offset: expect.any(Number) });
  return error;
}

describe('a header', () => {
  it.each([
    ['as Python 2 writes it', header({ shape: '(3L,)' }), 12],
    ['in another order, without the last comma', `{"shape": (3,), 'fortran_order':True,"descr":'<f4'}`, 12],
  ])('%s is read', async (_, text, data) => {
    await using file = await openNumpy(memoryFile(npy(text, data), 'a.npy'));
    expect(await file.read('tensor')).toEqual({ dtype: 'F32', shape: [3], data: new Float32Array(3) });
  });

  it.each([
    ['of no dictionary', '[1, 2]', 'is none'],
    ['of too little', "{'descr': '<f4', 'shape': (3,), }", 'is none'],
    ['of too much', header().replace('}', "'more': 1}"), 'is none'],
    ['with a sum for a shape', header({ shape: '(1+2,)' }), 'is none'],
    ['with a call', header({ descr: "__import__('os')" }), 'is none'],
    ['with a number for a shape', header({ shape: '(3)' }), 'is none'],
    ['with a negative extent', header({ shape: '(-3,)' }), 'is none'],
    ['with an endless number', header({ shape: `(${'9'.repeat(400)},)` }), 'is none'],
    ['of more than can be counted', header({ shape: '(9007199254740991, 9007199254740991)' }), 'beyond any file'],
    ['of a billion elements', header({ shape: '(1000000000,)' }), 'its elements take 4000000000 bytes, 12 are there'],
    ['of fewer elements', header({ shape: '(2,)' }), 'has 4 bytes after its elements; is it several arrays?'],
  ])('%s is refused', async (_, text, says) => {
    expect((await failure(npy(text, 12))).message).toContain(says);
  });

  it('of another version, or cut short, is refused', async () => {
    expect((await failure(npy(header(), 12, 4))).message).toContain('version 4 of the format; 1, 2 and 3 are known');
    const whole = npy(header(), 12);
    for (let kept = 0; kept < whole.length; kept++)
      expect((await failure(whole.subarray(0, kept))).message).toMatch(/truncated|does not begin with/);
  });
});

it('an archive of 8 MB is read once, and only what is asked for', async () => {
  const array = (value: number): StoredTensor => ({
    dtype: 'F32',
    shape: [500_000],
    data: new Float32Array(500_000).fill(value),
  });
  const names = ['a', 'b', 'c', 'd'];
  const bytes = storedZip(new Map(names.map((name, i) => [`${name}.npy`, serializeNpy(array(i))])));
  const { file, counts } = countingFile(memoryFile(bytes, 'a.npz'));
  await using opened = await openNumpy(file);
  expect(counts.bytes).toBeLessThan(100_000);
  for (const [i, name] of names.entries()) {
    const { dtype, shape, data } = await opened.read(name);
    expect({ dtype, shape }).toEqual({ dtype: 'F32', shape: [500_000] });
    expect(data).toHaveLength(500_000);
    expect((data as Float32Array).every((value) => value === i)).toBe(true);
  }
  expect(counts.bytes).toBeLessThan(bytes.length + 100_000);
});

it('a damaged entry of an archive is refused when it is read', async () => {
  const data = Float32Array.of(1, 2, 3);
  const bytes = storedZip(new Map([['a.npy', serializeNpy({ dtype: 'F32', shape: [3], data })]]));
  const place = new TextDecoder('latin1').decode(bytes).lastIndexOf('\0\0\x40\x40');
  bytes[place]! ^= 1;
  await using file = await openNumpy(memoryFile(bytes, 'a.npz'));
  await expect(file.read('a')).rejects.toThrow(/^a\.npz: at byte 0: zip entry a\.npy: is damaged/);
});
