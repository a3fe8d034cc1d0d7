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
