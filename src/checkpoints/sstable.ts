/**
 * Tables of sorted keys: LevelDB's format (https://github.com/google/leveldb/blob/main/doc/table_format.md), in which
 * TensorFlow writes its checkpoints. A footer says where the index block lies, the index where each block of data lies
 * and what its last key is at most. Keys are held as strings of one character a byte, which sort as their bytes do.
 */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { RandomAccessFile } from '../platform/files.js';
import { maskedCrc32c } from './crc32c.js';
import { decoding, exactInteger } from './protobuf.js';
import { uncompressSnappy } from './snappy.js';
import { CheckpointFormatError } from './tensor_file.js';

/** What a key maps to. */
export interface TableValue {
  /** A view of its block. */
  readonly bytes: Uint8Array;
  /** Byte of the file at which it begins; of a compressed block, at which that begins. */
  readonly offset: number;
}

/** Byte range of a block, without its trailer. */
interface Handle {
  readonly offset: number;
  readonly size: number;
}

const FOOTER_BYTES = 48;
const MAGIC = 0xdb4775248b80fb57n;
/** After each block: its compression, and the checksum of both. */
const TRAILER_BYTES = 5;
/**
 * A key is stored without what it shares with the one before, but in full at least every 16 keys, so that together
 * they are at most 16 times as long as what is stored. A block with longer ones is made to fill the memory.
 */
const MAX_KEY_RATIO = 32;

/** Whether a file ends as a table does. */
export async function isTable(file: RandomAccessFile): Promise<boolean> {
  if (file.size < FOOTER_BYTES) return false;
  const tail = await file.read(file.size - 8, 8);
  return new DataView(tail.buffer).getBigUint64(0, true) === MAGIC;
}

/** An open table: its index is in memory, and the block that was read last. */
export class Table {
  readonly file: RandomAccessFile;
  /** In order of their keys: the last key of a block at most, and where it lies. */
  readonly #index: readonly (readonly [string, Handle])[];
  #last: { readonly handle: Handle; readonly entries: Promise<ReadonlyMap<string, TableValue>> } | undefined;

  private constructor(file: RandomAccessFile, index: readonly (readonly [string, Handle])[]) {
    this.file = file;
    this.#index = index;
  }

  /**
   * Reads the footer and the index.
   *
   * @throws CheckpointFormatError where they are damaged, or the file is no table
   */
  static async open(file: RandomAccessFile): Promise<Table> {
    if (!(await isTable(file)))
      throw new CheckpointFormatError(file.name, {}, 'is no TensorFlow checkpoint: it does not end as a table does');
    const place = { file: file.name, offset: file.size - FOOTER_BYTES };
    const footer = await file.read(place.offset, FOOTER_BYTES);
    const handle = decoding(place, 'the footer', () => {
      const reader = new BinaryReader(footer);
      readHandle(reader, place.offset); // of the meta-index, which nobody uses
      return readHandle(reader, place.offset);
    });
    const index: [string, Handle][] = [];
    let end = 0;
    for (const [key, { bytes, offset }] of await readBlock(file, handle)) {
      const block = decoding({ file: file.name, offset }, 'the index', () => {
        const block = readHandle(new BinaryReader(bytes), place.offset);
        if (block.offset < end) throw new Error(`a block at byte ${block.offset} begins before the last one ends`);
        return block;
      });
      end = block.offset + block.size + TRAILER_BYTES;
      index.push([key, block]);
    }
    return new Table(file, index);
  }

  /** The value of a key, from whose block all of it is read. */
  async get(key: string): Promise<TableValue | undefined> {
    let low = 0;
    let high = this.#index.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#index[middle]![0] < key) low = middle + 1;
      else high = middle;
    }
    const found = this.#index[low];
    return found && (await this.#block(found[1])).get(key);
  }

  /** Everything in the table, block by block, in order of the keys. */
  async *entries(): AsyncGenerator<readonly [string, TableValue]> {
    let last: string | undefined;
    for (const [, handle] of this.#index)
      for (const entry of await this.#block(handle)) {
        if (last !== undefined && entry[0] <= last)
          throw new CheckpointFormatError(this.file.name, handle, 'the blocks are out of order');
        last = entry[0];
        yield entry;
      }
  }

  /** Small values share a block, and tend to be read one after the other. */
  #block(handle: Handle): Promise<ReadonlyMap<string, TableValue>> {
    if (this.#last?.handle !== handle) this.#last = { handle, entries: readBlock(this.file, handle) };
    return this.#last.entries;
  }
}

/** @param end of the blocks */
function readHandle(reader: BinaryReader, end: number): Handle {
  const offset = exactInteger(reader.uint64());
  const size = exactInteger(reader.uint64());
  if (offset + size + TRAILER_BYTES > end)
    throw new Error(`a block of ${size} bytes at byte ${offset} goes beyond byte ${end}, where the footer begins`);
  return { offset, size };
}

/** Reads, checks, uncompresses and parses a block. */
async function readBlock(file: RandomAccessFile, handle: Handle): Promise<ReadonlyMap<string, TableValue>> {
  const { offset, size } = handle;
  const stored = await file.read(offset, size + TRAILER_BYTES);
  return decoding({ file: file.name, offset }, 'a block', () => {
    const expected = new DataView(stored.buffer, stored.byteOffset).getUint32(size + 1, true);
    const checksum = maskedCrc32c(stored.subarray(0, size + 1));
    if (checksum !== expected) throw new Error(`its checksum is ${hex(checksum)}, the file says ${hex(expected)}`);
    const bytes = stored.subarray(0, size);
    const compression = stored[size]!;
    if (compression === 0) return parseBlock(bytes, (at) => offset + at);
    if (compression === 1) return parseBlock(uncompressSnappy(bytes), () => offset);
    throw new Error(`its compression is of type ${compression}; 0 (none) and 1 (snappy) are known`);
  });
}

/**
 * Entries, each with how many bytes of its key it shares with the one before, the rest of the key, and the value; then
 * the places of keys that are stored in full, for a binary search, and their number.
 */
function parseBlock(bytes: Uint8Array, offsetOf: (at: number) => number): Map<string, TableValue> {
  if (bytes.length < 4) throw new Error(`it has ${bytes.length} bytes, and must have 4`);
  const restarts = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4, true);
  const end = bytes.length - 4 - restarts * 4;
  if (restarts === 0 || end < 0) throw new Error(`it has ${bytes.length} bytes and claims ${restarts} restart points`);
  const reader = new BinaryReader(bytes.subarray(0, end));
  const take = (length: number) => {
    const start = reader.pos;
    reader.pos += length;
    if (reader.pos > end) throw new Error(`an entry at byte ${start} of it goes beyond its end`);
    return bytes.subarray(start, reader.pos);
  };
  const entries = new Map<string, TableValue>();
  let key = '';
  let keyBytes = 0;
  while (reader.pos < end) {
    const shared = reader.uint32();
    const rest = reader.uint32();
    const length = reader.uint32();
    if (shared > key.length)
      throw new Error(`a key shares ${shared} bytes with the one before, which has ${key.length}`);
    keyBytes += shared + rest;
    if (keyBytes > MAX_KEY_RATIO * bytes.length) throw new Error('its keys are longer than they can be');
    const next = key.slice(0, shared) + binaryString(take(rest));
    if (entries.size > 0 && next <= key) throw new Error('its keys are out of order');
    key = next;
    const offset = offsetOf(reader.pos);
    entries.set(key, { bytes: take(length), offset });
  }
  return entries;
}

/** One character a byte. */
export function binaryString(bytes: Uint8Array): string {
  let text = '';
  // Arguments are limited in number.
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

export function hex(word: number): string {
  return `0x${word.toString(16).padStart(8, '0')}`;
}
