/** What compares kernels with their references on a GPU: it runs every form, finds what is wrong, and says what ran nothing. */
import { expect, test } from 'vitest';
import { checkVariants } from '../../bench/harness/check_variants.js';
import type { Kernel, Op } from '../../src/tensor/op.js';
import { allOps } from '../../src/tensor/ops/index.js';
import { matmulOp } from '../../src/tensor/ops/matmul.js';
import { testGpu } from '../support/gpu.js';

const opNamed = (name: string): Op => allOps.find((op) => op.name === name)!;

/** The op with some of its kernels. */
const with_ = (op: Op, include: (kernel: Kernel) => boolean): Op => ({ ...op, kernels: op.kernels!.filter(include) });

test('fused ops and kernels run in f32 and with halves', async () => {
  const { checked, idle } = await checkVariants(await testGpu(), [
    opNamed('relu'),
    with_(matmulOp, ({ name }) => name === 'naive'),
  ]);
  expect(checked.map(({ op, variant, form, wrong }) => [op, variant, form, wrong])).toEqual([
    ['relu', 'fused', 'f32', null],
    ['relu', 'fused', 'f16', null],
    ['matmul', 'naive', 'f32', null],
    ['matmul', 'naive', 'f16', null],
  ]);
  expect(checked.every(({ samples }) => samples > 0)).toBe(true);
  expect(idle).toEqual([]);
});

test('what computes something else is wrong, in every form', async () => {
  const relu = opNamed('relu');
  const shifted: Op = {
    ...relu,
    reference: (inputs, params) =>
      relu.reference(inputs, params).map((array) => ({ ...array, data: array.data.map((value) => value + 0.1) })),
  };
  const { checked } = await checkVariants(await testGpu(), [shifted]);
  expect(checked.map(({ form }) => form)).toEqual(['f32', 'f16']);
  for (const { wrong } of checked) expect(wrong).toMatch(/^error \d\.\de-\d over/);
});

test('what throws is wrong, and the others go on', async () => {
  const [naive] = matmulOp.kernels!.filter(({ name }) => name === 'naive');
  const broken: Op = {
    ...matmulOp,
    name: 'broken',
    kernels: [
      {
        ...naive!,
        commands() {
          throw new Error('no such tile');
        },
      },
    ],
  };
  const { checked } = await checkVariants(await testGpu(), [broken, opNamed('relu')]);
  expect(checked.find(({ op }) => op === 'broken')!.wrong).toMatch(/^no such tile at f32\[/);
  expect(checked.filter(({ op }) => op === 'relu').map(({ wrong }) => wrong)).toEqual([null, null]);
});

test('says of what ran nothing why', async () => {
  const gpu = await testGpu();
  const [naive] = matmulOp.kernels!.filter(({ name }) => name === 'naive');
  const kernel = (name: string, changes: Partial<Kernel>): Kernel => ({ ...naive!, name, ...changes });
  const { checked, idle } = await checkVariants(gpu, [
    {
      ...matmulOp,
      kernels: [
        kernel('needy', { needs: ['teleportation'] }),
        kernel('other', { when: ({ adapter }) => adapter.cpu !== gpu.facts.cpu }),
        kernel('never', { when: () => false }),
      ],
    },
  ]);
  expect(checked).toEqual([]);
  expect(idle.map(({ variant, why }) => [variant, why])).toEqual([
    ['needy', 'the adapter lacks teleportation'],
    ['other', `for ${gpu.facts.cpu ? 'GPUs' : 'CPU adapters'}`],
    ['never', 'no sample selects it here'],
  ]);
});
