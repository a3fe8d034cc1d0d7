import { describe, expect, it } from 'vitest';
import { openNumpy } from '../../src/checkpoints/numpy.js';
import { openTensorFile } from '../../src/checkpoints/open.js';
import { serializeSafetensors } from '../../src/checkpoints/safetensors_writer.js';
import { CheckpointFormatError } from '../../src/checkpoints/tensor_file.js';
import { memoryFile } from '../../src/platform/files.js';
import { checkpointGolden, contentsOf, expectedCheckpoints } from '../support/checkpoints.js';
import { dataAvailable, readData } from '../support/files.js';
import { storedZip } from '../support/zip_writer.js';

const text = (value: string) => new TextEncoder().encode(value);
const open = (bytes: Uint8Array, name = 'run/file') => openTensorFile(memoryFile(bytes, name));

describe('every file by torch.save and numpy.save', () => {
  for (const [name, expected] of Object.entries(expectedCheckpoints)) {
    if ('refused' in expected && typeof expected.refused === 'string')
      it(`${name} is refused`, async () => {
        const error: unknown = await openTensorFile(await checkpointGolden(name)).catch((caught: unknown) => caught);
        if (!(error instanceof CheckpointFormatError)) throw error;
        expect(error).toMatchObject({ file: name, offset: expect.any(Number) });
        expect(error.message).toContain(expected.refused);
      });
    else
      it(name, async () => {
        await using file = await openTensorFile(await checkpointGolden(name));
        expect(file).toMatchObject({ file: name, format: /\.np.$/.test(name) ? 'numpy' : 'pytorch' });
        const contents = await contentsOf(file);
        // Too big for the list.
        if (name === 'compressed.npz') {
          expect(contents.zeros?.hex).toBe('00'.repeat(40_000));
          contents.zeros = { dtype: 'I32', shape: [100, 100] };
        }
        expect(contents).toEqual(expected);
      });
  }
});

describe('openTensorFile', () => {
  it('goes by contents, not by name', async () => {
    const tensor = { dtype: 'U8', shape: [2], data: Uint8Array.of(1, 2) } as const;
    await using file = await open(serializeSafetensors([['a', tensor]]), 'a.npz');
    expect(file.format).toBe('safetensors');
    expect(await file.read('a')).toEqual(tensor);
    expect((await openNumpy(await checkpointGolden('arrays.npz'))).format).toBe('numpy');
  });

  it.each([
    ['nothing', new Uint8Array(), 'it is empty'],
    ['a byte', Uint8Array.of(1), 'not a zip archive (PyTorch, .npz), .npy, older PyTorch, TensorFlow'],
    ['a text', text('a text without any meaning'), 'nor safetensors'],
    ['a pointer of Git LFS', text('version https://git-lfs.github.com/spec/v1\n'), 'git lfs pull'],
    ['a tar archive', text(`${'x'.repeat(257)}ustar`), 'tar archive'],
    ['a zip archive of texts', storedZip(new Map([['a.txt', text('a')]])), 'with neither data.pkl'],
    ['an empty zip archive', storedZip(new Map()), 'in it, but nothing'],
  ])('refuses %s', async (_, bytes, says) => {
    const error: unknown = await open(bytes).catch((caught: unknown) => caught);
    if (!(error instanceof CheckpointFormatError)) throw error;
    expect(error.message).toMatch(/^run\/file: at byte 0: /);
    expect(error.message).toContain(says);
  });

  it.each(['model.ckpt.data-00000-of-00001', 'model.ckpt.meta'])('says of %s which file to name', async (name) => {
    await expect(open(Uint8Array.of(1, 2), name)).rejects.toThrow('name its .index file');
  });

  it.each([
    ['a text', memoryFile(text('PK\x03\x04 and no more of it than this'), 'a.zip')],
    ['an entry twice', memoryFile(twice(), 'a.zip')],
  ])('refuses a zip archive with %s', async (_, file) => {
    const error: unknown = await openTensorFile(file).catch((caught: unknown) => caught);
    if (!(error instanceof CheckpointFormatError)) throw error;
    expect(error.file).toBe('a.zip');
    expect(error.offset).not.toBeNull();
  });
});

/** An archive with two entries of one name. */
function twice(): Uint8Array {
  const bytes = storedZip(
    new Map([
      ['a.npy', text('a')],
      ['b.npy', text('b')],
    ]),
  );
  return bytes.map((byte, i) => (byte === 0x62 && bytes[i + 1] === 0x2e ? 0x61 : byte));
}

describe.skipIf(!dataAvailable)('real files (skipped without ../shared/data)', () => {
  const read = async (path: string) => open(await readData(`checkpoints/${path}`), path);
  const range = (start: number, count: number) => BigInt64Array.from({ length: count }, (_, i) => BigInt(start + i));

  it('of PyTorch 2', async () => {
    for (const path of ['pth/candle_test.pt', 'pth/candle_test_with_key.pt']) {
      await using file = await read(path);
      expect([...file.entries.keys()]).toEqual(['test']);
      expect(await file.read('test')).toEqual({ dtype: 'I64', shape: [2, 4], data: range(1, 8) });
    }
    await using fortran = await read('pth/candle_fortran_tensor_3d.pth');
    expect(await fortran.read('tensor_fortran')).toEqual({ dtype: 'I64', shape: [2, 3, 4], data: range(1, 24) });
  });

  it('of NumPy', async () => {
    await using one = await read('npy/candle_test.npy');
    expect(await one.read('tensor')).toEqual({ dtype: 'I64', shape: [10], data: range(0, 10) });
    await using archive = await read('npy/candle_test.npz');
    expect([...archive.entries.keys()]).toEqual(['x', 'x_plus_one']);
    expect((await archive.read('x_plus_one')).data).toEqual(range(1, 10));
  });

  it('of safetensors', async () => {
    await using file = await read('safetensors/overall.safetensors');
    expect(file.entries.size).toBe(9);
    expect(await file.read('f')).toEqual({ dtype: 'F32', shape: [6], data: Float32Array.of(-3, -2, -1, 0, 1, 2) });
  });
});
