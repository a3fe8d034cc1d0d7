/** Elements in a `TensorProto` (tensorflow/core/framework/tensor.proto), as V1 checkpoints have them. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { bytesField, type Field, numbersField, readMessage } from './protobuf.js';
import { ARRAYS, type DType } from './tensor_file.js';

/** The field with the values of each element type. Small integers and 16-bit floats are written as variable-length ones. */
const FIELDS: Readonly<Record<DType, number>> = {
  F32: 5,
  F64: 6,
  I32: 7,
  I16: 7,
  I8: 7,
  U16: 7,
  U8: 7,
  I64: 10,
  BOOL: 11,
  F16: 13,
  BF16: 13,
  U32: 16,
  U64: 17,
};

/** As raw bytes, in place of the fields above. */
const TENSOR_CONTENT = 4;

/**
 * Reads the elements of a tensor, or of a slice.
 *
 * @returns their bytes, in memory of their own
 * @throws Error where they are more or fewer than `elements`, or do not fit the type
 */
export function readTensorProto(bytes: Uint8Array, dtype: DType, elements: number): Uint8Array<ArrayBuffer> {
  const fixed = dtype === 'F32' || dtype === 'F64';
  const elementBytes = ARRAYS[dtype].BYTES_PER_ELEMENT;
  // Before memory is taken for them; raw bytes are never the shortest encoding of integers, nor floats'.
  if (elements * (fixed ? elementBytes : 1) > bytes.length)
    throw new Error(`${elements} elements of ${dtype} are not in ${bytes.length} bytes`);
  const out = new Uint8Array(elements * elementBytes);
  const values = new ARRAYS[dtype](out.buffer);
  let done = 0;
  const tooMany = () => new Error(`there are more values than the ${elements} of the shape`);

  const raw = (chunk: Uint8Array) => {
    if (done * elementBytes + chunk.length > out.length) throw tooMany();
    out.set(chunk, done * elementBytes);
    done += chunk.length / elementBytes;
  };
  const variable = (chunk: Uint8Array) => {
    const reader = new BinaryReader(chunk);
    const big = values instanceof BigInt64Array || values instanceof BigUint64Array;
    for (; reader.pos < reader.len; done++) {
      if (done >= elements) throw tooMany();
      if (big) values[done] = BigInt(dtype === 'I64' ? reader.int64() : reader.uint64());
      else {
        const value = dtype === 'BOOL' ? Number(reader.bool()) : dtype === 'U32' ? reader.uint32() : reader.int32();
        values[done] = value;
        if (values[done] !== value) throw new Error(`the value ${value} does not fit ${dtype}`);
      }
    }
  };
  const fields: Record<number, Field> = {
    [FIELDS[dtype]]: fixed
      ? numbersField(dtype === 'F32' ? WireType.Bit32 : WireType.Bit64, raw)
      : numbersField(WireType.Varint, variable),
    [TENSOR_CONTENT]: bytesField(raw),
  };
  readMessage(bytes, fields);
  if (done !== elements) throw new Error(`there are ${done} values, and the shape has ${elements}`);
  return out;
}
