/** Kernels whose operands lie among the columns of other values do to the bit what they do with operands of their own. */
import { describe, expect, it } from 'vitest';
import { apply, type Tensor } from '../../src/tensor/graph.js';
import { type BufferRef, input, type Kernel, type Op, output, type Sample } from '../../src/tensor/op.js';
import { add, mul, mulScalar, relu } from '../../src/tensor/ops/elementwise.js';
import { allOps } from '../../src/tensor/ops/index.js';
import { concat, slice } from '../../src/tensor/ops/layout.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { type HostTensor, hostTensor, sameShape, sizeOf, type TensorType } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';
import { withHalves } from '../support/halves.js';

const FUSED: Kernel = { name: 'fused', commands: () => [] };

/** Values that make rows a multiple of 4 longer, and longer by more than a vector. */
function besides({ shape, dtype }: TensorType): HostTensor {
  const wide = [...shape.slice(0, -1), 8 - (shape.at(-1)! % 4)];
  return hostTensor(wide, new Array(sizeOf(wide)).fill(77), dtype);
}

const narrow = (wide: Tensor, { shape }: TensorType) => slice(wide, new Array(shape.length).fill(0), shape);

/** What steps of their own have computed. */
const computed = (x: Tensor, y: Tensor) => mulScalar(concat([x, y], -1), 1);

const rowsOf = ({ shape }: TensorType) => sizeOf(shape.slice(0, -1));

/** Which operands of a kernel can have a pitch with this sample, and are of more than one row. */
function operandsOf(op: Op, kernel: Kernel, { inputs, params }: Sample<unknown>): BufferRef[] {
  const [y] = op.infer(inputs, params);
  const refs =
    kernel === FUSED
      ? [...inputs.flatMap(({ shape }, i) => (sameShape(shape, y!.shape) ? [input(i)] : [])), output(0)]
      : (kernel.pitched ?? []);
  return refs.filter(({ kind, index }) => rowsOf(kind === 'input' ? inputs[index]! : y!) > 1);
}

/** The op alone; and with an operand among the columns of another value, from where the host takes what it wrote. */
async function check(runtime: Runtime, op: Op, kernel: Kernel, { inputs, params }: Sample<unknown>, ref: BufferRef) {
  const [y] = op.infer(inputs, params);
  const wide = ref.kind === 'input' ? inputs[ref.index]! : y!;
  using alone = runtime.compile((...args: Tensor[]) => apply(op, args, params)[0]!);
  using among = runtime.compile((other: Tensor, ...args: Tensor[]) => {
    if (ref.kind === 'output') return concat([apply(op, args, params)[0]!, other], -1);
    const x = narrow(computed(args[ref.index]!, other), wide);
    return apply(op, args.with(ref.index, x), params)[0]!;
  });
  const args = inputs.map(({ shape, data, dtype }) => hostTensor(shape, data, dtype));
  const expected = await (await alone.run(...args)).read();
  const found = await (await among.run(besides(wide), ...args)).read();
  const plan = among.plan(besides(wide), ...args);
  expect(plan.steps.map(({ variant }) => variant)).toContain(kernel.name);
  expect(plan.steps.filter(({ op: name }) => name === 'slice')).toEqual([]);
  if (ref.kind === 'output') expect(plan.steps.at(-1)!.commands).toHaveLength(1);
  const [width, pitch] = [y!.shape.at(-1)!, found.shape.at(-1)!];
  expect(found.data.filter((_: number, i: number) => i % pitch < width)).toEqual(expected.data);
}

/** Elementwise kernels are all written by the same text. */
const ELEMENTWISE = ['add', 'where', 'exp'];

const kernels = allOps.flatMap((op) => {
  if (!op.kernels) return ELEMENTWISE.includes(op.name) ? [[op, FUSED] as const] : [];
  return op.kernels.filter(({ pitched }) => pitched).map((kernel) => [op, kernel] as const);
});

it.for(kernels.map(([op, kernel]) => [`${op.name}:${kernel.name}`, op, kernel] as const))(
  '%s',
  async ([, op, kernel]) => {
    const { device, facts } = await testGpu();
    let checked = 0;
    for (const cpu of [true, false]) {
      const overrides = kernel === FUSED ? {} : { [op.name]: kernel.name };
      using runtime = new Runtime({ device, facts: { ...facts, cpu } }, { kernels: overrides });
      for (const sample of op.samples().flatMap((each) => [each, ...withHalves(op, each)])) {
        const context = { ...sample, outputs: op.infer(sample.inputs, sample.params), adapter: runtime.facts };
        if (kernel.when?.(context) === false) continue;
        for (const ref of operandsOf(op, kernel, sample)) {
          await check(runtime, op, kernel, sample, ref);
          checked++;
        }
      }
    }
    expect(checked).toBeGreaterThan(0);
  },
);

describe('a fused kernel, between other columns', () => {
  const step = (x: Tensor, y: Tensor, scale: Tensor) => relu(add(mul(x, scale), y));
  const filled = (shape: readonly number[], value: (i: number) => number) =>
    hostTensor(
      shape,
      Array.from({ length: sizeOf(shape) }, (_, i) => value(i)),
    );
  it.for([
    ['takes vectors of four, by rows on CPU adapters', [2, 64, 24, 64]],
    ['takes rows that four vectors do not divide', [2, 64, 25, 40]],
    ['takes single elements', [2, 64, 24, 9]],
  ] as const)('%s', async ([, shape]) => {
    const { device, facts } = await testGpu();
    const width = shape[3];
    const inputs = [filled(shape, Math.sin), filled(shape, Math.cos), filled([width], (i) => 1 + i / 8)];
    // Where a buffer can be bound.
    const before = 64;
    const others = [filled([...shape.slice(0, 3), before], () => 77), besides(inputs[0]!)];
    for (const cpu of [true, false]) {
      using runtime = new Runtime({ device, facts: { ...facts, cpu } });
      using alone = runtime.compile(step);
      using among = runtime.compile((front: Tensor, back: Tensor, x: Tensor, y: Tensor, scale: Tensor) => {
        const wide = mulScalar(concat([front, x, back], -1), 1);
        const inside = slice(wide, [0, 0, 0, before], shape);
        return concat([mulScalar(front, 1), step(inside, y, scale), back], -1);
      });
      const expected = await (await alone.run(...inputs)).read();
      const found = await (await among.run(...others, ...inputs)).read();
      const pitch = found.shape[3]!;
      const isOurs = (i: number) => i % pitch >= before && i % pitch < before + width;
      expect(found.data.filter((_: number, i: number) => isOurs(i))).toEqual(expected.data);
      expect(found.data.filter((value: number, i: number) => !isOurs(i) && value !== 77)).toHaveLength(0);
      const { steps } = among.plan(...others, ...inputs);
      expect(steps.filter(({ op }) => op === 'slice')).toEqual([]);
      expect(steps.at(-1)!.commands).toHaveLength(1);
    }
  });
});
