/** Thousands of damaged files: each is read, or refused with an error that says where; and takes little memory. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTensorFile } from '../../src/checkpoints/open.js';
import { serializeSafetensors } from '../../src/checkpoints/safetensors_writer.js';
import { CheckpointFormatError, type StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { FileError, memoryFile } from '../../src/platform/files.js';
import { Random } from '../../src/tensor/random.js';
import { damage } from '../support/damage.js';
import { readFixture } from '../support/files.js';
import { archive, dictionary, tensor } from '../support/torch_pickles.js';
import { legacyTorchFile, text, torchFile } from '../support/torch_writer.js';
import { storedZip, unzipStored } from '../support/zip_writer.js';

const golden = (name: string) => readFixture(`goldens/checkpoints/${name}`);

const tensors = new Map<string, StoredTensor>([
  ['layer.weight', { dtype: 'F32', shape: [3, 4], data: new Float32Array(12).fill(1) }],
  ['layer.bias', { dtype: 'F16', shape: [4], data: new Uint16Array(4) }],
  ['steps', { dtype: 'I64', shape: [], data: BigInt64Array.of(3n) }],
]);

/** The largest array that was made, in elements; and what makes them, to be put back. */
let largest = 0;
const own = { Uint8Array, Uint16Array, Uint32Array, Array };

beforeAll(() => {
  const watch = <T extends new (...args: never[]) => object>(type: T): T =>
    new Proxy(type, {
      construct(target, args: [unknown, ...never[]], newTarget) {
        if (typeof args[0] === 'number') largest = Math.max(largest, args[0]);
        return Reflect.construct(target, args, newTarget === watched.get(type) ? target : newTarget);
      },
    });
  const watched = new Map<unknown, unknown>();
  for (const [name, type] of Object.entries(own)) {
    watched.set(type, watch(type as never));
    Reflect.set(globalThis, name, watched.get(type));
  }
});
afterAll(() => {
  Object.assign(globalThis, own);
});

/** Opens and reads all of it. Without `expect`, which would take longer than what is tested. */
async function outcome(bytes: Uint8Array): Promise<'read' | 'refused'> {
  largest = 0;
  // What is compressed may be longer than the file, but memory for it is taken as it comes.
  const bound = 131_072 + 4 * bytes.length;
  try {
    await using file = await openTensorFile(memoryFile(bytes, 'run/fuzzed'));
    for (const entry of file.entries.values()) {
      if (entry.dtype === null) continue;
      const { data } = await file.read(entry.name);
      require(data.byteLength === entry.bytes, `${entry.name} has ${data.byteLength} bytes, not ${entry.bytes}`);
      require(data.byteLength <= bound, `${entry.name} has ${data.byteLength} bytes`);
    }
    return 'read';
  } catch (error) {
    if (!(error instanceof FileError) && !(error instanceof CheckpointFormatError)) throw error;
    require(error.message.startsWith('run/fuzzed: '), error.message);
    if (error instanceof CheckpointFormatError) {
      require(error.offset !== null || error.tensor !== null, error.message);
      require((error.offset ?? 0) <= bytes.length || /pickle/.test(error.message), error.message);
      // Whatever fails while an archive is read is taken for damage; a mistake of its reader is none.
      const { cause } = error;
      require(!(cause instanceof ReferenceError) && !(cause instanceof RangeError), `${error.stack}`);
    }
    return 'refused';
  } finally {
    require(largest <= bound, `an array of ${largest} elements was made for a file of ${bytes.length} bytes`);
  }
}

function require(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

const prototypes = () => [Object, Array, Map, Function].map(({ prototype }) => Reflect.ownKeys(prototype));

/** Runs cases, each from random numbers of its own, of which some must be refused; some may be harmless. */
async function fuzz(stream: number, cases: number, damaged: (random: Random) => Uint8Array): Promise<void> {
  const before = prototypes();
  const outcomes = { read: 0, refused: 0 };
  for (let index = 0; index < cases; index++)
    try {
      outcomes[await outcome(damaged(new Random({ seed: 2019, stream, index })))]++;
    } catch (error) {
      throw new Error(`case ${index}: ${error instanceof Error ? error.stack : error}`, { cause: error });
    }
  expect(prototypes()).toEqual(before);
  expect(outcomes.refused).toBeGreaterThan(cases / 4);
}

describe('damaged or cut anywhere', () => {
  const files: [string, number, () => Promise<Uint8Array> | Uint8Array][] = [
    ['safetensors', 800, () => serializeSafetensors(tensors, { a: 'b' })],
    ['PyTorch', 400, () => torchFile(tensors)],
    ['PyTorch before 1.6', 1500, () => legacyTorchFile(tensors)],
    ['a training state', 50, () => golden('training.pth')],
    ['a compressed archive', 60, () => golden('deflated.pth')],
    ['npy', 1000, () => golden('fortran.npy')],
    ['npz', 400, () => golden('arrays.npz')],
    ['compressed npz', 60, () => golden('compressed.npz')],
  ];
  it.each(files.map(([name, ...rest], place) => [name, place, ...rest] as const))(
    '%s',
    async (_, place, cases, make) => {
      const bytes = await make();
      expect(await outcome(bytes)).toBe('read');
      await fuzz(3000 + place, cases, (random) => damage(bytes, random));
    },
  );
});

describe('damaged, in an archive with checksums that fit', () => {
  it.each<[string, number, number, () => Promise<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer>]>([
    ['the pickle of a state dict', 4000, 700, () => torchFile(tensors)],
    ['the pickle of many views', 4001, 60, () => golden('views.pth')],
    ['a pickle of protocol 5', 4002, 150, () => golden('protocol5.pth')],
    ['arrays', 4003, 400, () => golden('arrays.npz')],
  ])('%s', async (_, stream, cases, make) => {
    const entries = [...unzipStored(await make())];
    const described = entries.filter(([name]) => /\.(pkl|npy)$/.test(name));
    await fuzz(stream, cases, (random) => {
      const [name, contents] = random.pick(described);
      // Of an array the header, mostly.
      const head = name.endsWith('.npy') && random.integer(4) > 0 ? 128 : contents.length;
      const harmed = harm(contents.subarray(0, head), random);
      return storedZip(new Map(entries).set(name, new Uint8Array([...harmed, ...contents.subarray(head)])));
    });
  });

  it('names of entries', async () => {
    const entries = [...unzipStored(torchFile(tensors))];
    await fuzz(4004, 100, (random) => {
      const [chosen, contents] = random.pick(entries);
      const name = new TextDecoder('latin1').decode(damage(new TextEncoder().encode(chosen), random));
      return storedZip(new Map(entries.filter(([other]) => other !== chosen)).set(name, contents));
    });
  });
});

/** As `damage`, or one byte in the place of another: another opcode, mostly. */
function harm(bytes: Uint8Array, random: Random): Uint8Array {
  if (random.integer(2) === 0) return damage(bytes, random);
  const harmed = new Uint8Array(bytes);
  for (let times = random.integerIn(1, 3); times > 0; times--)
    harmed[random.integer(bytes.length)] = bytes[random.integer(bytes.length)]!;
  return harmed;
}

it('tensors that claim anything', async () => {
  const sizes = [0, 1, 2, 3, 6, 7, 24, 1000, 2 ** 20, 1e9, 2 ** 31, 2 ** 32 + 1, 2 ** 47];
  const some = (random: Random, count: number) => Array.from({ length: count }, () => random.pick(sizes));
  await fuzz(4006, 800, (random) => {
    const axes = random.integer(4);
    const elements = random.integer(4) === 0 ? random.pick(sizes) : 6;
    const claim = tensor(random.pick([0, 0, ...sizes]), some(random, axes), some(random, axes), elements);
    return archive(dictionary([...text('t'), ...claim]));
  });
});

it('random bytes behind every beginning', async () => {
  const beginnings = ['PK\x03\x04', 'PK\x05\x06', '\x93NUMPY\x01\0', '\x80\x02\x8a\x0a', '\x10\0\0\0\0\0\0\0{'];
  await fuzz(4005, 500, (random) => {
    const beginning = Uint8Array.from(random.pick(beginnings), (character) => character.charCodeAt(0));
    return new Uint8Array([...beginning, ...Array.from({ length: random.integer(300) }, () => random.integer(256))]);
  });
});
