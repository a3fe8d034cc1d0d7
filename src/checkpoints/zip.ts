/** Zip archives: the directory is read when opened, entries when asked for, those that are not compressed in parts. */
import { type FileEntry, type Reader, ZipReader } from '@zip.js/zip.js/lib/zip-core-reader.js';
import crc from 'crc-32';
import { FileError, type RandomAccessFile } from '../platform/files.js';
import { CheckpointFormatError } from './tensor_file.js';

export interface ZipEntry {
  readonly name: string;
  /** Bytes of its contents. */
  readonly size: number;
  /**
   * `length` bytes of its contents from `offset`. The checksum is verified where that is all of them. Reading a part of
   * a compressed entry inflates what lies before it.
   *
   * @throws CheckpointFormatError where the entry is damaged
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Byte of the file at which its contents begin; null where they are compressed. */
  position(): Promise<number | null>;
}

/** Enough for any checkpoint, and few enough for their descriptions to stay small. */
const MAX_ENTRIES = 100_000;

/** Deflate makes at most 1,032 bytes of one (RFC 1951: 258 of 2 bits). */
const MAX_INFLATION = 1032;

const LOCAL_HEADER_BYTES = 30;

/** @throws CheckpointFormatError where the file is no zip archive, or has two entries of one name */
export async function openZip(file: RandomAccessFile): Promise<ReadonlyMap<string, ZipEntry>> {
  const reader = zipReader(file);
  const entries = new Map<string, ZipEntry>();
  try {
    for await (const entry of new ZipReader(reader, { useWebWorkers: false }).getEntriesGenerator()) {
      if (entry.directory) continue;
      const fail = (message: string): never => {
        const offset = Math.min(entry.offset, file.size);
        throw new CheckpointFormatError(file.name, { offset }, `zip entry ${shown(entry.filename)}: ${message}`);
      };
      if (entries.has(entry.filename)) fail('there are two entries of this name');
      if (entries.size === MAX_ENTRIES) fail(`there are more than ${MAX_ENTRIES} entries`);
      const { encrypted, compressionMethod: method, compressedSize, uncompressedSize } = entry;
      if (encrypted) fail('is encrypted');
      if (method !== 0 && method !== 8) fail(`is compressed by method ${method}; only deflate can be read`);
      if (entry.offset + LOCAL_HEADER_BYTES + compressedSize > file.size)
        fail(`truncated: its ${compressedSize} bytes lie past the end of the file at ${file.size}`);
      if (uncompressedSize > (method === 0 ? compressedSize : compressedSize * MAX_INFLATION))
        fail(`cannot hold ${uncompressedSize} bytes in ${compressedSize}`);
      entries.set(entry.filename, openEntry(file, entry));
    }
  } catch (error) {
    throw asFormatError(error, file.name, reader.lastRead, 'is no zip archive that can be read');
  }
  return entries;
}

function openEntry(file: RandomAccessFile, entry: FileEntry): ZipEntry {
  const { filename: name, uncompressedSize: size, offset: header, crc32 = 0 } = entry;
  const stored = entry.compressionMethod === 0;
  const fail = (message: string) =>
    new CheckpointFormatError(file.name, { offset: header }, `zip entry ${shown(name)}: ${message}`);

  const position = async (): Promise<number> => {
    const view = new DataView((await file.read(header, LOCAL_HEADER_BYTES)).buffer);
    if (view.getUint32(0, true) !== 0x04034b50) throw fail('has no header where the directory says it begins');
    const start = header + LOCAL_HEADER_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
    if (start + entry.compressedSize > file.size)
      throw fail(`truncated: it ends behind the file's end at ${file.size}`);
    return start;
  };

  const inflate = async (offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> => {
    const part = new Part(offset, length);
    const whole = length === size;
    try {
      await entry.getData(part.sink, { checkCrc32: whole, useWebWorkers: false });
    } catch (error) {
      if (!part.complete || whole) throw asFormatError(error, file.name, header, `zip entry ${shown(name)}`);
    }
    if (!part.complete) throw fail(`holds fewer bytes than the ${size} it is said to`);
    return part.bytes;
  };

  return {
    name,
    size,
    position: async () => (stored ? position() : null),
    read: async (offset, length) => {
      if (offset + length > size) throw fail(`has ${size} bytes, ${length} from ${offset} are needed`);
      if (!stored) return inflate(offset, length);
      const bytes = await file.read((await position()) + offset, length);
      // 0 where the writer computed none, as PyTorch can be told to.
      if (length === size && crc32 !== 0 && crc.buf(bytes) >>> 0 !== crc32 >>> 0)
        throw fail('is damaged: its checksum is another');
      return bytes;
    },
  };
}

/** Keeps a part of what flows by, and ends the flow behind it. */
class Part {
  readonly sink: WritableStream<Uint8Array>;
  readonly #length: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #filled = 0;

  /** Memory grows as bytes come: there may be fewer than were promised. */
  constructor(offset: number, length: number) {
    this.#length = length;
    this.#bytes = new Uint8Array(Math.min(length, 65_536));
    let seen = 0;
    this.sink = new WritableStream({
      write: (chunk) => {
        const skipped = Math.min(Math.max(offset - seen, 0), chunk.length);
        this.#append(chunk.subarray(skipped, skipped + length - this.#filled));
        seen += chunk.length;
        if (seen > offset + length) throw new Error('more than was asked for');
      },
    });
  }

  get complete(): boolean {
    return this.#filled === this.#length;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.length === this.#length ? this.#bytes : this.#bytes.slice(0, this.#length);
  }

  #append(chunk: Uint8Array): void {
    const filled = this.#filled + chunk.length;
    if (filled > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(Math.max(2 * this.#bytes.length, filled), this.#length));
      grown.set(this.#bytes.subarray(0, this.#filled));
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#filled);
    this.#filled = filled;
  }
}

/** The file as zip.js reads it, which notes where it read last. */
function zipReader(file: RandomAccessFile): Reader<RandomAccessFile> & { lastRead: number } {
  const reader = {
    lastRead: 0,
    size: file.size,
    readUint8Array: (offset: number, length: number) => {
      reader.lastRead = Math.min(offset, file.size);
      return file.read(offset, Math.max(Math.min(length, file.size - offset), 0));
    },
    createReadable: ({ offset = 0, size = file.size - offset }: { offset?: number; size?: number } = {}) => {
      let at = offset;
      return new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          const length = Math.min(offset + size - at, 1 << 20);
          if (length > 0) controller.enqueue(await file.read(at, length));
          at += length;
          if (at === offset + size) controller.close();
        },
      });
    },
    get readable(): ReadableStream {
      return reader.createReadable();
    },
  };
  return reader;
}

/** A name for messages, which damage may have made long and unprintable. */
function shown(name: string): string {
  const text = name.length > 100 ? `${name.slice(0, 100)}...` : name;
  return /^[\x20-\x7e]*$/.test(text) ? text : JSON.stringify(text);
}

function asFormatError(error: unknown, file: string, offset: number, what: string): Error {
  if (error instanceof CheckpointFormatError || error instanceof FileError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new CheckpointFormatError(file, { offset }, `${what} (${reason})`, { cause: error });
}
