/**
 * NumPy's arrays, one in a file (`.npy`, numpy/lib/format.py describes it) or several in a zip archive (`.npz`).
 */
import type { RandomAccessFile } from '../platform/files.js';
import { sizeOf } from '../tensor/types.js';
import { parseNpyHeader } from './numpy_header.js';
import { requireEntry, tensorOf } from './reading.js';
import { columnMajorStrides, gatherStrided } from './strided.js';
import { CheckpointFormatError, type TensorEntry, type TensorFile } from './tensor_file.js';
import { openZip, type ZipEntry } from './zip.js';

/** What the one array of an `.npy` file is called. */
const ALONE = 'tensor';

/** Bytes before the length of a header, and with it in versions 2 and 3. */
const VERSION_BYTES = 8;
const PREFIX_BYTES = 12;

/** NumPy's own headers have about a hundred bytes; structured ones may have more, but those are not read. */
const MAX_HEADER_BYTES = 1 << 16;

/** A file or an entry of an archive. */
interface NpySource {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

interface NpyArray {
  readonly entry: TensorEntry;
  readonly source: NpySource;
  /** Byte of the source at which the elements begin. */
  readonly begin: number;
  readonly columnMajor: boolean;
  readonly bigEndian: boolean;
}

/**
 * Opens an `.npy` or `.npz` file. The array of an `.npy` file is named `tensor`, those of an archive by their entries
 * without `.npy`, as `numpy.load` names them. Texts, records, complex numbers and objects are listed, not read.
 *
 * @throws CheckpointFormatError where it is neither, or damaged
 */
export async function openNumpy(file: RandomAccessFile): Promise<TensorFile> {
  const zip = new TextDecoder().decode(await file.read(0, Math.min(2, file.size))) === 'PK';
  return zip ? openNpz(file, await openZip(file)) : numpyFile(file, [await openNpy(file.name, ALONE, file, 0)]);
}

export async function openNpz(file: RandomAccessFile, archive: ReadonlyMap<string, ZipEntry>): Promise<TensorFile> {
  const arrays: NpyArray[] = [];
  for (const entry of archive.values()) {
    if (!entry.name.endsWith('.npy')) continue;
    arrays.push(await openNpy(file.name, entry.name.slice(0, -'.npy'.length), entry, await entry.position()));
  }
  return numpyFile(file, arrays);
}

/** @param position byte of the file at which the source begins; null where it is compressed */
async function openNpy(file: string, name: string, source: NpySource, position: number | null): Promise<NpyArray> {
  const fail = (offset: number, message: string): never => {
    throw new CheckpointFormatError(
      file,
      { tensor: name, offset: position === null ? null : position + offset },
      message,
    );
  };
  const prefix = await source.read(0, Math.min(PREFIX_BYTES, source.size));
  const view = new DataView(prefix.buffer);
  if (prefix.length < PREFIX_BYTES) return fail(prefix.length, `truncated: ${prefix.length} bytes`);
  if (prefix[0] !== 0x93 || new TextDecoder().decode(prefix.subarray(1, 6)) !== 'NUMPY')
    return fail(0, 'does not begin with \\x93NUMPY');
  const version = prefix[6]!;
  if (version < 1 || version > 3) return fail(6, `is of version ${version} of the format; 1, 2 and 3 are known`);
  const start = version === 1 ? VERSION_BYTES + 2 : PREFIX_BYTES;
  const length = version === 1 ? view.getUint16(VERSION_BYTES, true) : view.getUint32(VERSION_BYTES, true);
  const begin = start + length;
  if (length > MAX_HEADER_BYTES) return fail(VERSION_BYTES, `has a header of ${length} bytes`);
  if (begin > source.size) return fail(source.size, `truncated: its header ends at byte ${begin} of ${source.size}`);
  const header = parseNpyHeader(await source.read(start, length), version);
  if (typeof header === 'string') return fail(start, header);

  const { type, storedAs, shape } = header;
  const bytes = type ? sizeOf(shape) * type.bytes : source.size - begin;
  const available = source.size - begin;
  if (bytes > available) fail(source.size, `truncated: its elements take ${bytes} bytes, ${available} are there`);
  if (bytes < available)
    fail(begin + bytes, `has ${available - bytes} bytes after its elements; is it several arrays?`);
  const { dtype = null, bigEndian = false } = type ?? {};
  const entry = { name, dtype, storedAs, shape, bytes };
  return { entry, source, begin, columnMajor: header.columnMajor, bigEndian };
}

function numpyFile(file: RandomAccessFile, arrays: readonly NpyArray[]): TensorFile {
  const entries = new Map(arrays.map(({ entry }) => [entry.name, entry]));
  const byName = new Map(arrays.map((array) => [array.entry.name, array]));
  return {
    format: 'numpy',
    file: file.name,
    entries,
    metadata: {},
    read: async (name) => {
      const { dtype, shape, bytes } = requireEntry(file.name, entries, name);
      const { source, begin, columnMajor, bigEndian } = byName.get(name)!;
      // Read from its first byte where that lets the checksum of an archive's entry be verified.
      const stored = (await source.read(0, begin + bytes)).subarray(begin);
      const elementBytes = bytes / Math.max(sizeOf(shape), 1);
      if (bigEndian) reverseElements(stored, elementBytes);
      const transposed = columnMajor && shape.length > 1 && bytes > 0;
      return tensorOf(
        dtype,
        shape,
        transposed ? gatherStrided(stored, shape, columnMajorStrides(shape), elementBytes) : stored,
      );
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

function reverseElements(bytes: Uint8Array<ArrayBuffer>, elementBytes: number): void {
  for (let start = 0; start < bytes.length; start += elementBytes)
    bytes.subarray(start, start + elementBytes).reverse();
}
