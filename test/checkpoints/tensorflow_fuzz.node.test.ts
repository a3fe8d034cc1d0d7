/** Damaged TensorFlow checkpoints: each is read, or ends in an error that says where, and takes little memory. */
import { describe, expect, it } from 'vitest';
import { binaryString } from '../../src/checkpoints/sstable.js';
import { ARRAYS, CheckpointFormatError, type DType } from '../../src/checkpoints/tensor_file.js';
import { openTensorFlow } from '../../src/checkpoints/tensorflow.js';
import { FileError, memoryFile } from '../../src/platform/files.js';
import { Random } from '../../src/tensor/random.js';
import { countingFile } from '../support/counting_file.js';
import { damage, damageInPlace } from '../support/damage.js';
import { mutateMessage } from '../support/damage_protobuf.js';
import { bytesOf, sealBlocks, type TableEntry, writeTable } from '../support/table_writer.js';
import { DT_STRING, v1Entries, v2Entries, type WrittenTensor } from '../support/tensorflow_writer.js';

const tensors = new Map<string, WrittenTensor>(
  (Object.keys(ARRAYS) as DType[]).map((dtype) => [
    `unit_1/${dtype}`,
    { dtype, shape: [3, 2], data: new ARRAYS[dtype](new ArrayBuffer(6 * ARRAYS[dtype].BYTES_PER_ELEMENT)) },
  ]),
);
const rows = Float32Array.from({ length: 40 }, (_, i) => i / 7);
tensors.set('unit_2/rows', { dtype: 'F32', shape: [10, 4], data: rows, partition: { axis: 0, sizes: [4, 1, 5] } });
tensors.set('unit_2/columns', { dtype: 'F32', shape: [10, 4], data: rows, partition: { axis: 1, sizes: [2, 2] } });
tensors.set('step', { dtype: 'I64', shape: [], data: BigInt64Array.of(120_000n) });

const INDEX = 'm.index';

interface Checkpoint {
  readonly name: string;
  readonly entries: readonly TableEntry[];
  readonly shards: ReadonlyMap<string, Uint8Array>;
}

const v2 = v2Entries([...tensors, ['text', { type: DT_STRING, shape: [], data: bytesOf('\x03abc') }]], 2);
const CHECKPOINTS: Readonly<Record<string, Checkpoint>> = {
  V1: { name: 'm.ckpt', entries: v1Entries(tensors), shards: new Map() },
  V2: {
    name: INDEX,
    entries: v2.entries,
    shards: new Map(v2.shards.map((shard, place) => [`m.data-0000${place}-of-00002`, shard])),
  },
};

/** Bytes of all array buffers. */
const memory = () => process.memoryUsage().arrayBuffers;

/**
 * Opens a checkpoint and reads all of it.
 *
 * @returns the errors
 */
async function exercise(name: string, table: Uint8Array, shards: ReadonlyMap<string, Uint8Array>): Promise<Error[]> {
  const { file, counts } = countingFile(memoryFile(table, name, shards));
  const size = [...shards.values()].reduce((sum, { length }) => sum + length, table.length);
  const errors: Error[] = [];
  const attempt = async <R>(body: () => Promise<R>): Promise<R | undefined> => {
    try {
      return await body();
    } catch (error) {
      if (!(error instanceof CheckpointFormatError) && !(error instanceof FileError)) throw error;
      errors.push(error);
      return undefined;
    }
  };
  const opened = await attempt(() => openTensorFlow(file));
  for (const entry of opened?.entries.values() ?? []) {
    if (entry.dtype === null) continue;
    const tensor = await attempt(() => opened!.read(entry.name));
    if (!tensor) continue;
    const { byteLength } = tensor.data;
    require(byteLength === entry.bytes, `${entry.name} has ${byteLength} bytes, not ${entry.bytes}`);
    // The shortest encoding takes a byte for an element of 8, and snappy three for 64.
    require(byteLength <= 8 * 22 * size, `${entry.name} has ${byteLength} bytes in a file of ${size}`);
  }
  require(counts.largest <= table.length, `${counts.largest} bytes asked for of ${table.length}`);
  for (const error of errors) requirePlace(error);
  return errors;
}

/** `expect` would take longer than what is tested. */
function require(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

function requirePlace(error: Error): void {
  if (!(error instanceof CheckpointFormatError)) return;
  require(error.message.startsWith(error.file), error.message);
  const whole = /is no TensorFlow checkpoint|it has no header|must be named/.test(error.message);
  require(whole || error.offset !== null || error.tensor !== null, error.message);
  // Whatever fails while bytes are decoded is taken for damage; a mistake of the decoder is none.
  const { cause } = error;
  const mistake = cause instanceof TypeError || cause instanceof ReferenceError;
  require(!mistake || /encoded/.test(cause.message), `${error.stack} ${mistake && cause.stack}`);
  // Nor is memory to be asked for that there is not.
  require(!(cause instanceof RangeError) || /EOF|bounds/.test(cause.message), error.message);
}

/** Runs cases, each from random numbers of its own. Returns how many were read in full. */
async function fuzz(cases: number, stream: number, body: (random: Random) => Promise<Error[]>): Promise<number> {
  let sound = 0;
  let before = memory();
  for (let index = 0; index < cases; index++)
    try {
      if ((await body(new Random({ seed: 2019, stream, index }))).length === 0) sound++;
      // Asked for now and then, as asking takes as long as a case.
      if (index % 5 < 4) continue;
      const after = memory();
      require(after - before < 2 ** 22, `${after - before} bytes of memory were taken for files of a few thousand`);
      before = after;
    } catch (error) {
      throw new Error(`case ${index}: ${error instanceof Error ? error.stack : error}`, { cause: error });
    }
  return sound;
}

describe.each(Object.entries(CHECKPOINTS))('%s', (format, { name, entries, shards }) => {
  const stream = format === 'V1' ? 1000 : 2000;

  describe.each([false, true])('snappy %s', (snappy) => {
    const { bytes, blocks } = writeTable(entries, { blockBytes: 400, snappy });
    const place = stream + (snappy ? 100 : 0);

    it('is sound to begin with', async () => {
      expect(await exercise(name, bytes, shards)).toEqual([]);
      expect(blocks.length).toBeGreaterThan(3);
    });

    it('damaged or cut anywhere', async () => {
      const sound = await fuzz(400, place, (random) => exercise(name, damage(bytes, random), shards));
      // Checksums see all but what nobody reads: the padding, the meta-index and its handle.
      expect(sound).toBeLessThan(100);
    });

    it('cut at every length', async () => {
      for (let length = 0; length < bytes.length; length += snappy ? 7 : 17)
        expect(await exercise(name, bytes.subarray(0, length), shards)).toHaveLength(1);
    });

    it('damaged, with checksums that fit', async () => {
      const sound = await fuzz(600, place + 1, (random) => {
        const damaged = damageInPlace(bytes, random);
        sealBlocks(damaged, blocks);
        return exercise(name, damaged, shards);
      });
      expect(sound).toBeGreaterThan(20);
      expect(sound).toBeLessThan(400);
    });
  });

  it.each([
    ['damaged', damage],
    ['changed', mutateMessage],
  ] as const)('with %s messages, and damaged keys, in sound tables', async (kind, mutate) => {
    const sound = await fuzz(kind === 'damaged' ? 400 : 1000, stream + kind.length, (random) => {
      const changed = [...entries];
      for (let times = random.integerIn(1, 2); times > 0; times--) {
        const place = random.integer(3) === 0 ? 0 : random.integer(changed.length);
        const [key, value] = changed[place]!;
        if (random.integer(5) === 0) changed[place] = [binaryString(damage(bytesOf(key), random)), value];
        else changed[place] = [key, mutate(value, random)];
      }
      const unique = new Map(changed);
      return exercise(name, writeTable(unique, { blockBytes: 400 }).bytes, shards);
    });
    expect(sound).toBeGreaterThan(20);
    expect(sound).toBeLessThan(400);
  });
});

it('V2 with damaged, cut or missing data', async () => {
  const { name, entries, shards } = CHECKPOINTS.V2!;
  const { bytes } = writeTable(entries);
  const sound = await fuzz(300, 3000, (random) => {
    const changed = new Map(shards);
    const shard = random.pick([...shards.keys()]);
    if (random.integer(10) === 0) changed.delete(shard);
    else changed.set(shard, damage(shards.get(shard)!, random));
    return exercise(name, bytes, changed);
  });
  expect(sound).toBeLessThan(100);
});
