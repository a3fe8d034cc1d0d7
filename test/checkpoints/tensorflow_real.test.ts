/** Checkpoints that TensorFlow itself wrote; skipped where `../shared/data` is not there. */
import { describe, expect, it } from 'vitest';
import { openTensorFlow } from '../../src/checkpoints/tensorflow.js';
import { memoryFile } from '../../src/platform/files.js';
import { sizeOf } from '../../src/tensor/types.js';
import { dataAvailable, readData } from '../support/files.js';

describe.skipIf(!dataAvailable)('files that TensorFlow wrote (skipped without ../shared/data)', () => {
  const open = async (path: string) => {
    const folder = 'checkpoints';
    const [, name] = path.split('/') as [string, string];
    const files = new Map([[name, await readData(`${folder}/${path}`)]]);
    const data = path.replace('.index', '.data-00000-of-00001');
    if (data !== path) files.set(data.split('/')[1]!, await readData(`${folder}/${data}`));
    return openTensorFlow(memoryFile(files.get(name)!, name, files));
  };
  const valuesOf = async (path: string) => {
    await using file = await open(path);
    const names = [...file.entries.values()].filter(({ dtype }) => dtype !== null).map(({ name }) => name);
    return Promise.all(names.map(async (name) => [name, (await file.read(name)).data[0]]));
  };
  const variable = (name: string) => `${name}/.ATTRIBUTES/VARIABLE_VALUE`;

  it('V1: two scalars', async () => {
    expect(await valuesOf('tf-v1/half_plus_two.export-00000-of-00001')).toEqual([
      ['a', 0.5],
      ['b', 2],
    ]);
  });

  it('V1: a network with its optimizer', async () => {
    await using file = await open('tf-v1/acrobot_model.ckpt');
    expect(file.format).toBe('tensorflow-v1');
    expect(file.entries.size).toBe(34);
    for (const { dtype, shape, bytes, name } of file.entries.values()) {
      expect(dtype).toBe('F32');
      const { data } = await file.read(name);
      expect(data.byteLength).toBe(bytes);
      expect(data).toHaveLength(sizeOf(shape));
      for (const value of data) expect(value).not.toBeNaN();
    }
    const last = await file.read('value/value/Stack/fully_connected_3/weights/Adam_1');
    expect(last.shape).toEqual([6, 1]);
    const words = [0x4085ff30, 0x3f705a64, 0x4585ac14, 0x448e7c19, 0x454b3f23, 0x43a9007b];
    expect([...new Uint32Array(last.data.buffer)]).toEqual(words);
    // Powers of 0.9 and 0.999: after that many steps the one is 0 in float32, the other is not yet.
    expect((await file.read('policy/beta1_power')).data[0]).toBe(0);
    expect((await file.read('policy/beta2_power')).data[0]).toBeCloseTo(4.5134e-5, 9);
  });

  it('V2: scalars, in an index whose blocks are compressed', async () => {
    expect(await valuesOf('tf-v2/saved_model_half_plus_two_cpu.variables.index')).toEqual([
      ['a', 0.5],
      ['a2', 0.5],
      ['b', 2],
      ['c', 3],
      ['c2', 3],
    ]);
  });

  it('V2: variables beside an object graph', async () => {
    const path = 'tf-v2/saved_model_half_plus_two_tf2_cpu.variables.index';
    expect(await valuesOf(path)).toEqual([
      [variable('a'), 0.5],
      [variable('b'), 2],
      [variable('c'), 3],
    ]);
    await using file = await open(path);
    expect(file.entries.get('_CHECKPOINTABLE_OBJECT_GRAPH')).toMatchObject({ dtype: null, storedAs: 'DT_STRING' });
  });

  it('V2: 64-bit integers', async () => {
    expect(await valuesOf('tf-v2/tfjs_int64_multiply.variables.index')).toEqual([
      [variable('v1'), 3n],
      [variable('v2'), 2n],
    ]);
  });

  it('V2: strings alone', async () => {
    await using file = await open('tf-v2/tf_text_regression.variables.index');
    expect([...file.entries.values()]).toMatchObject([
      { name: '_CHECKPOINTABLE_OBJECT_GRAPH', dtype: null, bytes: 927 },
    ]);
  });
});
