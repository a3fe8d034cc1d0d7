/** Recomputation of traces: what is computed again, when, and that it changes neither values nor kernels. */
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { type RecomputeMode, recomputable, recompute } from '../../src/autograd/recompute.js';
import { assign, constant, scalar, scope, type Tensor } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import type { Dispatch } from '../../src/tensor/op.js';
import { batchNorm, moments } from '../../src/tensor/ops/batch_norm.js';
import { add, greater, mul, mulScalar, relu } from '../../src/tensor/ops/elementwise.js';
import { matmul } from '../../src/tensor/ops/matmul.js';
import { randomUniform } from '../../src/tensor/ops/random.js';
import { mean } from '../../src/tensor/ops/reduce.js';
import { reshape } from '../../src/tensor/ops/shape.js';
import { dumpPlan, makePlan, type Plan } from '../../src/tensor/plan.js';
import { Resident } from '../../src/tensor/resident.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { type Trace, traceStep } from '../../src/tensor/trace.js';
import { f32, hostTensor, ndarray } from '../../src/tensor/types.js';
import { GPU_FACTS } from '../support/facts.js';
import { testGpu } from '../support/gpu.js';
import { PLAIN_KERNELS } from '../support/plain_kernels.js';

const ROWS = 96;
const WIDTH = 8;
const MODES = ['cheap', 'balanced', 'blocks'] as const satisfies readonly RecomputeMode[];

type Step = (...args: Tensor[]) => Record<string, Tensor>;

const traced = (step: Step, count: number): Trace =>
  traceStep(step, [f32([ROWS, WIDTH]), ...Array.from({ length: count }, () => f32([WIDTH, WIDTH]))]);

function planned(step: Step, count: number, mode: RecomputeMode): Plan {
  const { graph, results } = recompute(mode)(traced(step, count), GPU_FACTS);
  return makePlan(graph, results, GPU_FACTS);
}

const normalized = (x: Tensor) =>
  batchNorm(x, {
    ...moments(x),
    gamma: constant([WIDTH], new Array(WIDTH).fill(1.5)),
    beta: scalar8(0.1),
    epsilon: 1e-3,
  });
const scalar8 = (value: number) => constant([WIDTH], new Array(WIDTH).fill(value));

/** Residual units of a product, batch norm and ReLU; the gradients of all weights. */
const tower: Step = (x, ...weights) => {
  let y = x!;
  for (const [i, weight] of weights.entries())
    y = scope(`unit${i}`, () => recomputable(() => add(relu(normalized(matmul(y, weight))), y)));
  const loss = mean(mul(y, y));
  return { loss, ...Object.fromEntries(grad(loss, weights).entries()) };
};

/**
 * Blocks that share inputs and hand on several values, one of them to a block that is not the next; a dropout; a reshape; a
 * block within a block; and a value that is read on both sides of the gradient.
 */
const tangle: Step = (x, w0, w1, w2) => {
  const [a, b] = recomputable(() => {
    const first = relu(normalized(matmul(x!, w0!)));
    return [first, mul(first, normalized(first))];
  }) as [Tensor, Tensor];
  const c = recomputable(() => {
    const draws = randomUniform([ROWS, WIDTH], { stream: 5 }, scalar(7, 'u32'), scalar(3, 'u32'));
    const kept = mul(b, greater(draws, scalar(0.5)));
    const inner = recomputable(() => relu(normalized(matmul(kept, w1!))));
    return add(reshape(reshape(inner, [ROWS * WIDTH]), [ROWS, WIDTH]), b);
  });
  const d = recomputable(() => mul(relu(normalized(matmul(add(a, c), w2!))), a));
  const loss = mean(mul(d, mul(c, b)));
  const gradients = grad(loss, [x!, w0!, w1!, w2!]);
  return { loss, late: mulScalar(mean(b), 3), ...Object.fromEntries(gradients.entries()) };
};

const values = (rows: number, seed: number) =>
  Float32Array.from({ length: rows * WIDTH }, (_, i) => Math.sin(i * 12.9898 + seed));
const shapesOf = (count: number) => [[ROWS, WIDTH], ...Array.from({ length: count }, () => [WIDTH, WIDTH])];

describe.each([
  ['residual units', tower, 4],
  ['tangled blocks', tangle, 3],
] as const)('recomputation of %s', (_, step, count) => {
  it('gives the same values by the float64 references', () => {
    const inputs = shapesOf(count).map((shape, i) => ndarray(shape, values(shape[0]!, i)));
    const plain = traced(step, count);
    const expected = interpret(plain.graph, plain.results, { arguments: inputs });
    expect(expected[0]!.data[0]).not.toBe(0);
    for (const mode of MODES) {
      const { graph, results } = recompute(mode)(traced(step, count), GPU_FACTS);
      expect(interpret(graph, results, { arguments: inputs }), mode).toEqual(expected);
    }
  });

  it('gives the same bits on the GPU', async () => {
    using runtime = new Runtime(await testGpu(), { kernels: PLAIN_KERNELS });
    const inputs = shapesOf(count).map((shape, i) => hostTensor(shape, values(shape[0]!, i)));
    const run = async (mode: RecomputeMode) => {
      using compiled = runtime.compile(step as Step, 'test', recompute(mode));
      const results = Object.entries(await compiled.run(...inputs));
      return new Map(await Promise.all(results.map(async ([name, result]) => [name, await result.read()] as const)));
    };
    const expected = await run('none');
    for (const mode of MODES) expect(await run(mode), mode).toEqual(expected);
  });

  it('runs the same kernels, some of them twice, without the moments that they computed on the way', () => {
    const kernels = (mode: RecomputeMode) =>
      planned(step, count, mode).steps.map(({ label, variant, commands }) => {
        const name = label.replace(/^recompute(: | )/, '');
        const [first, ...others] = commands as readonly Dispatch[];
        // What differs between a product with moments and without lies behind its grid and numbers.
        const work = name.includes('matmul') ? [first!.uniforms, first!.workgroups] : [first, ...others];
        return {
          again: label.startsWith('recompute'),
          kernel: JSON.stringify([name, variant, commands]),
          alone: JSON.stringify([name.replace('+moments', ''), variant, work]),
        };
      });
    const plain = kernels('none');
    for (const mode of MODES) {
      const all = kernels(mode);
      const first = all.filter(({ again }) => !again).map(({ kernel }) => kernel);
      expect(first, mode).toEqual(plain.map(({ kernel }) => kernel));
      const again = all.filter((one) => one.again);
      expect(again.length, mode).toBeGreaterThan(0);
      for (const { alone, kernel } of again) {
        const times = (list: readonly { alone: string }[]) => list.filter((other) => other.alone === alone).length;
        expect(times(again), `${mode}: ${kernel}`).toBeLessThanOrEqual(times(plain));
      }
    }
  });
});

describe('recomputed steps', () => {
  it('run in the backward pass, just before what needs them', () => {
    const { steps } = planned(tower, 6, 'blocks');
    const isRepeated = steps.map(({ label }) => label.startsWith('recompute '));
    const firstBackward = steps.findIndex(({ label }) => label.startsWith('grad '));
    expect(isRepeated.indexOf(true)).toBeGreaterThan(firstBackward);
    for (const [at, step] of steps.entries()) {
      if (!isRepeated[at]) continue;
      const reader = steps.findIndex(({ inputs }) => step.outputs.some((output) => inputs.includes(output)));
      expect(
        steps.slice(at, reader).every((_, i) => isRepeated[at + i]),
        step.label,
      ).toBe(true);
    }
  });

  it('are counted in the plan', () => {
    expect(dumpPlan(planned(tower, 6, 'none'))).not.toContain('recomputation');
    const dump = dumpPlan(planned(tower, 6, 'blocks'));
    const [, percent] = /\(([\d.]+) % more by recomputation\)/.exec(dump)!;
    // Of the three products of a layer one is repeated; those of the last layers may not be.
    expect(Number(percent)).toBeGreaterThan(10);
    expect(Number(percent)).toBeLessThan(50);
  });
});

describe('memory', () => {
  const live = (units: number, mode: RecomputeMode) => planned(tower, units, mode).liveBytes;

  it('shrinks from mode to mode', () => {
    const [none, cheap, blocks] = (['none', 'cheap', 'blocks'] as const).map((mode) => live(12, mode));
    expect(cheap).toBeLessThan(0.8 * none!);
    // A product of 8 columns takes 16 FLOPs an element.
    expect(blocks).toBeLessThanOrEqual(cheap!);
  });

  it('grows like the root of the depth, where everything may be computed again', () => {
    const [short, long] = [9, 36].map((units) => live(units, 'blocks'));
    expect(live(36, 'none') / live(9, 'none')).toBeGreaterThan(3.5);
    expect(long! / short!).toBeLessThan(2.5);
  });

  it('is not spent on inputs of what is cheap to compute, where they are needed for nothing else', () => {
    const step: Step = (x, ...weights) => {
      let y = x!;
      for (const weight of weights)
        y = recomputable(() => {
          // 128 FLOPs an element, so that the product itself is not computed again.
          const wide = matmul(y, reshape(weight, [WIDTH, WIDTH]));
          return relu(matmul(relu(add(wide, matmul(y, weight))), weight));
        });
      const loss = mean(y);
      return { loss, ...Object.fromEntries(grad(loss, weights).entries()) };
    };
    expect(planned(step, 8, 'cheap').liveBytes).toBeLessThanOrEqual(planned(step, 8, 'none').liveBytes);
  });
});

describe('assignments', () => {
  it('happen once, by the first values', () => {
    const statistic = new Resident('mean', f32([WIDTH]));
    const step: Step = (x, weight) => {
      const y = recomputable(() => {
        const product = matmul(x!, weight!);
        const { mean: average, variance } = moments(product);
        assign(statistic, average);
        return relu(
          batchNorm(product, { mean: average, variance, gamma: scalar8(1), beta: scalar8(0), epsilon: 1e-3 }),
        );
      });
      const loss = mean(mul(y, y));
      return { loss, gradient: grad(loss, [weight!])[0]! };
    };
    const { graph } = recompute('blocks')(traced(step, 1), GPU_FACTS);
    expect(graph.assignments).toHaveLength(1);
    const [{ resident, value }] = graph.assignments as [(typeof graph.assignments)[0]];
    expect(resident).toBe(statistic);
    expect(value.node.scope).not.toContain('recompute');
  });
});

describe('a trace', () => {
  it('stays as it is without blocks, without gradients, and in mode none', () => {
    const unmarked: Step = (x, weight) => {
      const loss = mean(relu(matmul(x!, weight!)));
      return { loss, gradient: grad(loss, [weight!])[0]! };
    };
    const forward: Step = (x, weight) => ({ y: recomputable(() => relu(matmul(x!, weight!))) });
    for (const [step, mode] of [
      [unmarked, 'blocks'],
      [forward, 'blocks'],
      [tower, 'none'],
    ] as const) {
      const trace = traced(step, 1);
      expect(recompute(mode)(trace, GPU_FACTS)).toBe(trace);
    }
  });

  it('is refused a mode that there is none of', () => {
    expect(() => recompute('some' as RecomputeMode)).toThrow(
      new RangeError('recompute: must be one of none, cheap, balanced, blocks, got some'),
    );
  });
});
