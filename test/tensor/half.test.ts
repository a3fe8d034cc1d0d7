/** Halves: their bits on the host, on the GPU, and as the dtype of a trace. */
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { fromHalf, roundToHalf, toHalf } from '../../src/tensor/half.js';
import { cast } from '../../src/tensor/ops/cast.js';
import { add, exp, mul, mulScalar, relu } from '../../src/tensor/ops/elementwise.js';
import { softmax } from '../../src/tensor/ops/normalize.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { reshape, view, zerosLike } from '../../src/tensor/ops/shape.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { traceStep } from '../../src/tensor/trace.js';
import { hostTensor, type TensorType, valuesOf } from '../../src/tensor/types.js';
import { specialize } from '../../src/tensor/wgsl.js';
import { testGpu } from '../support/gpu.js';

const half = (...shape: number[]): TensorType => ({ shape, dtype: 'f16' });
const float = (...shape: number[]): TensorType => ({ shape, dtype: 'f32' });

describe('bits of halves', () => {
  it('says of every half what it stands for, and back', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromHalf(bits);
      if (Number.isNaN(value)) expect(toHalf(value) & 0x7e00).toBe(0x7e00);
      else expect(toHalf(value)).toBe(bits);
    }
  });

  it('rounds to the nearest, ties to even, over all sizes', () => {
    expect([1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -25, 2 ** -25 * 1.0001, 3 * 2 ** -25].map(roundToHalf)).toEqual([
      1,
      1 + 2 ** -9,
      0,
      2 ** -24,
      2 ** -23,
    ]);
    expect([65504, 65519.99, 65520, -1e9, -0].map(roundToHalf)).toEqual([65504, 65504, Infinity, -Infinity, -0]);
    // Between neighbours, whatever lies nearer.
    for (let bits = 1; bits < 0x7bff; bits += 97) {
      const [low, high] = [fromHalf(bits), fromHalf(bits + 1)];
      expect(toHalf(low + 0.49 * (high - low))).toBe(bits);
      expect(toHalf(low + 0.51 * (high - low))).toBe(bits + 1);
    }
  });
});

describe('halves on the GPU', () => {
  it('narrows and widens as the host does, subnormal numbers too', async () => {
    using runtime = new Runtime(await testGpu());
    const values = [0, 1, -1, 1 / 3, 65504, -65519, 2 ** -14, 2 ** -20, 3 * 2 ** -25, 1 + 2 ** -11, -(2 ** -24), 7];
    using step = runtime.compile((x) => {
      const narrow = cast(x, 'f16');
      return { narrow, wide: cast(narrow, 'f32') };
    });
    const { narrow, wide } = await step.run(hostTensor([values.length], values));
    const [bits, back] = [await narrow.read(), await wide.read()];
    expect(bits.dtype).toBe('f16');
    expect([...bits.data]).toEqual(values.map(toHalf));
    expect([...back.data]).toEqual(values.map(roundToHalf));
  });

  it('makes what is too large not finite: infinity or NaN, as the driver has it', async () => {
    using runtime = new Runtime(await testGpu());
    using step = runtime.compile((x) => cast(x, 'f16'));
    const result = await (await step.run(hostTensor([4], [66000, 1e9, -1e30, 65504]))).read();
    expect([...valuesOf(result)].map(Number.isFinite)).toEqual([false, false, false, true]);
  });

  it('computes fused chains in f32, and stores vectors of f32 broadcast over halves as halves', async () => {
    using runtime = new Runtime(await testGpu());
    using step = runtime.compile((x, bias) => relu(mulScalar(add(x, bias), 1000)));
    const x = hostTensor([3, 4], [0.1, -0.2, 0.3, 5, 6, -7, 8, 9, 1e-3, 0, 0, 60], 'f16');
    const bias = hostTensor([4], [1, 1, 0.5, -59]);
    const { dtype, data } = await (await step.run(x, bias)).read();
    const inputs = valuesOf(x);
    expect(dtype).toBe('f16');
    expect(Array.from(data, fromHalf)).toEqual(
      Array.from(inputs, (value, i) => roundToHalf(Math.max(0, Math.fround(value + bias.data[i % 4]!) * 1000))),
    );
  });

  it('reads parts of a flat buffer where they lie', async () => {
    using runtime = new Runtime(await testGpu());
    const values = Array.from({ length: 384 }, (_, i) => i);
    using step = runtime.compile((flat) => {
      const packed = cast(flat, 'f16');
      return { a: mulScalar(view(packed, 128, [2, 4]), 2), b: add(view(packed, 256, [8]), view(flat, 64, [8])) };
    });
    const { a, b } = await step.run(hostTensor([384], values));
    expect([...valuesOf(await a.read())]).toEqual([256, 258, 260, 262, 264, 266, 268, 270]);
    expect([...(await b.read()).data]).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((i) => 320 + 2 * i));
  });
});

describe('dtypes of a trace', () => {
  const typesOf = (step: Parameters<typeof traceStep>[0], ...inputs: TensorType[]) => {
    const { structure, graph } = traceStep(step, inputs);
    const types = Object.entries(structure).map(([name, { dtype }]) => [name, dtype]);
    return { ...Object.fromEntries(types), ops: graph.nodes.flatMap(({ op }) => (op ? [op.name] : [])) };
  };

  it('promotes to f32 where an operand of the result’s own shape is f32', () => {
    const types = typesOf(
      (x, y, channel) => ({ both: add(x, x), one: add(x, y), vector: mul(channel, x), scaled: mulScalar(x, 2) }),
      half(2, 3, 4),
      float(2, 3, 4),
      float(4),
    );
    expect(types).toMatchObject({ both: 'f16', one: 'f32', vector: 'f16', scaled: 'f16' });
  });

  it('casts for an op that knows no halves, and for a shape that cannot hold them', () => {
    const types = typesOf((x) => ({ soft: softmax(x), odd: reshape(x, [2, 6]), even: reshape(x, [3, 4]) }), half(12));
    expect(types).toMatchObject({ soft: 'f32', odd: 'f32', even: 'f16' });
    // The last is a copy of the argument, which `even` is an alias of.
    expect(types.ops).toEqual(['cast', 'softmax', 'cast', 'reshape', 'reshape', 'broadcastTo']);
    expect(() => typesOf((x) => ({ bad: cast(x, 'f16') }), float(3, 6))).toThrow(/cast: \[3,6\] can't be f16/);
    expect(() => typesOf((x) => ({ bad: view(x, 100, [4]) }), half(256))).toThrow(/256 bytes/);
  });

  it('stores gradients as the values are, and hands them over in f32', () => {
    const types = typesOf(
      (w, x) => {
        const y = exp(mul(x, w));
        const [ofW, ofX, unused] = grad(sum(y), [w, x, zerosLike(x)]);
        return { y, ofW: ofW!, ofX: ofX!, unused: unused! };
      },
      float(4),
      half(8, 4),
    );
    expect(types).toMatchObject({ y: 'f16', ofW: 'f32', ofX: 'f32', unused: 'f32' });
  });
});

describe('shader parameters', () => {
  const source = `
alias Stored = vec4f;  // @param  how it lies in memory
fn widen(v: Stored) -> vec4f { return v; }  // @param
@group(0) @binding(1) var<storage, read> x: array<Stored>;
fn main() { let v = widen(x[0]); }`;

  it('replaces types and what functions return', () => {
    const { code } = specialize(source, {
      Stored: 'vec2u',
      widen: 'vec4f(unpack2x16float(v.x), unpack2x16float(v.y))',
    });
    expect(code).toContain('alias Stored = vec2u;');
    expect(code).toContain(
      'fn widen(v: Stored) -> vec4f { return vec4f(unpack2x16float(v.x), unpack2x16float(v.y)); }',
    );
    expect(specialize(source).code).toBe(source);
    expect(() => specialize(source, { narrow: 'v' })).toThrow(/no line tagged "\/\/ @param" for narrow/);
  });
});
