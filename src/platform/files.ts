/** Where files come from: a folder on disk (files.node.ts), a web server, or anything that can answer `read`. */

export interface FileSource {
  /** The folder or address the paths are relative to, for messages. */
  readonly root: string;
  /**
   * The whole file, in bytes the caller may keep, change or transfer. Throws `FileError` where it is missing or
   * unreadable.
   */
  read(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** At least the first `bytes` bytes (fewer only if the file is shorter); may return more. */
  readHead(path: string, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A file that is read in pieces, at any place. */
export interface RandomAccessFile extends AsyncDisposable {
  /** Path, address or name, for messages. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`, in a buffer of their own.
   *
   * @throws FileError where the file ends before, or cannot be read
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Opens a file of the same folder. Throws `FileError` where it is missing. */
  sibling(name: string): Promise<RandomAccessFile>;
}

export class FileError extends Error {
  override readonly name = 'FileError';
  readonly path: string;
  /** True where the file does not exist; false where it does and reading it failed. */
  readonly missing: boolean;
  /** The message without the path. */
  readonly reason: string;

  constructor(path: string, root: string, missing: boolean, cause: string, options?: ErrorOptions) {
    const reason = `${missing ? 'no such file' : `cannot be read (${cause})`} in ${root}`;
    super(`${path}: ${reason}`, options);
    this.path = path;
    this.missing = missing;
    this.reason = reason;
  }
}

/** Files of a web server; paths are resolved against `root`, which is taken as a folder. */
export function fetchFiles(root: string | URL): FileSource {
  const base = new URL(`${root}`.replace(/\/*$/, '/'), globalThis.location?.href);
  const get = async (path: string, headers: Record<string, string>) => {
    const url = new URL(path.split('/').map(encodeURIComponent).join('/'), base);
    let response: Response;
    try {
      response = await fetch(url, { headers });
    } catch (error) {
      throw new FileError(path, base.href, false, error instanceof Error ? error.message : String(error), {
        cause: error,
      });
    }
    if (!response.ok) {
      const missing = response.status === 404 || response.status === 410;
      throw new FileError(path, base.href, missing, `HTTP ${response.status}`);
    }
    return new Uint8Array(await response.arrayBuffer());
  };
  return {
    root: base.href,
    read: (path) => get(path, {}),
    readHead: (path, bytes) => get(path, { Range: `bytes=0-${bytes - 1}` }),
  };
}

/** Files held in memory, by path. */
export function memoryFiles(files: ReadonlyMap<string, Uint8Array>, root = 'memory'): FileSource {
  const read = async (path: string) => {
    const bytes = files.get(path);
    if (!bytes) throw new FileError(path, root, true, 'not in the map');
    return new Uint8Array(bytes);
  };
  return { root, read, readHead: read };
}

/**
 * A file held in memory.
 *
 * @param siblings files of its folder, by name
 */
export function memoryFile(
  bytes: Uint8Array,
  name: string,
  siblings: ReadonlyMap<string, Uint8Array> = new Map(),
): RandomAccessFile {
  const root = 'memory';
  return {
    name,
    size: bytes.length,
    read: async (offset, length) => {
      requireRange({ name, root, size: bytes.length }, offset, length);
      return new Uint8Array(bytes.subarray(offset, offset + length));
    },
    sibling: async (other) => {
      const found = siblings.get(other);
      if (!found) throw new FileError(other, root, true, 'not in the map');
      return memoryFile(found, other, siblings);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/**
 * A file of a browser: chosen by its user, dropped on a page, or a response's `blob()`. Only what is read is loaded.
 *
 * @param siblings files of its folder, by name: a page sees those alone that its user has chosen
 */
export function blobFile(blob: Blob, name: string, siblings: ReadonlyMap<string, Blob> = new Map()): RandomAccessFile {
  const root = 'the files chosen';
  return {
    name,
    size: blob.size,
    read: async (offset, length) => {
      requireRange({ name, root, size: blob.size }, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (error) {
        // A file that was changed or removed since it was chosen.
        throw new FileError(name, root, false, error instanceof Error ? error.message : String(error), {
          cause: error,
        });
      }
    },
    sibling: async (other) => {
      const found = siblings.get(other);
      if (!found) throw new FileError(other, root, true, 'not chosen');
      return blobFile(found, other, siblings);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Refuses a range that does not lie in the file, before anything is allocated for it. */
export function requireRange(
  file: { readonly name: string; readonly root: string; readonly size: number },
  offset: number,
  length: number,
): void {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0) {
    if (offset + length <= file.size) return;
  }
  throw new FileError(file.name, file.root, false, `${length} bytes from ${offset} asked for, it has ${file.size}`);
}
