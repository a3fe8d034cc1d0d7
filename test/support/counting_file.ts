/** Counts what is read of a file: whether a reader reads what it must and no more. */
import type { RandomAccessFile } from '../../src/platform/files.js';

export interface ReadCounts {
  /** Bytes asked for, those that were asked for twice counted twice. */
  bytes: number;
  /** The longest piece asked for. */
  largest: number;
  reads: number;
}

export function countingFile(file: RandomAccessFile): { file: RandomAccessFile; counts: ReadCounts } {
  const counts: ReadCounts = { bytes: 0, largest: 0, reads: 0 };
  return {
    counts,
    file: {
      name: file.name,
      size: file.size,
      read: (offset, length) => {
        counts.reads++;
        counts.bytes += length;
        counts.largest = Math.max(counts.largest, length);
        return file.read(offset, length);
      },
      sibling: (name) => file.sibling(name),
      [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
    },
  };
}
