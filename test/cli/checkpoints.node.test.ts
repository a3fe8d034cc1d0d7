/** `segsort inspect` and `segsort convert`, as a user runs them. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../src/checkpoints/safetensors.js';
import type { StoredTensor } from '../../src/checkpoints/tensor_file.js';
import { run } from '../support/command.js';
import { DT_STRING, tensorFlowV2 } from '../support/tensorflow_writer.js';
import { torchFile } from '../support/torch_writer.js';
import { resNetState } from '../support/torchvision.js';

const kernel: StoredTensor = { dtype: 'F32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, Number.NaN) };
const step: StoredTensor = { dtype: 'I64', shape: [], data: BigInt64Array.of(30000n) };

let folder: string;
const path = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segsort-checkpoints-'));
  await writeFile(path('resnet50.pth'), torchFile(resNetState([3, 4, 6, 3], { width: 1, classes: 3 })));
  const words = { type: DT_STRING, shape: [], data: Uint8Array.of(1, 0, 0, 0, 0, 65) };
  const tensors = [['kernel', kernel] as const, ['step', step] as const, ['words', words] as const];
  for (const [name, bytes] of tensorFlowV2(tensors, 'model.ckpt-7', { shards: 2 }).files)
    await writeFile(path(name), bytes);
  const sound = await readFile(path('resnet50.pth'));
  await writeFile(path('cut.pth'), sound.subarray(0, sound.length / 2));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('inspect', () => {
  it('lists tensors with their statistics, and says whose weights they are', async () => {
    const { code, out } = await run('inspect', path('resnet50.pth'), '--match', 'fc.');
    expect(code).toBe(0);
    expect(out).toContain("resnet50.pth: pytorch, torchvision's ResNet-50\n2 tensors, 99 elements, 396 bytes\n");
    expect(out).toMatch(/^fc\.weight +F32 +\[3,32\] +\S+ +0\.05\d+ +-0\.\d+ +0\.\d+$/m);
  });

  it.each(['model.ckpt-7', 'model.ckpt-7.index', 'model.ckpt-7.data-00001-of-00002'])(
    'finds a TensorFlow checkpoint by %s',
    async (name) => {
      const { code, out } = await run('inspect', path(name), '--json');
      expect(code).toBe(0);
      const { format, model, tensors } = JSON.parse(out);
      expect([format, model]).toEqual(['tensorflow-v2', null]);
      expect(tensors).toEqual([
        expect.objectContaining({
          name: 'kernel',
          dtype: 'F32',
          storedAs: 'DT_FLOAT',
          shape: [2, 3],
          summary: { mean: 3, deviation: Math.SQRT2, least: 1, most: 5, nonFinite: 1 },
        }),
        expect.objectContaining({ name: 'step', summary: expect.objectContaining({ mean: 30000 }) }),
        expect.objectContaining({ name: 'words', dtype: null, storedAs: 'DT_STRING', summary: null }),
      ]);
    },
  );

  it('reads no values where none are wanted', async () => {
    const { out } = await run('inspect', path('model.ckpt-7'), '--no-values');
    expect(out).toMatch(/^kernel +F32 +\[2,3\]$/m);
  });

  it('says what is wrong', async () => {
    expect(await run('inspect', path('resnet50.pth'), '--match', 'layer9')).toEqual({
      code: 2,
      out: '',
      err: expect.stringContaining('resnet50.pth: none of its 320 tensors has layer9 in its name'),
    });
    const missing = await run('inspect', path('none.pth'));
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('none.pth: no such file')]);
    const cut = await run('inspect', path('cut.pth'));
    expect([cut.code, cut.err]).toEqual([1, expect.stringMatching(/cut\.pth: at byte \d+: /)]);
  });
});

describe('convert', () => {
  it('writes what safetensors can hold, and names what it cannot', async () => {
    const { code, out } = await run('convert', path('model.ckpt-7'), path('model.safetensors'));
    expect(code).toBe(0);
    expect(out).toMatch(/^2 tensors written to .*\nleft out, because they are no numbers:\n {2}words \(DT_STRING\)\n$/);
    const { tensors, metadata } = parseSafetensors(new Uint8Array(await readFile(path('model.safetensors'))), 'model');
    expect(metadata).toEqual({ converted_from: 'tensorflow-v2' });
    expect(Object.fromEntries(tensors)).toEqual({ kernel, step });
  });

  it('refuses names that would do harm, and leaves nothing behind where reading fails', async () => {
    expect((await run('convert', path('resnet50.pth'), path('out.ckpt'))).err).toContain('safetensors is what can be');
    const same = await run('convert', path('model.safetensors'), path('model.safetensors'));
    expect([same.code, same.err]).toEqual([2, expect.stringContaining('is the file to be read; name another')]);
    const damaged = new Uint8Array(await readFile(path('model.ckpt-7.data-00000-of-00002')));
    damaged[0]! ^= 1;
    await writeFile(path('model.ckpt-7.data-00000-of-00002'), damaged);
    const before = await readdir(folder);
    const failed = await run('convert', path('model.ckpt-7'), path('damaged.safetensors'));
    expect([failed.code, failed.err]).toEqual([
      1,
      expect.stringMatching(/model\.ckpt-7\.\S+: .*tensor kernel: .*checksum/),
    ]);
    expect(await readdir(folder)).toEqual(before);
  });
});
