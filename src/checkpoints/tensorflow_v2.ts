/**
 * TensorFlow V2 checkpoints, its "tensor bundles": a table of the tensors, `model.ckpt.index`, and files of their
 * elements beside it, `model.ckpt.data-00000-of-00002` and so on (tensorflow/core/protobuf/tensor_bundle.proto).
 */
import type { RandomAccessFile } from '../platform/files.js';
import { type Shape, sameShape, showShape, sizeOf } from '../tensor/types.js';
import { maskedCrc32c } from './crc32c.js';
import { bytesField, decoding, integerField, readMessage, wordField } from './protobuf.js';
import { isSize, requireEntry, tensorOf } from './reading.js';
import { hex, type Table, type TableValue } from './sstable.js';
import { ARRAYS, CheckpointFormatError, type TensorEntry, type TensorFile } from './tensor_file.js';
import { type Box, boxesOf, checkDisjoint, placePart, readSlice, sliceKey } from './tensorflow_slices.js';
import { checkVersions, readShape, tensorFlowType } from './tensorflow_types.js';

/** Where elements lie: a range of bytes of a shard, and their masked CRC32C. */
interface Range {
  readonly shard: number;
  readonly offset: number;
  readonly size: number;
  readonly checksum: number;
}

interface Entry extends TensorEntry {
  /** One, unless the tensor is partitioned. */
  readonly parts: readonly { readonly range: Range; readonly box: Box }[];
}

/**
 * The tensors of a V2 checkpoint. Elements are read when asked for; a shard that no one asks for may be missing.
 *
 * @param header the value of the table's first key
 * @throws CheckpointFormatError where the table is damaged, or is named otherwise than `*.index`
 */
export async function tensorFlowV2(table: Table, header: TableValue): Promise<TensorFile> {
  const file = table.file.name;
  const shards = decoding({ file, offset: header.offset }, 'the header', () => readHeader(header.bytes));
  const prefix = /([^/\\]+)\.index$/.exec(file)?.[1];
  if (prefix === undefined)
    throw new CheckpointFormatError(
      file,
      {},
      'is the index of a checkpoint, and must be named *.index for its data to be found',
    );
  const entries = await readEntries(table, shards);

  const open = new Map<number, Promise<RandomAccessFile>>();
  const openShard = (shard: number) => {
    const five = (number: number) => String(number).padStart(5, '0');
    const opened = open.get(shard) ?? table.file.sibling(`${prefix}.data-${five(shard)}-of-${five(shards)}`);
    open.set(shard, opened);
    return opened;
  };
  const readRange = async (name: string, { shard, offset, size, checksum }: Range) => {
    const data = await openShard(shard);
    const place = { tensor: name, offset };
    if (offset + size > data.size)
      throw new CheckpointFormatError(
        data.name,
        place,
        `truncated: it takes ${size} bytes from here, and the file has ${data.size} in all`,
      );
    const bytes = await data.read(offset, size);
    const actual = maskedCrc32c(bytes);
    if (actual !== checksum)
      throw new CheckpointFormatError(
        data.name,
        place,
        `is damaged: its checksum is ${hex(actual)}, the index says ${hex(checksum)}`,
      );
    return bytes;
  };
  return {
    format: 'tensorflow-v2',
    file,
    entries,
    metadata: {},
    read: async (name) => {
      const { dtype, shape, bytes, parts } = requireEntry(file, entries, name);
      if (parts.length === 1) return tensorOf(dtype, shape, await readRange(name, parts[0]!.range));
      const files = await Promise.all([...new Set(parts.map(({ range }) => range.shard))].map(openShard));
      // Slices don't overlap, so neither do their bytes.
      const available = files.reduce((sum, { size }) => sum + size, 0);
      if (bytes > available)
        throw new CheckpointFormatError(file, { tensor: name }, `has ${bytes} bytes, its data files ${available}`);
      decoding({ file, tensor: name }, 'the list of its slices', () =>
        checkDisjoint(
          parts.map(({ box }) => box),
          shape,
        ),
      );
      const whole = new Uint8Array(bytes);
      for (const { range, box } of parts)
        placePart(await readRange(name, range), box, whole, shape, ARRAYS[dtype].BYTES_PER_ELEMENT);
      return tensorOf(dtype, shape, whole);
    },
    [Symbol.asyncDispose]: async () => {
      const opened = await Promise.allSettled(open.values());
      for (const result of opened) if (result.status === 'fulfilled') await result.value[Symbol.asyncDispose]();
      await table.file[Symbol.asyncDispose]();
    },
  };
}

/** Reads a `BundleHeaderProto`. Returns the number of shards. */
function readHeader(bytes: Uint8Array): number {
  let shards = 0;
  let endianness = 0;
  readMessage(bytes, {
    1: integerField((value) => {
      shards = value;
    }),
    2: integerField((value) => {
      endianness = value;
    }),
    3: bytesField(checkVersions),
  });
  if (endianness !== 0) throw new Error('the checkpoint is big-endian, which is not supported');
  if (shards < 1 || shards > 99999) throw new Error(`there would be ${shards} data files`);
  return shards;
}

/** A `BundleEntryProto`. */
interface Listed {
  readonly type: number;
  readonly shape: Shape;
  readonly range: Range;
  /** Of a partitioned tensor: its `TensorSliceProto`s. */
  readonly slices: readonly Uint8Array[];
}

async function readEntries(table: Table, shards: number): Promise<ReadonlyMap<string, Entry>> {
  const file = table.file.name;
  const named = new Map<string, TableValue>();
  /** Parts of partitioned tensors, by `sliceKey`. */
  const parts = new Map<string, TableValue>();
  for await (const [key, value] of table.entries())
    if (key.startsWith('\0')) parts.set(key, value);
    else if (key !== '')
      named.set(
        decoding({ file, offset: value.offset }, 'a name', () => utf8Of(key)),
        value,
      );

  const entries = new Map<string, Entry>();
  for (const [name, { bytes, offset }] of named)
    entries.set(
      name,
      decoding({ file, tensor: name, offset }, 'its entry', () =>
        entryOf(name, readEntry(bytes, shards), (key) => {
          const part = parts.get(key);
          return part && readEntry(part.bytes, shards);
        }),
      ),
    );
  return entries;
}

/** Reads a `BundleEntryProto`. */
function readEntry(bytes: Uint8Array, shards: number): Listed {
  let type = 0;
  let shape: Uint8Array = new Uint8Array();
  let shard = 0;
  let offset = 0;
  let size = 0;
  let checksum = 0;
  const slices: Uint8Array[] = [];
  readMessage(bytes, {
    1: integerField((value) => {
      type = value;
    }),
    2: bytesField((value) => {
      shape = value;
    }),
    3: integerField((value) => {
      shard = value;
    }),
    4: integerField((value) => {
      offset = value;
    }),
    5: integerField((value) => {
      size = value;
    }),
    6: wordField((value) => {
      checksum = value;
    }),
    7: bytesField((value) => {
      slices.push(value);
    }),
  });
  if (shard < 0 || shard >= shards) throw new Error(`it lies in shard ${shard} of ${shards}`);
  if (![offset, size, offset + size].every(isSize)) throw new Error(`it has ${size} bytes from byte ${offset}`);
  return { type, shape: readShape(shape), range: { shard, offset, size, checksum }, slices };
}

function entryOf(name: string, listed: Listed, partAt: (key: string) => Listed | undefined): Entry {
  const { shape } = listed;
  const type = tensorFlowType(listed.type);
  const elementBytes = type.bytes;
  const entry = { name, dtype: type.dtype, storedAs: type.name, shape };
  const slices = listed.slices.map(readSlice);
  const boxes = slices.length > 0 ? boxesOf(slices, shape) : [{ starts: shape.map(() => 0), lengths: shape }];
  const parts = boxes.map((box, place) => {
    const part = slices.length > 0 ? partAt(sliceKey(name, slices[place]!)) : listed;
    if (!part) throw new Error(`slice ${showShape(box.lengths)} from ${showShape(box.starts)} is not in the index`);
    if (part.type !== listed.type || !sameShape(part.shape, box.lengths))
      throw new Error(
        `slice ${place} is ${tensorFlowType(part.type).name} ${showShape(part.shape)}, not ${type.name} ${showShape(box.lengths)}`,
      );
    const { range } = part;
    const bytes = sizeOf(box.lengths) * elementBytes;
    // Of strings the size is no multiple of their number.
    if (elementBytes > 0 && range.size !== bytes)
      throw new Error(`${type.name} ${showShape(box.lengths)} takes ${bytes} bytes, it has ${range.size}`);
    return { range, box };
  });
  return { ...entry, bytes: parts.reduce((sum, { range }) => sum + range.size, 0), parts };
}

/** The text that is encoded in a string of one character a byte. */
function utf8Of(binary: string): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(binary, (c) => c.charCodeAt(0)));
}
