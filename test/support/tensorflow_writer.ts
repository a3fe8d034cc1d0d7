/** Writes TensorFlow checkpoints of both formats, for tests that read them. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { maskedCrc32c } from '../../src/checkpoints/crc32c.js';
import { binaryString } from '../../src/checkpoints/sstable.js';
import { ARRAYS, type DType, type StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { type Slice, sliceKey } from '../../src/checkpoints/tensorflow_slices.js';
import { type Shape, sizeOf, stridesOf } from '../../src/tensor/types.js';
import { type Block, type TableEntry, type TableOptions, writeTable } from './table_writer.js';

/** Numbers of TensorFlow's `DataType`. */
export const DATA_TYPES: Readonly<Record<DType, number>> = {
  F32: 1,
  F64: 2,
  I32: 3,
  U8: 4,
  I16: 5,
  I8: 6,
  I64: 9,
  BOOL: 10,
  BF16: 14,
  U16: 17,
  F16: 19,
  U32: 22,
  U64: 23,
};
export const DT_STRING = 7;

export interface WrittenTensor extends StoredTensor {
  /** Partitioned in parts of so many elements along this axis. */
  readonly partition?: { readonly axis: number; readonly sizes: readonly number[] };
}

/** What is no tensor of numbers: its type, shape and bytes. */
export interface WrittenBytes {
  readonly type: number;
  readonly shape: Shape;
  readonly data: Uint8Array;
}

export interface V1Options extends TableOptions {
  /** How values are stored: packed, as TensorFlow does; one by one, as old writers do; as raw bytes. */
  readonly values?: 'packed' | 'unpacked' | 'content';
}

export interface V2Options extends TableOptions {
  readonly shards?: number;
}

/** A V1 checkpoint. */
export function tensorFlowV1(
  tensors: Iterable<readonly [string, WrittenTensor]>,
  options: V1Options = {},
): { bytes: Uint8Array<ArrayBuffer>; blocks: Block[] } {
  return writeTable(v1Entries(tensors, options.values), options);
}

/** The keys and values of a V1 checkpoint's table. */
export function v1Entries(
  tensors: Iterable<readonly [string, WrittenTensor]>,
  values: V1Options['values'] = 'packed',
): TableEntry[] {
  const list = new BinaryWriter();
  const entries: TableEntry[] = [];
  for (const [name, tensor] of tensors) {
    const meta = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
    meta.tag(2, WireType.LengthDelimited).bytes(shapeProto(tensor.shape));
    meta.tag(3, WireType.Varint).int32(DATA_TYPES[tensor.dtype]);
    for (const { slice, data } of partsOf(tensor)) {
      meta.tag(4, WireType.LengthDelimited).bytes(sliceProto(slice));
      const saved = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
      saved.tag(2, WireType.LengthDelimited).bytes(sliceProto(slice));
      saved.tag(3, WireType.LengthDelimited).bytes(tensorProto(tensor.dtype, data, values));
      const value = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(saved.finish()).finish();
      entries.push([sliceKey(name, slice), value]);
    }
    list.tag(1, WireType.LengthDelimited).bytes(meta.finish());
  }
  list.tag(2, WireType.LengthDelimited).bytes(versions());
  return [['', new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(list.finish()).finish()], ...entries];
}

/**
 * A V2 checkpoint. Parts go to the shards in turn.
 *
 * @param prefix of the files' names
 */
export function tensorFlowV2(
  tensors: Iterable<readonly [string, WrittenTensor | WrittenBytes]>,
  prefix: string,
  options: V2Options = {},
): { files: Map<string, Uint8Array<ArrayBuffer>>; blocks: Block[] } {
  const { entries, shards } = v2Entries(tensors, options.shards);
  const { bytes, blocks } = writeTable(entries, options);
  const five = (number: number) => String(number).padStart(5, '0');
  const files = new Map([[`${prefix}.index`, bytes]]);
  for (const [place, shard] of shards.entries())
    files.set(`${prefix}.data-${five(place)}-of-${five(shards.length)}`, shard);
  return { files, blocks };
}

/** The keys and values of a V2 checkpoint's index, and its data. */
export function v2Entries(
  tensors: Iterable<readonly [string, WrittenTensor | WrittenBytes]>,
  count = 1,
): { entries: TableEntry[]; shards: Uint8Array<ArrayBuffer>[] } {
  const shards = Array.from({ length: count }, () => ({ writer: new BinaryWriter(), size: 0 }));
  let turn = 0;
  const stored = (type: number, shape: Shape, data: Uint8Array) => {
    const number = turn++ % count;
    const shard = shards[number]!;
    const entry = new BinaryWriter().tag(1, WireType.Varint).int32(type);
    entry.tag(2, WireType.LengthDelimited).bytes(shapeProto(shape));
    // As in proto3, zeros are left out.
    if (number > 0) entry.tag(3, WireType.Varint).int32(number);
    if (shard.size > 0) entry.tag(4, WireType.Varint).int64(shard.size);
    if (data.length > 0) entry.tag(5, WireType.Varint).int64(data.length);
    entry.tag(6, WireType.Bit32).fixed32(maskedCrc32c(data));
    shard.writer.raw(data);
    shard.size += data.length;
    return entry.finish();
  };

  const header = new BinaryWriter()
    .tag(1, WireType.Varint)
    .int32(count)
    .tag(3, WireType.LengthDelimited)
    .bytes(versions());
  const entries: TableEntry[] = [['', header.finish()]];
  for (const [name, tensor] of tensors) {
    const key = binaryString(new TextEncoder().encode(name));
    if ('type' in tensor) entries.push([key, stored(tensor.type, tensor.shape, tensor.data)]);
    else if (!tensor.partition) entries.push([key, stored(DATA_TYPES[tensor.dtype], tensor.shape, rawBytes(tensor))]);
    else {
      const type = DATA_TYPES[tensor.dtype];
      const whole = new BinaryWriter().tag(1, WireType.Varint).int32(type);
      whole.tag(2, WireType.LengthDelimited).bytes(shapeProto(tensor.shape));
      for (const { slice, shape, data } of partsOf(tensor)) {
        whole.tag(7, WireType.LengthDelimited).bytes(sliceProto(slice));
        entries.push([sliceKey(name, slice), stored(type, shape, data)]);
      }
      entries.push([key, whole.finish()]);
    }
  }
  return { entries, shards: shards.map(({ writer }) => new Uint8Array(writer.finish())) };
}

function rawBytes({ data }: StoredTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The slices of a tensor with their elements. */
function partsOf(tensor: WrittenTensor): { slice: Slice; shape: Shape; data: Uint8Array }[] {
  const { shape, partition } = tensor;
  const full = shape.map(() => ({ start: 0, length: null }));
  if (!partition) return [{ slice: full, shape, data: rawBytes(tensor) }];
  const { axis, sizes } = partition;
  const bytes = rawBytes(tensor);
  const row = stridesOf(shape)[axis]! * tensor.data.BYTES_PER_ELEMENT;
  const outer = sizeOf(shape.slice(0, axis));
  let start = 0;
  return sizes.map((length) => {
    const data = new Uint8Array(outer * length * row);
    for (let place = 0; place < outer; place++) {
      const from = (place * shape[axis]! + start) * row;
      data.set(bytes.subarray(from, from + length * row), place * length * row);
    }
    const slice = full.map((extent, other) => (other === axis ? { start, length } : extent));
    start += length;
    return { slice, shape: shape.with(axis, length), data };
  });
}

function versions(): Uint8Array {
  return new BinaryWriter().tag(1, WireType.Varint).int32(1).finish();
}

export function shapeProto(shape: Shape): Uint8Array {
  const proto = new BinaryWriter();
  for (const extent of shape)
    proto.tag(2, WireType.LengthDelimited).fork().tag(1, WireType.Varint).int64(extent).join();
  return proto.finish();
}

export function sliceProto(slice: Slice): Uint8Array {
  const proto = new BinaryWriter();
  for (const { start, length } of slice) {
    proto.tag(1, WireType.LengthDelimited).fork();
    if (start !== 0) proto.tag(1, WireType.Varint).int64(start);
    if (length !== null) proto.tag(2, WireType.Varint).int64(length);
    proto.join();
  }
  return proto.finish();
}

/** A `TensorProto` without type and shape, as checkpoints have it. */
function tensorProto(dtype: DType, data: Uint8Array, values: V1Options['values']): Uint8Array {
  const proto = new BinaryWriter();
  if (values === 'content') return proto.tag(4, WireType.LengthDelimited).bytes(data).finish();
  const encodings = dtype === 'F32' || dtype === 'F64' ? fixedOf(dtype, data) : variableOf(dtype, data);
  const { field, wireType, elements } = encodings;
  if (values === 'unpacked') for (const element of elements()) proto.tag(field, wireType).raw(element);
  else {
    proto.tag(field, WireType.LengthDelimited);
    if (wireType !== WireType.Varint) return proto.bytes(data).finish();
    proto.fork();
    for (const element of elements()) proto.raw(element);
    proto.join();
  }
  return proto.finish();
}

interface Encodings {
  readonly field: number;
  readonly wireType: WireType;
  /** The encoding of each element, without tags. */
  readonly elements: () => Iterable<Uint8Array>;
}

function fixedOf(dtype: 'F32' | 'F64', data: Uint8Array): Encodings {
  const size = dtype === 'F32' ? 4 : 8;
  const elements = function* () {
    for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
  };
  return { field: dtype === 'F32' ? 5 : 6, wireType: dtype === 'F32' ? WireType.Bit32 : WireType.Bit64, elements };
}

function variableOf(dtype: Exclude<DType, 'F32' | 'F64'>, data: Uint8Array): Encodings {
  const fields = { I32: 7, I16: 7, I8: 7, U16: 7, U8: 7, I64: 10, BOOL: 11, F16: 13, BF16: 13, U32: 16, U64: 17 };
  const values = new ARRAYS[dtype](data.slice().buffer);
  const elements = function* () {
    for (const value of values) {
      const writer = new BinaryWriter();
      if (dtype === 'U64') writer.uint64(value);
      else if (dtype === 'U32') writer.uint32(Number(value));
      else writer.int64(value);
      yield writer.finish();
    }
  };
  return { field: fields[dtype], wireType: WireType.Varint, elements };
}
