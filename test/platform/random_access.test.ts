import { describe, expect, it } from 'vitest';
import { blobFile, FileError, memoryFile, type RandomAccessFile } from '../../src/platform/files.js';

const bytes = Uint8Array.of(10, 11, 12, 13, 14);
const other = Uint8Array.of(20, 21);
const bits = (data: Uint8Array<ArrayBuffer>) => new Blob([data]);

describe.each<[string, () => RandomAccessFile]>([
  ['memoryFile', () => memoryFile(bytes, 'a.bin', new Map([['b.bin', other]]))],
  ['blobFile', () => blobFile(bits(bytes), 'a.bin', new Map([['b.bin', bits(other)]]))],
])('%s', (_, open) => {
  it('reads ranges into buffers of their own', async () => {
    await using file = open();
    expect(file).toMatchObject({ name: 'a.bin', size: 5 });
    const range = await file.read(1, 3);
    expect(range).toEqual(Uint8Array.of(11, 12, 13));
    expect(range.buffer.byteLength).toBe(3);
    range.fill(0);
    expect(await file.read(0, 5)).toEqual(bytes);
    expect(await file.read(5, 0)).toHaveLength(0);
  });

  it.each([
    [3, 3],
    [6, 0],
    [-1, 2],
    [0, -1],
    [0.5, 1],
    [0, Number.NaN],
    [2 ** 53, 1],
  ])('refuses %d, %d', async (offset, length) => {
    await using file = open();
    const error = await file.read(offset, length).catch((caught) => caught);
    expect(error).toBeInstanceOf(FileError);
    expect(error).toMatchObject({ path: 'a.bin', missing: false });
    expect(error.message).toContain(`a.bin: cannot be read (${length} bytes from ${offset} asked for, it has 5)`);
  });

  it('opens files beside it', async () => {
    await using file = open();
    await using sibling = await file.sibling('b.bin');
    expect(sibling.name).toBe('b.bin');
    expect(await sibling.read(0, 2)).toEqual(other);
    await expect(file.sibling('c.bin')).rejects.toMatchObject({ name: 'FileError', path: 'c.bin', missing: true });
  });
});
