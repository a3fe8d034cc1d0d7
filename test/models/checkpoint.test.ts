import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import { serializeSafetensors } from '../../src/checkpoints/safetensors_writer.js';
import { CheckpointFormatError } from '../../src/checkpoints/tensor_file.js';
import { CheckpointError, restoreCheckpoint, serializeCheckpoint } from '../../src/models/checkpoint.js';
import type { Resident } from '../../src/tensor/resident.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { hostTensor } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';

async function open(): Promise<{ runtime: Runtime; residents: Resident[] }> {
  const runtime = new Runtime(await testGpu());
  const residents = [
    runtime.resident('net/conv1/weights', hostTensor([2, 3], [1, 2, 3, 4, 5, 6])),
    runtime.resident('net/conv1/biases', hostTensor([3], [-1, 0.5, 0.25])),
    runtime.resident('bank/labels', hostTensor([2], [-1, 7], 'i32')),
  ];
  return { runtime, residents };
}

/** A checkpoint of the residents, with its tensors changed. */
async function changed(change: (tensors: ReturnType<typeof parseSafetensors>['tensors']) => void) {
  const { runtime, residents } = await open();
  const { tensors, metadata } = parseSafetensors(await serializeCheckpoint(runtime, residents, { step: '4' }), 'a');
  change(tensors);
  const bytes = serializeSafetensors(tensors, metadata);
  const restore = (unexpected: 'error' | 'ignore' = 'error') =>
    restoreCheckpoint(runtime, bytes, 'run/checkpoint.safetensors', residents, { unexpected });
  return { runtime, residents, restore };
}

describe('a checkpoint', () => {
  it('restores every value and its metadata', async () => {
    const { runtime, residents } = await open();
    const bytes = await serializeCheckpoint(runtime, residents, { step: '4', seed: '1' });
    for (const resident of residents)
      runtime.write(resident, hostTensor(resident.shape, new Array(resident.bytes / 4).fill(9), resident.dtype));
    const metadata = restoreCheckpoint(runtime, bytes, 'a', residents, { unexpected: 'error' });
    expect(metadata).toEqual({ step: '4', seed: '1' });
    const values = await Promise.all(residents.map(async (resident) => [...(await runtime.read(resident)).data]));
    expect(values).toEqual([
      [1, 2, 3, 4, 5, 6],
      [-1, 0.5, 0.25],
      [-1, 7],
    ]);
  });

  it('is refused with a missing tensor, and nothing is written', async () => {
    const { runtime, residents, restore } = await changed((tensors) => tensors.delete('net/conv1/biases'));
    runtime.write(residents[0]!, hostTensor([2, 3], [9, 9, 9, 9, 9, 9]));
    expect(restore).toThrow(CheckpointError);
    expect(restore).toThrow('run/checkpoint.safetensors does not fit this network:\n  net/conv1/biases [3] is missing');
    expect((await runtime.read(residents[0]!)).data[0]).toBe(9);
  });

  it('is refused with a renamed tensor, naming both', async () => {
    const { restore } = await changed((tensors) => {
      tensors.set('net/conv_1/biases', tensors.get('net/conv1/biases')!);
      tensors.delete('net/conv1/biases');
    });
    expect(restore).toThrow(/net\/conv1\/biases \[3\] is missing\n {2}net\/conv_1\/biases is not part of this run/);
    expect(() => restore('ignore')).toThrow(/is missing$/);
  });

  it('is refused with a misshaped tensor, and with one of another dtype', async () => {
    const { restore } = await changed((tensors) => {
      tensors.set('net/conv1/weights', { ...tensors.get('net/conv1/weights')!, shape: [3, 2] });
      tensors.set('bank/labels', { dtype: 'F32', shape: [2], data: new Float32Array(2) });
    });
    expect(restore).toThrow('net/conv1/weights is [3,2], the network has [2,3]');
    expect(restore).toThrow('bank/labels is F32, expected I32');
  });

  it('is refused when truncated', async () => {
    const { runtime, residents } = await open();
    const bytes = await serializeCheckpoint(runtime, residents, {});
    const restore = () => restoreCheckpoint(runtime, bytes.slice(0, -4), 'cut', residents, { unexpected: 'error' });
    expect(restore).toThrow(CheckpointFormatError);
    expect(restore).toThrow(/^cut: /);
  });
});
