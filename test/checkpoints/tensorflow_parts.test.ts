/** What TensorFlow's checkpoints are made of: ordered keys, slices, checksums, compressed blocks, protocol buffers. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { compress } from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { maskedCrc32c } from '../../src/checkpoints/crc32c.js';
import { uncompressSnappy } from '../../src/checkpoints/snappy.js';
import { isTable, Table, type TableValue } from '../../src/checkpoints/sstable.js';
import { boxesOf, checkDisjoint, readSlice, type Slice, sliceKey } from '../../src/checkpoints/tensorflow_slices.js';
import { readShape, tensorFlowType } from '../../src/checkpoints/tensorflow_types.js';
import { readTensorProto } from '../../src/checkpoints/tensorflow_values.js';
import { memoryFile } from '../../src/platform/files.js';
import { bytesOf, sealBlocks, writeTable } from '../support/table_writer.js';
import { shapeProto, sliceProto } from '../support/tensorflow_writer.js';

const hexOf = (binary: string) => Array.from(binary, (c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');
const full = { start: 0, length: null };

describe('the key of a slice', () => {
  it('is what TensorFlow writes', () => {
    // As in files that TensorFlow wrote: a scalar, and a matrix that is whole.
    expect(hexOf(sliceKey('a', []))).toBe('00' + '610001' + '00');
    expect(hexOf(sliceKey('w', [full, full]))).toBe('00' + '770001' + '0102' + '807f807f');
  });

  // Of Google's ordered code itself.
  it.each([
    [0, '80'],
    [63, 'bf'],
    [64, 'c040'],
    [65, 'c041'],
    [2 ** 31 - 1, 'f87fffffff'],
    [2 ** 31, 'f880000000'],
    [-64, '40'],
    [-65, '3fbf'],
    [-(2 ** 31), '0780000000'],
    [-(2 ** 31) - 1, '077fffffff'],
  ])('encodes %d', (start, code) => {
    expect(hexOf(sliceKey('', [{ start, length: null }]))).toBe(`00${'0001'}${'0101'}${code}7f`);
  });

  it('escapes the bytes that have a meaning, and sorts as its parts do', () => {
    expect(hexOf(sliceKey('\0ÿ', []))).toBe(`00${'00ff'}${'c3bf'}0001${'00'}`);
    const starts = [-9000, -65, -3, 0, 5, 63, 64, 8191, 8192, 2 ** 40];
    const keys = starts.map((start) => sliceKey('n', [{ start, length: 1 }]));
    expect([...keys].sort()).toEqual(keys);
  });
});

describe('slices', () => {
  const part = (...extents: [number, number][]): Slice => extents.map(([start, length]) => ({ start, length }));

  it('are read as they are written', () => {
    const slice = [full, { start: 3, length: 0 }, { start: 0, length: 7 }];
    expect(readSlice(sliceProto(slice))).toEqual(slice);
  });

  it('must lie inside, and add up', () => {
    expect(
      boxesOf(
        [
          [full, ...part([0, 2])],
          [full, ...part([2, 3])],
        ],
        [4, 5],
      ),
    ).toEqual([
      { starts: [0, 0], lengths: [4, 2] },
      { starts: [0, 2], lengths: [4, 3] },
    ]);
    expect(() => boxesOf([part([0, 2])], [2, 2])).toThrow('slice 0 has 1 axes, the tensor 2');
    expect(() => boxesOf([part([0, 2]), part([2, 3])], [4])).toThrow('slice 1 is [3] from [2] of [4]');
    expect(() => boxesOf([part([-1, 4])], [4])).toThrow('slice 0 is [4] from [-1] of [4]');
    expect(() => boxesOf([part([0, 2])], [4])).toThrow('its 1 slices have 2 elements, its shape [4] 4');
  });

  it('must not overlap', () => {
    const check = (slices: Slice[], shape: number[]) => checkDisjoint(boxesOf(slices, shape), shape);
    // A pinwheel: what no cut along an axis takes apart.
    const pinwheel = [
      part([0, 1], [0, 2]),
      part([0, 2], [2, 1]),
      part([2, 1], [1, 2]),
      part([1, 2], [0, 1]),
      part([1, 1], [1, 1]),
    ];
    expect(() => check(pinwheel, [3, 3])).not.toThrow();
    expect(() => check([part([0, 2]), part([1, 2])], [4])).toThrow('its slices overlap, and leave out element 3');
  });
});

describe('checksums', () => {
  it('are CRC32C, masked', () => {
    const masked = (crc: number) => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
    // RFC 3720, appendix B.4, and the check value of the CRC catalogues.
    expect(maskedCrc32c(new Uint8Array(32))).toBe(masked(0x8a9136aa));
    expect(maskedCrc32c(new Uint8Array(32).fill(255))).toBe(masked(0x62a8ab43));
    const digits = new TextEncoder().encode('123456789');
    expect(maskedCrc32c(digits)).toBe(masked(0xe3069283));
    expect(maskedCrc32c(digits.subarray(0, 4), new Uint8Array(), digits.subarray(4))).toBe(masked(0xe3069283));
    expect(maskedCrc32c()).toBe(masked(0));
  });
});

describe('snappy', () => {
  it.each([0, 1, 59, 60, 61, 255, 256, 257, 70_000])('uncompresses %d bytes', (length) => {
    for (const period of [1, 7, 256]) {
      const bytes = Uint8Array.from({ length }, (_, i) =>
        period === 256 ? Math.imul(i, 2654435761) >>> 13 : i % period,
      );
      const uncompressed = uncompressSnappy(compress(bytes));
      expect(uncompressed).toHaveLength(length);
      expect(uncompressed.findIndex((byte, i) => byte !== bytes[i])).toBe(-1);
    }
  });

  it.each([
    ['claims too much', [5, 0, 7], 'holds 1 bytes and claims 5'],
    ['claims too little', [1, 4, 7, 8], 'holds 2 bytes and claims 1'],
    ['claims 4 GB', [255, 255, 255, 255, 15, 0, 7], 'claims 4294967295'],
    ['is cut', [3, 8, 7], 'ends inside an element'],
    ['is cut in a length', [100, 63 << 2, 1], 'ends inside an element'],
    // 4 bytes of length - 1, which as a signed number would lead back to the tag.
    ['would never end', [10, 63 << 2, 0xfa, 0xff, 0xff, 0xff, 0, 0, 0], 'ends inside an element'],
    ['copies from before its beginning', [8, 0, 7, (6 << 2) | 2, 2, 0], 'copies from 2 bytes before byte 1'],
    ['copies from itself', [8, 0, 7, (6 << 2) | 2, 0, 0], 'copies from 0 bytes before byte 1'],
    ['copies from ahead', [8, 0, 7, (6 << 2) | 3, 0xff, 0xff, 0xff, 0xff], 'copies from 4294967295 bytes'],
  ])('refuses a stream that %s', (_, bytes, message) => {
    expect(() => uncompressSnappy(Uint8Array.from(bytes))).toThrow(message);
  });
});

describe('shapes and types', () => {
  it('are read', () => {
    expect(readShape(shapeProto([7, 0, 64]))).toEqual([7, 0, 64]);
    expect(readShape(new Uint8Array())).toEqual([]);
    expect(tensorFlowType(14)).toEqual({ name: 'DT_BFLOAT16', dtype: 'BF16', bytes: 2 });
    expect(tensorFlowType(8)).toMatchObject({ name: 'DT_COMPLEX64', dtype: null });
    expect(tensorFlowType(101)).toMatchObject({ name: 'DT_101', dtype: null });
  });

  it('are refused where they cannot be', () => {
    expect(() => readShape(shapeProto([3, -1]))).toThrow('extent of -1');
    expect(() => readShape(shapeProto([2 ** 30, 2 ** 30]))).toThrow('too many elements');
    expect(() => readShape(shapeProto([0, 2 ** 52]))).toThrow('too many elements');
    expect(() => readShape(shapeProto(new Array(300).fill(1)))).toThrow('more than 254 axes');
    expect(() => readShape(Uint8Array.of(0x18, 1))).toThrow('the shape is not known');
  });
});

describe('values', () => {
  const proto = (field: number) => (values: number[]) => {
    const writer = new BinaryWriter().tag(field, WireType.LengthDelimited).fork();
    for (const value of values) writer.int32(value);
    return writer.join().finish();
  };

  it('fit their type', () => {
    const ints = proto(7);
    expect([...new Int8Array(readTensorProto(ints([-128, 127]), 'I8', 2).buffer)]).toEqual([-128, 127]);
    expect(() => readTensorProto(ints([-128, 128]), 'I8', 2)).toThrow('the value 128 does not fit I8');
    expect(() => readTensorProto(proto(13)([-1]), 'F16', 1)).toThrow('the value -1 does not fit F16');
  });

  it('are as many as there are elements', () => {
    expect(() => readTensorProto(proto(7)([1, 2]), 'I32', 3)).toThrow('there are 2 values, and the shape has 3');
    expect(() => readTensorProto(proto(7)([1, 2]), 'I32', 1)).toThrow('more values than the 1');
    expect(() => readTensorProto(proto(5)([1, 2]), 'I32', 2)).toThrow('there are 0 values, and the shape has 2');
    expect(() => readTensorProto(Uint8Array.of(0x38, 1), 'F32', 0)).not.toThrow();
    expect(() => readTensorProto(Uint8Array.of(0x39, 1, 2, 3, 4, 5, 6, 7, 8), 'I32', 1)).toThrow(
      'field 7 has wire type 1',
    );
  });
});

describe('tables', () => {
  const entries = Array.from(
    { length: 100 },
    (_, i) => [`key ${String(i).padStart(3, '0')}`, Uint8Array.of(i, 1)] as const,
  );

  const collect = async (found: ReturnType<Table['entries']>) => {
    const all: (readonly [string, TableValue])[] = [];
    for await (const entry of found) all.push(entry);
    return all;
  };

  it('find every key, and no other', async () => {
    const { bytes } = writeTable([['', Uint8Array.of(9)], ...entries], { blockBytes: 50 });
    const file = memoryFile(bytes, 't');
    expect(await isTable(file)).toBe(true);
    expect(await isTable(memoryFile(bytes.subarray(0, -1), 't'))).toBe(false);
    const table = await Table.open(file);
    for (const [key, value] of entries) expect((await table.get(key))?.bytes).toEqual(value);
    expect((await table.get(''))?.bytes).toEqual(Uint8Array.of(9));
    for (const key of ['a', 'key 0501', 'key 99', 'z']) expect(await table.get(key)).toBeUndefined();
    const found = await collect(table.entries());
    expect(found.map(([key]) => key)).toEqual(['', ...entries.map(([key]) => key)]);
    // Where a value lies in an uncompressed table.
    for (const [key, { bytes: value, offset }] of found)
      expect(bytes.subarray(offset, offset + value.length), key).toEqual(value);
  });

  it('refuse blocks that are damaged in spite of their checksum', async () => {
    const written = writeTable(entries, { blockBytes: 1e6 });
    const [{ offset, size }] = written.blocks as [{ offset: number; size: number }];
    const change = async (body: (block: Uint8Array) => void) => {
      const bytes = written.bytes.slice();
      body(bytes.subarray(offset, offset + size + 1));
      sealBlocks(bytes, written.blocks);
      return collect((await Table.open(memoryFile(bytes, 't'))).entries());
    };
    expect(await change(() => {})).toHaveLength(100);
    await expect(change((block) => block.fill(0, -5, -1))).rejects.toThrow('claims 0 restart points');
    await expect(change((block) => block.fill(255, -5, -1))).rejects.toThrow('claims 4294967295 restart points');
    await expect(change((block) => block.fill(2, -1))).rejects.toThrow('its compression is of type 2');
    await expect(change((block) => block.fill(9, 0, 1))).rejects.toThrow(
      'shares 9 bytes with the one before, which has 0',
    );
    await expect(change((block) => block.fill(120, 3, 4))).rejects.toThrow('its keys are out of order');
    await expect(change((block) => block.fill(120, 2, 3))).rejects.toThrow(/^t: at byte 0: a block cannot be read/);
  });

  it('refuse keys that would fill the memory', async () => {
    const long = 'k'.repeat(1000);
    const keys = Array.from({ length: 500 }, (_, i) => [long + String(i).padStart(3, '0'), new Uint8Array()] as const);
    const open = async (restartInterval: number) =>
      collect(
        (await Table.open(memoryFile(writeTable(keys, { blockBytes: 1e9, restartInterval }).bytes, 't'))).entries(),
      );
    await expect(open(1e6)).rejects.toThrow('its keys are longer than they can be');
    expect(await open(16)).toHaveLength(500);
  });

  it('refuse an index whose blocks overlap, or go beyond the footer', async () => {
    const block = (offset: number, size: number) => new BinaryWriter().uint64(offset).uint64(size).finish();
    const { bytes, blocks } = writeTable([['a', bytesOf('1')]], {});
    const opening = (index: readonly (readonly [string, Uint8Array])[]) => {
      // The blocks of another table serve as the index of this one.
      const inner = writeTable(index, { blockBytes: 1e6 });
      const { offset, size } = inner.blocks[0]!;
      const moved = inner.bytes.slice(offset, offset + size + 5);
      const footer = new BinaryWriter().raw(block(blocks[1]!.offset, blocks[1]!.size));
      footer.raw(block(bytes.length - 48, moved.length - 5));
      const handles = footer.finish();
      const rest = bytes.slice(-8);
      const file = new BinaryWriter().raw(bytes.subarray(0, -48)).raw(moved).raw(handles);
      return Table.open(
        memoryFile(
          file
            .raw(new Uint8Array(40 - handles.length))
            .raw(rest)
            .finish(),
          't',
        ),
      );
    };
    const { offset, size } = blocks[0]!;
    expect((await (await opening([['a', block(offset, size)]])).get('a'))?.bytes).toEqual(bytesOf('1'));
    await expect(
      opening([
        ['a', block(offset, size)],
        ['b', block(offset, size)],
      ]),
    ).rejects.toThrow('begins before the last one ends');
    await expect(opening([['a', block(offset, 2 ** 40)]])).rejects.toThrow('where the footer begins');
  });
});
