/** Files on disk. */
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FileError, type FileSource } from './files.js';

/** Files of a folder; paths are relative to it. */
export function folderFiles(folder: string): FileSource {
  const root = resolve(folder);
  const reading = async <R>(path: string, body: (absolute: string) => Promise<R>): Promise<R> => {
    try {
      return await body(resolve(root, path));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new FileError(path, root, code === 'ENOENT' || code === 'ENOTDIR', code, { cause: error });
    }
  };
  return {
    root,
    read: (path) => reading(path, async (absolute) => ownBuffer(await readFile(absolute))),
    readHead: (path, bytes) =>
      reading(path, async (absolute) => {
        const file = await open(absolute);
        try {
          const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
          return ownBuffer(buffer.subarray(0, bytesRead));
        } finally {
          await file.close();
        }
      }),
  };
}

/**
 * Writes a file so that a reader, also after a crash, sees either the old contents or the new: a temporary file in
 * the same folder is written, flushed to disk and renamed over `path`.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes a rename durable. Windows cannot open folders, and needs no such thing. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Small reads share a pooled buffer, which could neither be transferred to a worker nor viewed from offset 0. */
function ownBuffer(buffer: Buffer): Uint8Array<ArrayBuffer> {
  const whole = buffer.byteOffset === 0 && buffer.byteLength === buffer.buffer.byteLength;
  return whole && buffer.buffer instanceof ArrayBuffer ? new Uint8Array(buffer.buffer) : new Uint8Array(buffer);
}
