import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileError } from '../../src/platform/files.js';
import { openFile, writeFileStreamed } from '../../src/platform/files.node.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-random-access-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('openFile', () => {
  it('reads ranges, and files beside it', async () => {
    const path = join(folder, 'a.bin');
    await writeFile(path, Uint8Array.of(1, 2, 3, 4));
    await writeFile(join(folder, 'b.bin'), Uint8Array.of(9));
    await using file = await openFile(path);
    expect(file).toMatchObject({ name: path, size: 4 });
    const range = await file.read(1, 2);
    expect(range).toEqual(Uint8Array.of(2, 3));
    expect(range.buffer.byteLength).toBe(2);
    await using sibling = await file.sibling('b.bin');
    expect(await sibling.read(0, 1)).toEqual(Uint8Array.of(9));
  });

  it('says what is missing, what is no file, and what ends too early', async () => {
    const failure = async (body: () => Promise<unknown>) => {
      const error: unknown = await body().catch((caught: unknown) => caught);
      if (!(error instanceof FileError)) throw new Error('no FileError', { cause: error });
      return error;
    };
    const none = join(folder, 'none.bin');
    expect(await failure(() => openFile(none))).toMatchObject({ path: none, missing: true });
    expect((await failure(() => openFile(folder))).message).toContain('cannot be read (it is a folder)');

    const path = join(folder, 'short.bin');
    await writeFile(path, new Uint8Array(10));
    await using file = await openFile(path);
    expect((await failure(() => file.read(8, 3))).message).toContain('3 bytes from 8 asked for, it has 10');
    expect(await failure(() => file.sibling('none.bin'))).toMatchObject({ missing: true });
    await truncate(path, 4);
    expect((await failure(() => file.read(2, 6))).message).toContain('it was cut to 4 bytes while open');
  });

  it('can be closed twice, and not be read after that', async () => {
    const path = join(folder, 'closed.bin');
    await writeFile(path, new Uint8Array(4));
    const file = await openFile(path);
    await file[Symbol.asyncDispose]();
    await file[Symbol.asyncDispose]();
    await expect(file.read(0, 4)).rejects.toBeInstanceOf(FileError);
  });
});

describe('writeFileStreamed', () => {
  it('writes piece after piece, and asks for no piece before the last is written', async () => {
    const path = join(folder, 'streamed.bin');
    await writeFile(path, 'old');
    const sizes: number[] = [];
    async function* pieces() {
      for (const value of [1, 2, 3]) {
        yield new Uint8Array(1000).fill(value);
        const temporary = (await readdir(folder)).find((name) => name.startsWith('streamed.bin.'));
        sizes.push((await readFile(join(folder, temporary ?? 'gone'))).length);
        expect(await readFile(path, 'utf8')).toBe('old');
      }
    }
    await writeFileStreamed(path, pieces());
    expect(sizes).toEqual([1000, 2000, 3000]);
    const written = await readFile(path);
    expect(written).toHaveLength(3000);
    expect([written[0], written[1000], written[2999]]).toEqual([1, 2, 3]);
  });

  it('leaves the old file and no other where a piece cannot be had', async () => {
    const path = join(folder, 'state.bin');
    await writeFile(path, 'old');
    async function* pieces() {
      yield new Uint8Array(10);
      throw new Error('the source ended');
    }
    await expect(writeFileStreamed(path, pieces())).rejects.toThrow('the source ended');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect((await readdir(folder)).filter((name) => name.startsWith('state.bin'))).toEqual(['state.bin']);
  });
});
