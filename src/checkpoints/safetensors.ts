/**
 * The safetensors format: 8 bytes of header length (little-endian), a JSON header that gives each tensor's dtype,
 * shape and byte range, then the data, which the ranges cover without gap or overlap
 * (https://github.com/huggingface/safetensors, "Format"). Numbers are little-endian, as on every platform with WebGPU.
 */
import type { RandomAccessFile } from '../platform/files.js';
import { showShape, sizeOf } from '../tensor/types.js';
import { isSize, requireEntry, tensorOf } from './reading.js';
import {
  ARRAYS,
  CheckpointFormatError,
  type DType,
  type StoredTensor,
  type TensorEntry,
  type TensorFile,
} from './tensor_file.js';

export interface SafetensorsFile {
  /** In the order of their data. */
  readonly tensors: Map<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The limit of the format's own implementation. */
const MAX_HEADER_BYTES = 100e6;

/**
 * Parses a file in memory. Data that happens to be aligned is a view of `bytes`, the rest is copied.
 *
 * @param file name for error messages
 * @throws CheckpointFormatError naming file and tensor for anything the format does not allow, or that is no number here
 */
export function parseSafetensors(bytes: Uint8Array<ArrayBuffer>, file: string): SafetensorsFile {
  const dataStart = 8 + headerLength(bytes.subarray(0, 8), bytes.length, file);
  const { entries, metadata } = parseHeader(bytes.subarray(8, dataStart), bytes.length, file);
  const tensors = new Map<string, StoredTensor>();
  const listed = new Map(entries.map((entry) => [entry.name, entry]));
  for (const { name, begin, end } of entries) {
    const { dtype, shape } = requireEntry(file, listed, name);
    tensors.set(name, tensorOf(dtype, shape, bytes.subarray(dataStart + begin, dataStart + end)));
  }
  return { tensors, metadata };
}

/**
 * Opens a file: reads its header, and each tensor when asked for.
 *
 * @throws CheckpointFormatError as `parseSafetensors`, FileError where the file cannot be read
 */
export async function openSafetensors(file: RandomAccessFile): Promise<TensorFile> {
  const length = headerLength(await file.read(0, Math.min(8, file.size)), file.size, file.name);
  const { entries, metadata } = parseHeader(await file.read(8, length), file.size, file.name);
  const begins = new Map(entries.map(({ name, begin }) => [name, begin]));
  const listed = new Map(entries.map(({ begin: _, end: __, ...entry }) => [entry.name, entry]));
  return {
    format: 'safetensors',
    file: file.name,
    entries: listed,
    metadata,
    read: async (name) => {
      const { dtype, shape, bytes } = requireEntry(file.name, listed, name);
      return tensorOf(dtype, shape, await file.read(8 + length + begins.get(name)!, bytes));
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

interface SafetensorsEntry extends TensorEntry {
  /** Bytes of the data from which and up to which it lies. */
  readonly begin: number;
  readonly end: number;
}

/** Length of the header, which the first 8 bytes give. */
function headerLength(start: Uint8Array<ArrayBuffer>, size: number, file: string): number {
  const fail = (offset: number, message: string): never => {
    throw new CheckpointFormatError(file, { offset }, message);
  };
  if (size < 8) return fail(size, `truncated: ${size} bytes, and the length of the header alone takes 8`);
  const length = Number(new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES)
    fail(0, `is no safetensors file: its header would have ${length} bytes, more than ${MAX_HEADER_BYTES}`);
  if (8 + length > size) fail(size, `truncated: its header has ${length} bytes, the file ${size} in all`);
  return length;
}

/** Entries in the order of their data, which they cover. */
function parseHeader(
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
  file: string,
): { entries: SafetensorsEntry[]; metadata: Readonly<Record<string, string>> } {
  const fail = (message: string, offset: number, cause?: unknown): never => {
    throw new CheckpointFormatError(file, { offset }, message, { cause });
  };
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    fail(`its header is no valid JSON (${error instanceof Error ? error.message : error})`, 8, error);
  }
  if (!isRecord(header)) return fail('its header is no JSON object', 8);

  const { __metadata__: metadata = {}, ...tensors } = header;
  if (!isRecordOfStrings(metadata)) return fail('its __metadata__ must be an object of strings', 8);
  const entries = Object.entries(tensors)
    .map(([name, entry]) => parseEntry(file, name, entry))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);

  let expected = 0;
  const dataStart = 8 + bytes.length;
  const available = size - dataStart;
  for (const { name, begin, end } of entries) {
    const failAt = (offset: number, message: string): never => {
      throw new CheckpointFormatError(file, { tensor: name, offset: dataStart + offset }, message);
    };
    if (begin !== expected)
      failAt(
        expected,
        `its data begins at byte ${begin} of the data, ${begin < expected ? 'inside the data before it, which ends' : 'after a gap: the data before it ends'} at ${expected}`,
      );
    if (end > available)
      failAt(available, `truncated: its data ends at byte ${end} of the data, the file has ${available}`);
    expected = end;
  }
  if (expected !== available)
    fail(`has ${available - expected} bytes after the data of its last tensor`, dataStart + expected);
  return { entries, metadata };
}

function parseEntry(file: string, name: string, entry: unknown): SafetensorsEntry {
  const fail = (message: string): never => {
    throw new CheckpointFormatError(file, { tensor: name }, message);
  };
  if (!isRecord(entry)) return fail('its header entry is no JSON object');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string') return fail(`dtype ${JSON.stringify(dtype)} is no name of a type`);
  if (!isSizes(shape)) return fail(`shape ${JSON.stringify(shape)} is no list of sizes`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[1]! < offsets[0]!)
    return fail(`data_offsets ${JSON.stringify(offsets)} are no pair of byte positions`);
  const [begin, end] = offsets as [number, number];
  // Of types that came later, or of complex numbers, neither is the size known.
  if (!isDType(dtype)) return { name, dtype: null, storedAs: dtype, shape, bytes: end - begin, begin, end };
  const bytes = sizeOf(shape) * ARRAYS[dtype].BYTES_PER_ELEMENT;
  if (end - begin !== bytes)
    return fail(`${dtype} ${showShape(shape)} takes ${bytes} bytes, data_offsets give it ${end - begin}`);
  return { name, dtype, storedAs: dtype, shape, bytes, begin, end };
}

function isDType(value: string): value is DType {
  return Object.hasOwn(ARRAYS, value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isSize);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isRecordOfStrings(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((text) => typeof text === 'string');
}
