/**
 * The safetensors format: 8 bytes of header length (little-endian), a JSON header that gives each tensor's dtype,
 * shape and byte range, then the data, which the ranges cover without gap or overlap
 * (https://github.com/huggingface/safetensors, "Format"). Numbers are little-endian, as on every platform with WebGPU.
 */
import { type HostTensor, type Shape, showShape, sizeOf } from '../tensor/types.js';

/** Element types and the arrays they are held in; 16-bit floats as their bits. */
const ARRAYS = {
  F64: Float64Array<ArrayBuffer>,
  F32: Float32Array<ArrayBuffer>,
  F16: Uint16Array<ArrayBuffer>,
  BF16: Uint16Array<ArrayBuffer>,
  I64: BigInt64Array<ArrayBuffer>,
  I32: Int32Array<ArrayBuffer>,
  I16: Int16Array<ArrayBuffer>,
  I8: Int8Array<ArrayBuffer>,
  U64: BigUint64Array<ArrayBuffer>,
  U32: Uint32Array<ArrayBuffer>,
  U16: Uint16Array<ArrayBuffer>,
  U8: Uint8Array<ArrayBuffer>,
  BOOL: Uint8Array<ArrayBuffer>,
} as const;

export type SafetensorsDType = keyof typeof ARRAYS;
export type SafetensorsData = InstanceType<(typeof ARRAYS)[SafetensorsDType]>;

export interface SafetensorsTensor {
  readonly dtype: SafetensorsDType;
  readonly shape: Shape;
  readonly data: SafetensorsData;
}

export interface SafetensorsFile {
  /** In the order of their data. */
  readonly tensors: Map<string, SafetensorsTensor>;
  readonly metadata: Record<string, string>;
}

/** A file is not valid safetensors, or a tensor in it is not what it should be. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
  readonly file: string;
  /** Null where no single tensor is at fault. */
  readonly tensor: string | null;

  constructor(file: string, tensor: string | null, message: string, options?: ErrorOptions) {
    super(tensor === null ? `${file}: ${message}` : `${file}: tensor ${tensor}: ${message}`, options);
    this.file = file;
    this.tensor = tensor;
  }
}

/** The limit of the format's own implementation. */
const MAX_HEADER_BYTES = 100e6;

/**
 * Parses a file. Data that happens to be aligned is a view of `bytes`, the rest is copied.
 *
 * @param file name for error messages
 * @throws SafetensorsError naming file and tensor for anything the format does not allow
 */
export function parseSafetensors(bytes: Uint8Array<ArrayBuffer>, file: string): SafetensorsFile {
  const fail = (message: string, cause?: unknown): never => {
    throw new SafetensorsError(file, null, message, { cause });
  };
  if (bytes.length < 8) fail(`truncated: ${bytes.length} bytes, and the length of the header alone takes 8`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  if (headerLength > MAX_HEADER_BYTES)
    fail(`is no safetensors file: its header would have ${headerLength} bytes, more than ${MAX_HEADER_BYTES}`);
  const dataStart = 8 + headerLength;
  if (dataStart > bytes.length)
    fail(`truncated: its header has ${headerLength} bytes, the file ${bytes.length} in all`);

  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, dataStart)));
  } catch (error) {
    fail(`its header is no valid JSON (${error instanceof Error ? error.message : error})`, error);
  }
  if (!isRecord(header)) return fail('its header is no JSON object');

  const metadata = parseMetadata(header.__metadata__, file);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => ({ name, ...parseEntry(file, name, entry) }))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);

  let expected = 0;
  const available = bytes.length - dataStart;
  for (const { name, begin, end } of entries) {
    if (begin !== expected)
      throw new SafetensorsError(
        file,
        name,
        `its data begins at byte ${begin}, ${begin < expected ? 'inside the data before it, which ends' : 'after a gap: the data before it ends'} at ${expected}`,
      );
    if (end > available)
      throw new SafetensorsError(
        file,
        name,
        `truncated: its data ends at byte ${end} of the data, the file has ${available}`,
      );
    expected = end;
  }
  if (expected !== available) fail(`has ${available - expected} bytes after the data of its last tensor`);

  const tensors = new Map<string, SafetensorsTensor>();
  for (const { name, dtype, shape, begin, end } of entries) {
    const at = bytes.byteOffset + dataStart + begin;
    const { BYTES_PER_ELEMENT } = ARRAYS[dtype];
    const [buffer, offset] =
      at % BYTES_PER_ELEMENT === 0 ? [bytes.buffer, at] : [bytes.buffer.slice(at, at - begin + end), 0];
    tensors.set(name, { dtype, shape, data: new ARRAYS[dtype](buffer, offset, sizeOf(shape)) });
  }
  return { tensors, metadata };
}

/**
 * Writes a file: tensors by falling size of their elements and then by name, so that equal contents give equal
 * bytes, and each tensor's data is aligned to its elements.
 *
 * @throws SafetensorsError where a tensor's data does not fit its shape or dtype
 */
export function serializeSafetensors(
  tensors: Iterable<readonly [string, SafetensorsTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const entries = [...tensors].sort(
    ([nameA, a], [nameB, b]) =>
      b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT || (nameA < nameB ? -1 : Number(nameA > nameB)),
  );
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0)
    header.push(['__metadata__', Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)))]);
  let end = 0;
  const names = new Set(['__metadata__']);
  for (const [name, { dtype, shape, data }] of entries) {
    if (names.has(name)) throw new SafetensorsError('safetensors', name, 'the name is reserved or given twice');
    if (!(data instanceof ARRAYS[dtype]) || data.length !== sizeOf(shape))
      throw new SafetensorsError(
        'safetensors',
        name,
        `${data.constructor.name} of ${data.length} elements does not hold ${dtype} ${showShape(shape)}`,
      );
    names.add(name);
    header.push([name, { dtype, shape, data_offsets: [end, end + data.byteLength] }]);
    end += data.byteLength;
  }
  // Written field by field, because an object literal would put names that look like integers first.
  const json = `{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const headerLength = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(text, 8);
  bytes.fill(0x20, 8 + text.length, 8 + headerLength);
  let offset = 8 + headerLength;
  for (const [, { data }] of entries) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/** A tensor of the engine, to be written. Shares its data. */
export function fromHostTensor({ dtype, shape, data }: HostTensor): SafetensorsTensor {
  return { dtype: dtype === 'f32' ? 'F32' : dtype === 'i32' ? 'I32' : 'U32', shape, data };
}

/**
 * A tensor as the engine holds it: floats of any size as f32, integers as i32 (u32 for U32).
 *
 * @throws SafetensorsError where a 64-bit integer does not fit 32 bits
 */
export function toHostTensor({ dtype, shape, data }: SafetensorsTensor, file: string, name: string): HostTensor {
  switch (dtype) {
    case 'F32':
      return { shape, dtype: 'f32', data: data as Float32Array<ArrayBuffer> };
    case 'I32':
      return { shape, dtype: 'i32', data: data as Int32Array<ArrayBuffer> };
    case 'U32':
      return { shape, dtype: 'u32', data: data as Uint32Array<ArrayBuffer> };
    case 'F64':
      return { shape, dtype: 'f32', data: new Float32Array(data as Float64Array) };
    case 'F16':
      return { shape, dtype: 'f32', data: Float32Array.from(data as Uint16Array, float16) };
    case 'BF16': {
      const bits = Uint32Array.from(data as Uint16Array, (half) => half << 16);
      return { shape, dtype: 'f32', data: new Float32Array(bits.buffer) };
    }
    default: {
      const values = new Int32Array(data.length);
      for (let i = 0; i < values.length; i++) {
        const value = Number(data[i]);
        if ((value | 0) !== value)
          throw new SafetensorsError(file, name, `element ${i} is ${data[i]}, which does not fit 32 bits`);
        values[i] = value;
      }
      return { shape, dtype: 'i32', data: values };
    }
  }
}

/** The value of IEEE 754 half-precision bits. */
function float16(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseMetadata(value: unknown, file: string): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value) || Object.values(value).some((text) => typeof text !== 'string'))
    throw new SafetensorsError(file, null, 'its __metadata__ must be an object of strings');
  return value as Record<string, string>;
}

function parseEntry(file: string, name: string, entry: unknown) {
  const fail = (message: string): never => {
    throw new SafetensorsError(file, name, message);
  };
  if (!isRecord(entry)) return fail('its header entry is no JSON object');
  const { dtype, shape, data_offsets: offsets } = entry;
  const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (typeof dtype !== 'string' || !Object.hasOwn(ARRAYS, dtype))
    return fail(`dtype ${JSON.stringify(dtype)} is not one of ${Object.keys(ARRAYS).join(', ')}`);
  if (!Array.isArray(shape) || !shape.every(isSize)) return fail(`shape ${JSON.stringify(shape)} is no list of sizes`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    return fail(`data_offsets ${JSON.stringify(offsets)} are no pair of byte positions`);
  const [begin, end] = offsets as [number, number];
  const needed = sizeOf(shape) * ARRAYS[dtype as SafetensorsDType].BYTES_PER_ELEMENT;
  if (end - begin !== needed)
    return fail(`${dtype} ${showShape(shape)} takes ${needed} bytes, data_offsets give it ${end - begin}`);
  return { dtype: dtype as SafetensorsDType, shape: shape as number[], begin, end };
}
