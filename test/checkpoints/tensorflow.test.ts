import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';
import { ARRAYS, CheckpointFormatError, type DType, type StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { openTensorFlow, tensorFlowIndexName } from '../../src/checkpoints/tensorflow.js';
import { sliceKey } from '../../src/checkpoints/tensorflow_slices.js';
import { FileError, memoryFile, type RandomAccessFile } from '../../src/platform/files.js';
import { Random } from '../../src/tensor/random.js';
import { type Shape, sizeOf } from '../../src/tensor/types.js';
import { countingFile, type ReadCounts } from '../support/counting_file.js';
import { sealBlocks, writeTable } from '../support/table_writer.js';
import {
  DATA_TYPES,
  DT_STRING,
  shapeProto,
  sliceProto,
  tensorFlowV1,
  tensorFlowV2,
  v2Entries,
  type WrittenTensor,
} from '../support/tensorflow_writer.js';

/** A tensor of random bits, none of which is a NaN of a float that comparisons would not see. */
function randomTensor(dtype: DType, shape: Shape, index: number): StoredTensor {
  const random = new Random({ seed: 7, stream: 99, index });
  const data = new ARRAYS[dtype](new ArrayBuffer(sizeOf(shape) * ARRAYS[dtype].BYTES_PER_ELEMENT));
  for (let i = 0; i < data.length; i++) {
    const word = random.uint32();
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = (BigInt(word) << 32n) | BigInt(i);
    else data[i] = dtype === 'BOOL' ? word & 1 : dtype === 'F32' || dtype === 'F64' ? word / 2 ** 31 - 1 : word;
  }
  return { dtype, shape, data };
}

const DTYPES = Object.keys(ARRAYS) as DType[];

/** One tensor of each type, and shapes and names that are special; three of them partitioned. */
const tensors = new Map<string, WrittenTensor>([
  ...DTYPES.map((dtype, index) => [`net/${dtype}`, randomTensor(dtype, [2, 3, 5], index)] as const),
  ['global_step', randomTensor('I64', [], 100)],
  ['empty', randomTensor('F32', [0, 4], 101)],
  ['größe/权重', randomTensor('F32', [3], 102)],
  ['rows', { ...randomTensor('F32', [150, 4], 103), partition: { axis: 0, sizes: [70, 0, 80] } }],
  ['columns', { ...randomTensor('I16', [4, 5, 6], 104), partition: { axis: 1, sizes: [2, 1, 2] } }],
  ['last', { ...randomTensor('F64', [3, 100], 105), partition: { axis: 1, sizes: [99, 1] } }],
]);

async function expectAll(file: RandomAccessFile, expected: ReadonlyMap<string, StoredTensor>): Promise<void> {
  await using opened = await openTensorFlow(file);
  expect([...opened.entries.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, { dtype, shape, data }] of expected) {
    expect(opened.entries.get(name)).toMatchObject({ name, dtype, shape, bytes: data.byteLength });
    expect(await opened.read(name)).toEqual({ dtype, shape, data });
  }
}

describe('V1', () => {
  it.each([
    { blockBytes: 1 },
    { blockBytes: 400, snappy: true },
    { blockBytes: 2 ** 18, values: 'unpacked' },
    { blockBytes: 400, values: 'content', restartInterval: 1 },
  ] as const)('reads what was written with %o', async (options) => {
    const { bytes, blocks } = tensorFlowV1(tensors, options);
    if (options.blockBytes < 1000) expect(blocks.length).toBeGreaterThan(6);
    await expectAll(memoryFile(bytes, 'model.ckpt'), tensors);
  });

  it('lists tensors in the order of the file', async () => {
    const opened = await openTensorFlow(memoryFile(tensorFlowV1(tensors).bytes, 'model.ckpt'));
    expect(opened.format).toBe('tensorflow-v1');
    expect([...opened.entries.keys()]).toEqual([...tensors.keys()]);
    expect(opened.entries.get('net/F16')?.storedAs).toBe('DT_HALF');
  });

  it('names the tensor that is damaged, and where; others are read', async () => {
    const { bytes, blocks } = tensorFlowV1(tensors, { blockBytes: 1 });
    // Keys sort by name: the first block is the list, the second the first slice of `columns`.
    const { offset, size } = blocks[1]!;
    bytes[offset + size - 20]! ^= 4;
    const opened = await openTensorFlow(memoryFile(bytes, 'a/model.ckpt'));
    const error = await opened.read('columns').catch((caught) => caught);
    expect(error).toBeInstanceOf(CheckpointFormatError);
    expect(error).toMatchObject({ file: 'a/model.ckpt', offset });
    expect(error.message).toMatch(
      /^a\/model\.ckpt: at byte \d+: a block cannot be read: its checksum is 0x\w{8}, the file says/,
    );
    expect((await opened.read('rows')).data).toEqual(tensors.get('rows')?.data);
  });

  it('refuses a shape that the values do not fill, before taking memory for it', async () => {
    const tensor = randomTensor('F32', [6], 0);
    const { bytes } = tensorFlowV1([['w', { ...tensor, shape: [30_000, 50_000] }]]);
    const opened = await openTensorFlow(memoryFile(bytes, 'm'));
    await expect(opened.read('w')).rejects.toThrow(
      /m: at byte \d+: tensor w: .*1500000000 elements of F32 are not in \d+ bytes/,
    );
    const more = await openTensorFlow(memoryFile(tensorFlowV1([['w', { ...tensor, shape: [5] }]]).bytes, 'm'));
    await expect(more.read('w')).rejects.toThrow('there are more values than the 5 of the shape');
    await expect(more.read('v')).rejects.toMatchObject({
      tensor: 'v',
      message: expect.stringContaining('has 1 tensors'),
    });
  });
});

describe('V2', () => {
  const memory = (files: Map<string, Uint8Array>, name = 'model.ckpt-12.index') =>
    memoryFile(files.get(name)!, name, files);

  it.each([{ shards: 1 }, { shards: 3, blockBytes: 60 }, { shards: 2, blockBytes: 300, snappy: true }])(
    'reads what was written with %o',
    async (options) => {
      const { files, blocks } = tensorFlowV2(tensors, 'model.ckpt-12', options);
      expect(files.size).toBe(options.shards + 1);
      if (options.blockBytes) expect(blocks.length).toBeGreaterThan(4);
      await expectAll(memory(files), tensors);
    },
  );

  it('lists strings, which it does not read', async () => {
    const data = new TextEncoder().encode('\u0005hello');
    const { files } = tensorFlowV2([['text', { type: DT_STRING, shape: [1], data }]], 'm');
    const opened = await openTensorFlow(memory(files, 'm.index'));
    expect(opened.entries.get('text')).toMatchObject({ dtype: null, storedAs: 'DT_STRING', shape: [1], bytes: 6 });
    await expect(opened.read('text')).rejects.toThrow('m.index: tensor text: is stored as DT_STRING');
  });

  it('names the data file in which a tensor is damaged or cut off, and the one that is missing', async () => {
    const { files } = tensorFlowV2(
      [0, 1, 2].map((index) => [`w${index}`, randomTensor('F32', [8], index)]),
      'm',
      { shards: 3 },
    );
    files.get('m.data-00000-of-00003')![5]! ^= 1;
    files.set('m.data-00001-of-00003', files.get('m.data-00001-of-00003')!.slice(0, 31));
    files.delete('m.data-00002-of-00003');
    const opened = await openTensorFlow(memory(files, 'm.index'));
    await expect(opened.read('w0')).rejects.toMatchObject({ file: 'm.data-00000-of-00003', tensor: 'w0', offset: 0 });
    await expect(opened.read('w0')).rejects.toThrow(/is damaged: its checksum is 0x/);
    await expect(opened.read('w1')).rejects.toThrow('it takes 32 bytes from here, and the file has 31 in all');
    await expect(opened.read('w2')).rejects.toBeInstanceOf(FileError);
    await expect(opened.read('w2')).rejects.toThrow('m.data-00002-of-00003');
  });

  it('refuses a partitioned tensor that its data files cannot hold, before taking memory for it', async () => {
    const half = 2 ** 29;
    const type = (shape: Shape) =>
      new BinaryWriter()
        .tag(1, WireType.Varint)
        .int32(DATA_TYPES.F32)
        .tag(2, WireType.LengthDelimited)
        .bytes(shapeProto(shape));
    const whole = type([2 * half]);
    const parts = [0, half].map((start) => {
      const slice = [{ start, length: half }];
      whole.tag(7, WireType.LengthDelimited).bytes(sliceProto(slice));
      return [
        sliceKey('w', slice),
        type([half])
          .tag(5, WireType.Varint)
          .int64(4 * half)
          .finish(),
      ] as const;
    });
    const { entries, shards } = v2Entries([['v', randomTensor('F32', [2], 0)]]);
    const { bytes } = writeTable([...entries, ['w', whole.finish()], ...parts]);
    const opened = await openTensorFlow(memoryFile(bytes, 'm.index', new Map([['m.data-00000-of-00001', shards[0]!]])));
    await expect(opened.read('w')).rejects.toThrow('m.index: tensor w: has 4294967296 bytes, its data files 8');
    expect((await opened.read('v')).shape).toEqual([2]);
  });

  it('refuses big-endian files and indices of another name', async () => {
    const { files, blocks } = tensorFlowV2([['w', randomTensor('F32', [2], 0)]], 'm');
    const index = files.get('m.index')!;
    await expect(openTensorFlow(memoryFile(index, 'm.idx'))).rejects.toThrow('must be named *.index');
    const big = index.slice();
    // The header's value: num_shards 1, version {producer 1}. The latter becomes endianness 1 and an unknown field.
    const at = index.indexOf(0x1a);
    big.set([0x10, 1, 0x20, 1], at);
    sealBlocks(big, blocks);
    await expect(openTensorFlow(memoryFile(big, 'm.index'))).rejects.toThrow('the checkpoint is big-endian');
  });
});

describe('what is opened', () => {
  it('maps the name of a checkpoint to its index', () => {
    for (const name of ['m.ckpt-3', 'm.ckpt-3.index', 'm.ckpt-3.meta', 'm.ckpt-3.data-00001-of-00002'])
      expect(tensorFlowIndexName(`runs/${name}`)).toBe('runs/m.ckpt-3.index');
  });

  it('says what another file is', async () => {
    const open = (name: string, bytes = new Uint8Array(100)) => openTensorFlow(memoryFile(bytes, name));
    await expect(open('x.ckpt')).rejects.toThrow('x.ckpt: is no TensorFlow checkpoint');
    await expect(open('x', new Uint8Array(3))).rejects.toThrow('is no TensorFlow checkpoint');
  });
});

describe('21 MB', () => {
  const largeTensor = (shape: Shape, unit: number): StoredTensor => {
    const data = new Float32Array(sizeOf(shape));
    for (let i = 0; i < data.length; i++) data[i] = Math.imul(i + unit, 2654435761);
    return { dtype: 'F32', shape, data };
  };
  /** Ten large tensors, with small ones in between that share blocks, as in a residual network. */
  const many = new Map(
    Array.from({ length: 10 }, (_, unit) => [
      [`unit_${unit}/weights`, largeTensor([1, 1, 525, 1000], unit)] as const,
      ...['beta', 'gamma', 'moving_mean', 'moving_variance'].map(
        (name, place) => [`unit_${unit}/BatchNorm/${name}`, randomTensor('F32', [256], unit * 4 + place)] as const,
      ),
    ])
      .flat()
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  const total = [...many.values()].reduce((sum, { data }) => sum + data.byteLength, 0);

  /** @param opening bytes that opening may read */
  const expectOnce = async (file: RandomAccessFile, counts: readonly ReadCounts[], opening: number) => {
    const read = () => counts.reduce((sum, { bytes }) => sum + bytes, 0);
    await using opened = await openTensorFlow(file);
    expect(read()).toBeLessThan(opening);
    for (const [name, { data }] of many) {
      const tensor = await opened.read(name);
      expect(tensor.data.byteLength).toBe(data.byteLength);
      expect(tensor.data.subarray(-1)).toEqual(data.subarray(-1));
    }
    expect(read()).toBeGreaterThan(total);
    expect(read()).toBeLessThan(1.02 * total);
  };

  it('of V1 are read once, and but for the first block not when opened', async () => {
    const { bytes } = tensorFlowV1(many, { blockBytes: 2 ** 18 });
    const { file, counts } = countingFile(memoryFile(bytes, 'resnet.ckpt'));
    // Beside the list, the first block has the first tensors, the last of which may be a large one.
    const block = 2_100_000 + 2 ** 18 + 1000;
    await expectOnce(file, [counts], block + 10_000);
    // A block ends with the entry that fills it, so that none is much longer than the largest tensor.
    expect(counts.largest).toBeLessThan(block);
  });

  it('of V2 are read once, and not when opened', async () => {
    const { files } = tensorFlowV2(many, 'resnet', { shards: 2 });
    const index = countingFile(memoryFile(files.get('resnet.index')!, 'resnet.index', files));
    const all = [index.counts];
    const sibling = async (name: string) => {
      const shard = countingFile(await index.file.sibling(name));
      all.push(shard.counts);
      return shard.file;
    };
    await expectOnce({ ...index.file, sibling }, all, 10_000);
    expect(all).toHaveLength(3);
    expect(Math.max(...all.map(({ largest }) => largest))).toBe(2_100_000);
  });
});
