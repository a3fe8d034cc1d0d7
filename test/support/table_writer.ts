/** Writes tables of sorted keys (LevelDB's format), in blocks of a chosen size, compressed or not. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { compress } from 'snappyjs';
import { maskedCrc32c } from '../../src/checkpoints/crc32c.js';

export interface TableOptions {
  /** A block ends with the entry that makes it at least as long. TensorFlow: 262,144. */
  readonly blockBytes?: number;
  readonly snappy?: boolean;
  /** A key is stored in full every so many entries. */
  readonly restartInterval?: number;
}

/** Keys are strings of one character a byte. */
export type TableEntry = readonly [key: string, value: Uint8Array];

export interface Block {
  readonly offset: number;
  readonly size: number;
}

/**
 * @param entries are sorted
 * @returns the file, and where its blocks lie: of data, meta-index, index
 */
export function writeTable(
  entries: Iterable<TableEntry>,
  { blockBytes = 4096, snappy = false, restartInterval = 16 }: TableOptions = {},
): { bytes: Uint8Array<ArrayBuffer>; blocks: Block[] } {
  const file = new BinaryWriter();
  const blocks: Block[] = [];
  let end = 0;
  const add = (content: Uint8Array<ArrayBuffer>): Uint8Array => {
    const stored = snappy ? compress(content) : content;
    const compression = Uint8Array.of(snappy ? 1 : 0);
    const block = { offset: end, size: stored.length };
    file.raw(stored).raw(compression).fixed32(maskedCrc32c(stored, compression));
    blocks.push(block);
    end += stored.length + 5;
    return new BinaryWriter().uint64(block.offset).uint64(block.size).finish();
  };

  const index: TableEntry[] = [];
  let pending: TableEntry[] = [];
  let size = 0;
  const flush = () => {
    if (pending.length === 0) return;
    index.push([pending.at(-1)![0], add(blockOf(pending, restartInterval))]);
    pending = [];
    size = 0;
  };
  for (const entry of [...entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    pending.push(entry);
    size += entry[0].length + entry[1].length;
    if (size >= blockBytes) flush();
  }
  flush();
  const metaIndex = add(blockOf([], 1));
  const handles = [metaIndex, add(blockOf(index, 1))];
  for (const handle of handles) file.raw(handle);
  file.raw(new Uint8Array(40 - handles[0]!.length - handles[1]!.length)).fixed64(0xdb4775248b80fb57n);
  return { bytes: new Uint8Array(file.finish()), blocks };
}

/** Writes the checksums of blocks again, after they were changed. */
export function sealBlocks(bytes: Uint8Array, blocks: readonly Block[]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (const { offset, size } of blocks)
    if (offset + size + 5 <= bytes.length)
      view.setUint32(offset + size + 1, maskedCrc32c(bytes.subarray(offset, offset + size + 1)), true);
}

/** Bytes of a string of one character a byte. */
export function bytesOf(binary: string): Uint8Array {
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}

function blockOf(entries: readonly TableEntry[], restartInterval: number): Uint8Array<ArrayBuffer> {
  const block = new BinaryWriter();
  const restarts: number[] = [];
  let at = 0;
  let last = '';
  for (const [place, [key, value]] of entries.entries()) {
    let shared = 0;
    if (place % restartInterval === 0) restarts.push(at);
    else while (shared < key.length && key[shared] === last[shared]) shared++;
    const entry = new BinaryWriter()
      .uint32(shared)
      .uint32(key.length - shared)
      .uint32(value.length);
    const bytes = entry
      .raw(bytesOf(key.slice(shared)))
      .raw(value)
      .finish();
    block.raw(bytes);
    at += bytes.length;
    last = key;
  }
  if (restarts.length === 0) restarts.push(0);
  for (const restart of restarts) block.fixed32(restart);
  return new Uint8Array(block.fixed32(restarts.length).finish());
}
