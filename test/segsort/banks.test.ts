/** Memory banks across steps. */
import { describe, expect, it } from 'vitest';
import { MemoryBanks } from '../../src/segsort/memory_banks.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { traceStep } from '../../src/tensor/trace.js';
import { hostTensor } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';

describe('MemoryBanks', () => {
  it('start unused, then hold the last batches, oldest first', async () => {
    const runtime = new Runtime(await testGpu());
    using banks = new MemoryBanks(runtime, { banks: 2, rows: 3, channels: 2 });
    const step = runtime.compile((prototypes, labels) => {
      const before = banks.use()!;
      banks.update(prototypes, labels);
      return before;
    });
    const batch = (value: number) => [
      hostTensor([1, 3, 2], new Float32Array(6).fill(value)),
      hostTensor([1, 3], [value, -1, value], 'i32'),
    ];
    const seen: number[][] = [];
    for (const value of [1, 2, 3]) {
      const { prototypes, labels } = await step.run(...batch(value));
      expect((await prototypes.read()).shape).toEqual([6, 2]);
      seen.push(Array.from((await labels.read()).data));
    }
    expect(seen).toEqual([
      [-1, -1, -1, -1, -1, -1],
      [-1, -1, -1, 1, -1, 1],
      [1, -1, 1, 2, -1, 2],
    ]);
    const [oldest, , newest] = banks.residents;
    expect(banks.residents.map(({ name }) => name)).toEqual([
      'segsort/bank_0/prototypes',
      'segsort/bank_0/labels',
      'segsort/bank_1/prototypes',
      'segsort/bank_1/labels',
    ]);
    expect(Array.from((await runtime.read(oldest!)).data)).toEqual(new Array(6).fill(2));
    expect(Array.from((await runtime.read(newest!)).data)).toEqual(new Array(6).fill(3));
    step[Symbol.dispose]();
  });

  it('may be none', async () => {
    using banks = new MemoryBanks(new Runtime(await testGpu()), { banks: 0, rows: 3, channels: 2 });
    expect(banks.use()).toBeNull();
    expect(banks.residents).toEqual([]);
  });

  it('refuse prototypes of another size', async () => {
    const runtime = new Runtime(await testGpu());
    using banks = new MemoryBanks(runtime, { banks: 1, rows: 3, channels: 2 });
    const trace = () =>
      traceStep(
        (prototypes, labels) => {
          banks.update(prototypes, labels);
          return labels;
        },
        [
          { shape: [4, 2], dtype: 'f32' },
          { shape: [4], dtype: 'i32' },
        ],
      );
    expect(trace).toThrow('[4,2] has 8 elements, [3,2] 6');
  });
});
