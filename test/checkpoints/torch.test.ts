/** What PyTorch's own files (open.test.ts) do not show: limits, damage, malice, size. */
import { describe, expect, it } from 'vitest';
import { openTensorFile } from '../../src/checkpoints/open.js';
import { CheckpointFormatError, type StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { memoryFile } from '../../src/platform/files.js';
import { checkpointGolden } from '../support/checkpoints.js';
import { countingFile } from '../support/counting_file.js';
import { archive, dictionary, tensor } from '../support/torch_pickles.js';
import { global, legacyTorchFile, pickle, text, torchFile, tuple } from '../support/torch_writer.js';

const MARK = 0x28;
const TUPLE = 0x74;
const REDUCE = 0x52;
const EMPTY_LIST = 0x5d;

const open = (bytes: Uint8Array) => openTensorFile(memoryFile(bytes, 'run/a.pth'));

async function failure(bytes: Uint8Array, read?: string): Promise<CheckpointFormatError> {
  const attempt = async () => {
    const file = await open(bytes);
    if (read !== undefined) await file.read(read);
  };
  const error: unknown = await attempt().catch((caught: unknown) => caught);
  if (!(error instanceof CheckpointFormatError)) throw new Error('no CheckpointFormatError', { cause: error });
  expect(error.file).toBe('run/a.pth');
  return error;
}

describe('names', () => {
  it('keeps numbers and texts beside the tensors as metadata', async () => {
    await using file = await openTensorFile(await checkpointGolden('training.pth'));
    expect(file.metadata).toMatchObject({
      epoch: '7',
      arch: 'toy',
      done: 'false',
      best: 'numpy.generic',
      rng: 'numpy.ndarray',
      args: 'argparse.Namespace',
      device: 'torch.device',
    });
    expect(file.metadata).not.toHaveProperty('losses');
    expect(file.entries.get('0.weight')).toEqual({
      name: '0.weight',
      dtype: 'F32',
      storedAs: 'torch.FloatStorage',
      shape: [3, 2, 2, 2],
      bytes: 96,
    });
  });

  it('lists what cannot be read, and says so', async () => {
    await using file = await openTensorFile(await checkpointGolden('odd.pth'));
    expect(file.entries.get('quantised')).toMatchObject({ dtype: null, storedAs: 'torch.QInt8Storage', shape: [3] });
    await expect(file.read('complex')).rejects.toThrow(
      'odd.pth: tensor complex: is stored as torch.ComplexFloatStorage, which cannot be read as numbers',
    );
  });

  it('cannot reach a prototype', async () => {
    const keys = ['__proto__', 'constructor', 'toString'];
    const inner = (key: string) => [...text(key), ...dictionary([...text('polluted'), ...tensor(0, [1], [1])])];
    await using file = await open(archive(dictionary(...keys.map(inner), [...text('__proto__'), ...text('x')])));
    // The later `__proto__` takes the place of the first, as in Python.
    expect([...file.entries.keys()]).toEqual(['constructor.polluted', 'toString.polluted']);
    expect(Object.entries(file.metadata)).toEqual([['__proto__', 'x']]);
    expect(Object.getPrototypeOf(file.metadata)).toBe(Object.prototype);
    expect({}).not.toHaveProperty('polluted');
  });

  it.each([
    [
      'two tensors of one name',
      dictionary(
        [...text('a.b'), ...tensor(0, [1], [1])],
        [...text('a'), ...dictionary([...text('b'), ...tensor(0, [1], [1])])],
      ),
      'two tensors that would be named a.b',
    ],
    ['a key of a tuple', dictionary([...tuple([1]), ...tensor(0, [1], [1])]), 'neither text nor number'],
  ])('refuses %s', async (_, opcodes, says) => {
    expect((await failure(archive(opcodes))).message).toContain(says);
  });
});

describe('a strided tensor', () => {
  const rowMajor = [1, 2, 3, 4, 5, 6];
  it.each([
    ['whole', 0, [2, 3], [3, 1], rowMajor],
    ['transposed', 0, [3, 2], [1, 3], [1, 4, 2, 5, 3, 6]],
    ['every second', 1, [3], [2], [2, 4, 6]],
    ['overlapping', 0, [4, 2], [1, 1], [1, 2, 2, 3, 3, 4, 4, 5]],
    ['one element, strides that mean nothing', 5, [1, 1], [99_999, 77], [6]],
    ['none, beyond the end', 6, [0, 9], [1, 1], []],
  ])('%s', async (_, offset, shape, strides, values) => {
    await using file = await open(archive(dictionary([...text('t'), ...tensor(offset, shape, strides)])));
    expect(await file.read('t')).toEqual({ dtype: 'F32', shape, data: Float32Array.from(values) });
  });

  it.each([
    ['past the end', 3, [2, 2], [2, 1], 'ends at byte 28 of a storage of 24'],
    ['of a billion', 0, [1e9], [1], 'ends at byte 4000000000 of a storage of 24'],
    ['of more than can be counted', 0, [2 ** 40, 2 ** 40], [2 ** 40, 1], 'the shape'],
    ['without end and without elements', 0, [...Array(24).fill(2 ** 46), 0], Array(25).fill(1), 'the shape'],
    ['with a stride for no axis', 0, [2], [1, 1], 'offset, sizes or strides'],
  ])('%s is refused before memory is taken', async (_, offset, shape, strides, says) => {
    const error = await failure(archive(dictionary([...text('t'), ...tensor(offset, shape, strides)])));
    expect(error.message).toContain(says);
    expect(error.offset).toBeGreaterThan(64);
  });

  it('that repeats its elements may not ask for more than the file holds', async () => {
    const bytes = archive(dictionary([...text('t'), ...tensor(0, [1e9], [0])], [...text('u'), ...tensor(0, [9], [0])]));
    expect((await failure(bytes, 't')).message).toContain('tensor t: [1000000000] takes 4000000000 bytes');
    await using file = await open(bytes);
    expect((await file.read('u')).data).toEqual(new Float32Array(9).fill(1));
  });
});

describe('a pickle', () => {
  const deep = Array.from({ length: 100_000 }, () => EMPTY_LIST);
  /** Each list holds the one before twice. */
  const laughs = [
    EMPTY_LIST,
    0x94,
    ...Array.from({ length: 40 }, (_, i) => [EMPTY_LIST, 0x94, MARK, 0x68, i, 0x68, i, 0x65]).flat(),
  ];

  it.each<[string, number[], string]>([
    [
      'runs nothing',
      [...global('os', 'system'), ...tuple([1]), REDUCE],
      'names os.system, which is no part of a state dict',
    ],
    [
      'runs no method',
      [...global('collections', 'OrderedDict.fromkeys'), ...tuple([1]), REDUCE],
      'names collections.OrderedDict.fromkeys',
    ],
    [
      'runs nothing of ours',
      [...global('torch', 'FloatStorage'), ...tuple([1]), REDUCE],
      'calls torch.FloatStorage, which is not run',
    ],
    ['knows no inherited name', [...global('__proto__', 'constructor')], 'names __proto__.constructor'],
    ['calls no text', [...text('a'), ...tuple([]), REDUCE], 'calls what is no global'],
    [
      'calls nothing that calls itself',
      [...global('copyreg', '__newobj__'), MARK, ...global('copyreg', '__newobj__'), TUPLE, REDUCE],
      'calls what cannot be called',
    ],
    ['opens no other file', [MARK, ...text('file'), TUPLE, 0x51], 'a persistent id of no storage'],
    ['takes no more than is there', [TUPLE], 'goes back to a mark that it did not make'],
    ['takes nothing from below a mark', [0x4e, MARK, 0x86], 'takes more from its stack'],
    ['needs something to look at', [0x94], 'while that is empty'],
    ['recalls only what it kept', [0x68, 7], 'recalls value 7'],
    ['appends to lists', [0x4e, 0x4e, 0x61], 'appends to what is no list'],
    ['knows its opcodes', [0xff], 'the opcode 0xff'],
    ['has texts that are texts', [0x8c, 1, 0xff], 'no UTF-8'],
    ['has no endless numbers', [0x8b, 0, 0, 1, 0], 'an integer of 65536 bytes'],
    ['ends', [0x58, 255, 255, 255, 255], 'are needed'],
    ['may be deep, but not to walk', [...deep, ...deep.slice(1).map(() => 0x61)], 'nests values more than 64 deep'],
    ['may not double', laughs, 'holds more values than its size allows'],
    ['may not hold itself', [EMPTY_LIST, 0x94, 0x68, 0, 0x61], 'nests values more than 64 deep'],
  ])('%s', async (_, opcodes, says) => {
    const error = await failure(archive(opcodes));
    expect(error.message).toContain(': its pickle ');
    expect(error.message).toContain(says);
    expect(error.offset).toBeGreaterThanOrEqual(64);
  });

  it('is named with the byte of the file at which it goes wrong', async () => {
    const error = await failure(archive([0x4e, 0x30, 0xff]));
    expect(error.message).toBe('run/a.pth: at byte 68: its pickle has the opcode 0xff, which torch.save never writes');
  });
});

describe('an archive', () => {
  const plain = dictionary([...text('t'), ...tensor(0, [6], [1])]);

  it.each<[string, Uint8Array, string]>([
    [
      'without a storage',
      archive(dictionary([...text('t'), ...tensor(0, [1], [1], 7)])),
      'has 28 bytes of elements in a/data/0, which holds 24',
    ],
    ['of a big-endian machine', archive(plain, { 'a/byteorder': new TextEncoder().encode('big') }), 'are "big"-endian'],
    ['of TorchScript', archive(plain, { 'a/constants.pkl': pickle([0x4e]) }), 'TorchScript'],
  ])('%s is refused', async (_, bytes, says) => {
    expect((await failure(bytes)).message).toContain(says);
  });

  it('whose elements are damaged is refused when they are read whole', async () => {
    const bytes = archive(
      dictionary([...text('whole'), ...tensor(0, [6], [1])], [...text('part'), ...tensor(0, [2], [1])]),
    );
    const place = bytes.findIndex(
      (_, i) => new DataView(bytes.buffer).getFloat32(Math.min(i, bytes.length - 4), true) === 5,
    );
    bytes[place]! ^= 1;
    const error = await failure(bytes, 'whole');
    expect(error.message).toContain('zip entry a/data/0');
    expect(error.offset).toBeGreaterThan(0);
    await using file = await open(bytes);
    expect((await file.read('part')).data).toEqual(Float32Array.of(1, 2));
  });
});

describe.each([
  ['PyTorch', torchFile],
  ['PyTorch before 1.6', legacyTorchFile],
])('40 MB by %s', (_, write) => {
  const tensors = new Map<string, StoredTensor>();
  for (let i = 0; i < 20; i++) {
    const data = new Float32Array(500_000).fill(i);
    tensors.set(`layer${i}.weight`, { dtype: 'F32', shape: [500, 1000], data });
    tensors.set(`layer${i}.count`, { dtype: 'I64', shape: [], data: BigInt64Array.of(BigInt(i)) });
  }
  const bytes = write(tensors);

  it('are read once, and only what is asked for', async () => {
    const { file, counts } = countingFile(memoryFile(bytes, 'a.pth'));
    await using opened = await openTensorFile(file);
    expect(opened.entries.size).toBe(40);
    expect(counts.bytes).toBeLessThan(200_000);
    await opened.read('layer3.weight');
    expect(counts.bytes).toBeLessThan(2_200_000);
    for (const [name, tensor] of tensors) {
      const { dtype, shape, data } = await opened.read(name);
      expect({ dtype, shape }).toEqual({ dtype: tensor.dtype, shape: tensor.shape });
      expect(data.length).toBe(tensor.data.length);
      expect(data[data.length - 1]).toBe(tensor.data[data.length - 1]);
    }
    // Besides: the directory, the pickle, headers, and the tensor that was read before.
    expect(counts.bytes).toBeLessThan(bytes.length + 2_300_000);
    expect(counts.largest).toBeLessThanOrEqual(2_000_000);
  });

  it('are refused where they end too early', async () => {
    const error: unknown = await open(bytes.subarray(0, bytes.length / 2)).catch((caught: unknown) => caught);
    if (!(error instanceof CheckpointFormatError)) throw error;
    expect(error.offset).not.toBeNull();
  });
});
