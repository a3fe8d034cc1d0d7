/** Files on disk. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { FileError, type FileSource, type RandomAccessFile, requireRange } from './files.js';

/** Files of a folder; paths are relative to it. */
export function folderFiles(folder: string): FileSource {
  const root = resolve(folder);
  const reading = <R>(path: string, body: (absolute: string) => Promise<R>) =>
    withFileErrors(path, root, () => body(resolve(root, path)));
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
 * Opens a file to be read in pieces; only what is read is loaded. Dispose of it to close it.
 *
 * @throws FileError where it is missing, cannot be opened, or is a folder
 */
export async function openFile(path: string): Promise<RandomAccessFile> {
  const root = dirname(resolve(path));
  return withFileErrors(path, root, async () => {
    const handle = await open(path);
    try {
      const stat = await handle.stat();
      if (!stat.isFile())
        throw new FileError(path, root, false, stat.isDirectory() ? 'it is a folder' : 'it is no file');
      const { size } = stat;
      return {
        name: path,
        size,
        read: async (offset, length) => {
          requireRange({ name: path, root, size }, offset, length);
          return withFileErrors(path, root, () => readFully(handle, offset, length, path, root));
        },
        sibling: (other) => openFile(join(dirname(path), other)),
        [Symbol.asyncDispose]: () => handle.close(),
      };
    } catch (error) {
      await handle.close();
      throw error;
    }
  });
}

async function readFully(
  handle: FileHandle,
  offset: number,
  length: number,
  path: string,
  root: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  // A read may give less than asked for: on Linux at most 2 GiB, on a network less still.
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, 2 ** 30), offset + done);
    if (bytesRead === 0) throw new FileError(path, root, false, `it was cut to ${offset + done} bytes while open`);
    done += bytesRead;
  }
  return bytes;
}

async function withFileErrors<R>(path: string, root: string, body: () => Promise<R>): Promise<R> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof FileError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new FileError(path, root, code === 'ENOENT' || code === 'ENOTDIR', code, { cause: error });
  }
}

/**
 * Writes a file so that a reader, also after a crash, sees either the old contents or the new: a temporary file in
 * the same folder is written, flushed to disk and renamed over `path`. Links are followed; what is there and no regular
 * file, such as /dev/stdout, is written to as it is.
 */
export function writeFileAtomic(path: string, bytes: Uint8Array | string): Promise<void> {
  return writeAtomic(path, (file) => file.writeFile(bytes));
}

/**
 * The same for a file that is never whole in memory: each piece is written before the next is asked for. Where asking
 * fails, nothing is left behind.
 */
export function writeFileStreamed(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  return writeAtomic(path, async (file) => {
    // Unlike `write`, this goes on until all of a piece is written.
    for await (const chunk of chunks) await file.writeFile(chunk);
  });
}

async function writeAtomic(path: string, body: (file: FileHandle) => Promise<void>): Promise<void> {
  if ((await stat(path).catch(() => null))?.isFile() === false) {
    await using device = await open(path, 'w');
    return await body(device);
  }
  const target = await realpath(path).catch(() => path);
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await body(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(target));
}

/**
 * Removes what processes that were killed have left in a folder: files and folders of such names that nothing was put
 * into for an hour.
 */
export async function removeAbandoned(folder: string, isTemporary: (name: string) => boolean): Promise<void> {
  const HOUR = 3_600_000;
  for (const name of (await readdir(folder)).filter(isTemporary)) {
    const path = join(folder, name);
    const written = await stat(path).catch(() => undefined);
    if (written && Date.now() - written.mtimeMs > HOUR) await rm(path, { recursive: true, force: true });
  }
}

/** Whether a path is that of a folder, or of something in it. */
export function isWithin(folder: string, path: string): boolean {
  const inside = relative(folder, path);
  return inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
}

/** The user's own folder; null where the system knows of none, as for a container's user without a name. */
export function homeFolder(): string | null {
  try {
    return homedir() || null;
  } catch {
    return null;
  }
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
