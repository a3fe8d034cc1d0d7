import { execFileSync } from 'node:child_process';
import { lstat, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileError, fetchFiles } from '../../src/platform/files.js';
import { folderFiles, writeFileAtomic, writeFileStreamed } from '../../src/platform/files.node.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-files-'));
  await writeFile(join(folder, 'small.bin'), Uint8Array.of(1, 2, 3));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('folderFiles', () => {
  it('reads whole files into buffers of their own, which can be transferred', async () => {
    const bytes = await folderFiles(folder).read('small.bin');
    expect(bytes).toEqual(Uint8Array.of(1, 2, 3));
    expect(bytes.buffer.byteLength).toBe(3);
    expect(structuredClone(bytes, { transfer: [bytes.buffer] })).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('reads heads', async () => {
    expect(await folderFiles(folder).readHead('small.bin', 2)).toEqual(Uint8Array.of(1, 2));
    expect(await folderFiles(folder).readHead('small.bin', 9)).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('tells missing from unreadable', async () => {
    const files = folderFiles(folder);
    const missing = await files.read('none.bin').catch((caught) => caught);
    expect(missing).toBeInstanceOf(FileError);
    expect(missing).toMatchObject({ path: 'none.bin', missing: true, message: `none.bin: no such file in ${folder}` });
    const unreadable = await files.read('.').catch((caught) => caught);
    expect(unreadable).toMatchObject({ missing: false, message: `.: cannot be read (EISDIR) in ${folder}` });
  });
});

describe('writeFileAtomic', () => {
  it('replaces a file and leaves nothing behind', async () => {
    const path = join(folder, 'state.json');
    await writeFileAtomic(path, 'old');
    await writeFileAtomic(path, new TextEncoder().encode('new'));
    expect(await readFile(path, 'utf8')).toBe('new');
    expect((await readdir(folder)).sort()).toEqual(['small.bin', 'state.json']);
  });

  it('leaves the old file and no other where writing fails', async () => {
    const path = join(folder, 'state.json');
    await expect(writeFileAtomic(path, 5 as never)).rejects.toThrow();
    await expect(writeFileAtomic(join(folder, 'no', 'where'), 'x')).rejects.toThrow('ENOENT');
    expect(await readFile(path, 'utf8')).toBe('new');
    expect((await readdir(folder)).sort()).toEqual(['small.bin', 'state.json']);
  });
});

describe.skipIf(process.platform === 'win32')('writeFileAtomic to what is no plain file', () => {
  it('writes through links', async () => {
    const [path, other] = [join(folder, 'real.txt'), join(folder, 'link.txt')];
    await writeFile(path, 'old');
    await symlink('real.txt', other);
    await writeFileAtomic(other, 'new');
    expect([await readlink(other), await readFile(path, 'utf8')]).toEqual(['real.txt', 'new']);
    expect((await lstat(path)).isFile()).toBe(true);
  });

  it('writes into a pipe, and leaves it one', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const [read] = await Promise.all([readFile(pipe, 'utf8'), writeFileStreamed(pipe, [Uint8Array.of(104, 105)])]);
    expect([read, (await stat(pipe)).isFIFO()]).toEqual(['hi', true]);
  });
});

describe('fetchFiles', () => {
  it('reads from a web server, with ranges, and names what is missing', async () => {
    const requests: string[] = [];
    const server = createServer((request, response) => {
      requests.push(`${request.url} ${request.headers.range ?? ''}`);
      if (request.url === '/set/a%20b.bin') response.end(Buffer.from([7, 8, 9]));
      else response.writeHead(request.url === '/set/secret' ? 403 : 404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const files = fetchFiles(`http://127.0.0.1:${(server.address() as AddressInfo).port}/set`);
    try {
      expect(await files.read('a b.bin')).toEqual(Uint8Array.of(7, 8, 9));
      await files.readHead('a b.bin', 100);
      expect(requests[1]).toBe('/set/a%20b.bin bytes=0-99');
      await expect(files.read('none')).rejects.toMatchObject({ name: 'FileError', missing: true });
      await expect(files.read('secret')).rejects.toThrow('secret: cannot be read (HTTP 403)');
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    await expect(files.read('a b.bin')).rejects.toMatchObject({ name: 'FileError', missing: false });
  });
});
