/** Writing safetensors, in memory or tensor by tensor. */
import { type Shape, sameShape, showShape, sizeOf } from '../tensor/types.js';
import { ARRAYS, CheckpointFormatError, type DType, type StoredTensor } from './tensor_file.js';

/** What the header says of a tensor. */
export interface TensorHead {
  readonly dtype: DType;
  readonly shape: Shape;
}

/**
 * The bytes of a file: tensors by falling size of their elements and then by name, so that equal contents give equal
 * bytes, and each tensor's data is aligned to its elements.
 *
 * @throws CheckpointFormatError where a tensor's data does not fit its shape or dtype, or a name is given twice
 */
export function serializeSafetensors(
  tensors: Iterable<readonly [string, StoredTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const { header, order, bytes } = layOut(tensors, metadata);
  const file = new Uint8Array(bytes);
  file.set(header);
  let offset = header.length;
  for (const [name, tensor] of order) {
    const data = dataOf(name, tensor, tensor);
    file.set(data, offset);
    offset += data.length;
  }
  return file;
}

/**
 * The same file in pieces, for a sink such as `writeFileStreamed`: the header, then each tensor, which is read when
 * the one before it has been taken; so one tensor is in memory at a time.
 *
 * @param heads name, dtype and shape of each tensor
 * @param read reads one of them
 * @throws CheckpointFormatError as `serializeSafetensors`, and where what `read` gives is not what its head says
 */
export async function* streamSafetensors(
  heads: Iterable<readonly [string, TensorHead]>,
  read: (name: string) => Promise<StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { header, order } = layOut(heads, metadata);
  yield header;
  for (const [name, head] of order) yield dataOf(name, head, await read(name));
}

/** Header, order of the tensors, and bytes of the whole file. */
function layOut<T extends TensorHead>(
  tensors: Iterable<readonly [string, T]>,
  metadata: Readonly<Record<string, string>>,
): { header: Uint8Array<ArrayBuffer>; order: (readonly [string, T])[]; bytes: number } {
  const order = [...tensors].sort(
    ([nameA, a], [nameB, b]) =>
      ARRAYS[b.dtype].BYTES_PER_ELEMENT - ARRAYS[a.dtype].BYTES_PER_ELEMENT ||
      (nameA < nameB ? -1 : Number(nameA > nameB)),
  );
  const fields: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0)
    fields.push(['__metadata__', Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)))]);
  let end = 0;
  const names = new Set(['__metadata__']);
  for (const [name, { dtype, shape }] of order) {
    if (names.has(name)) fail(name, 'the name is reserved or given twice');
    names.add(name);
    const begin = end;
    end += sizeOf(shape) * ARRAYS[dtype].BYTES_PER_ELEMENT;
    fields.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  // Written field by field, because an object literal would put names that look like integers first.
  const json = `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const header = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(text, 8);
  return { header, order, bytes: header.length + end };
}

function dataOf(name: string, head: TensorHead, { dtype, shape, data }: StoredTensor): Uint8Array<ArrayBuffer> {
  if (dtype !== head.dtype || !sameShape(shape, head.shape))
    fail(name, `${dtype} ${showShape(shape)} was read, ${head.dtype} ${showShape(head.shape)} was announced`);
  if (!(data instanceof ARRAYS[dtype]) || data.length !== sizeOf(shape))
    fail(name, `${data.constructor.name} of ${data.length} elements does not hold ${dtype} ${showShape(shape)}`);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function fail(tensor: string, message: string): never {
  throw new CheckpointFormatError('safetensors', { tensor }, message);
}
