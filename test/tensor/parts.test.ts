/** Values written at once where another holds them: where that is sound, and that nothing else is done. */
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/tensor/graph.js';
import { assign, constant } from '../../src/tensor/graph.js';
import { moments } from '../../src/tensor/ops/batch_norm.js';
import { add, exp, mul, mulScalar } from '../../src/tensor/ops/elementwise.js';
import { concat } from '../../src/tensor/ops/layout.js';
import { pack } from '../../src/tensor/ops/pack.js';
import { sum } from '../../src/tensor/ops/reduce.js';
import { reshape, view } from '../../src/tensor/ops/shape.js';
import { makePlan, type Plan } from '../../src/tensor/plan.js';
import { flatLayout, Resident } from '../../src/tensor/resident.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { type Returned, traceStep } from '../../src/tensor/trace.js';
import { f32, hostTensor, sizeOf } from '../../src/tensor/types.js';
import { GPU_FACTS } from '../support/facts.js';
import { testGpu } from '../support/gpu.js';
import { replaySymbolically } from '../support/symbolic_memory.js';

const packed = (...tensors: Tensor[]) => pack(tensors, flatLayout(tensors.map(({ shape }) => sizeOf(shape))));

/** Values that steps of their own compute, and that something else reads too. */
const computed = (x: Tensor, factor: number) => exp(mulScalar(x, factor));

function planned(step: (...args: Tensor[]) => Returned, ...shapes: number[][]): Plan {
  const { graph, results } = traceStep(step, shapes.map(f32));
  const plan = makePlan(graph, results, GPU_FACTS, { concat: 'copy' });
  replaySymbolically(plan);
  return plan;
}

/** Bytes from the beginning of one value to that of another; null if they lie in different slots. */
function between(plan: Plan, from: Tensor, to: Tensor): number | null {
  const [a, b] = [plan.place(from), plan.place(to)];
  return 'slot' in a && 'slot' in b && a.slot === b.slot ? b.offset - a.offset : null;
}

const outputOf = (plan: Plan, op: string) => plan.steps.find((step) => step.op === op)!.outputs[0]!;
const commandsOf = (plan: Plan, op: string) => plan.steps.find((step) => step.op === op)!.commands;
const copiesIn = (plan: Plan, op: string) => commandsOf(plan, op).filter((command) => !('source' in command)).length;

describe('a packed value', () => {
  it('has its parts written in their places, and its gaps by one dispatch', () => {
    let [a, b, c] = [] as unknown as [Tensor, Tensor, Tensor];
    const plan = planned(
      (x, y, z) => {
        [a, b, c] = [computed(x!, 1), computed(y!, 2), reshape(computed(z!, 3), [4, 32])];
        return sum(packed(a, b, c));
      },
      [3, 5],
      [200],
      [128],
    );
    const whole = outputOf(plan, 'pack');
    expect([a, b, c].map((part) => between(plan, whole, part))).toEqual([0, 512, 1536]);
    expect(commandsOf(plan, 'pack')).toHaveLength(1);
    expect(copiesIn(plan, 'pack')).toBe(0);
  });

  it('takes no command where there are no gaps', () => {
    const plan = planned((x, y) => sum(packed(computed(x!, 1), computed(y!, 2))), [128], [2, 128]);
    expect(commandsOf(plan, 'pack')).toEqual([]);
    expect(plan.steps.find(({ op }) => op === 'pack')!.bytes).toBe(0);
  });

  it('takes both results of one kernel', () => {
    let statistics = {} as { mean: Tensor; variance: Tensor };
    const plan = planned(
      (x) => {
        statistics = moments(x!);
        return sum(packed(statistics.mean, statistics.variance));
      },
      [300, 128],
    );
    const whole = outputOf(plan, 'pack');
    expect(between(plan, whole, statistics.mean)).toBe(0);
    expect(between(plan, whole, statistics.variance)).toBe(512);
  });

  it('lives on while a part is read', () => {
    const plan = planned(
      (x) => {
        const a = computed(x!, 1);
        const total = sum(packed(a, computed(x!, 2)));
        let y = exp(mul(a, total));
        for (let i = 0; i < 3; i++) y = exp(mul(y, sum(y)));
        return mul(y, a);
      },
      [128],
    );
    expect(copiesIn(plan, 'pack')).toBe(0);
  });

  it('may itself lie in another', () => {
    let [a, inner] = [] as unknown as [Tensor, Tensor];
    const plan = planned(
      (x, y) => {
        a = computed(x!, 2);
        inner = packed(computed(x!, 1), a);
        return sum(concat([exp(y!), inner], 0));
      },
      [100],
      [64],
    );
    const whole = outputOf(plan, 'concat');
    expect(between(plan, whole, inner)).toBe(256);
    expect(between(plan, whole, a)).toBe(256 + 512);
    expect(commandsOf(plan, 'concat')).toEqual([]);
  });
});

describe('a part is copied', () => {
  const cases: [string, (x: Tensor, y: Tensor) => { whole: Tensor; rest?: Record<string, Tensor> }, number][] = [
    ['if it is a source', (x) => ({ whole: packed(x, computed(x, 1)) }), 1],
    ['if it is a constant', (x) => ({ whole: packed(constant([2], [1, 2]), computed(x, 1)) }), 1],
    [
      'if it is a result',
      (x) => {
        const kept = computed(x, 1);
        return { whole: packed(kept, computed(x, 2)), rest: { kept } };
      },
      1,
    ],
    [
      'if it is assigned',
      (x) => {
        const kept = computed(x, 1);
        assign(new Resident('state', f32([128])), kept);
        return { whole: packed(kept, computed(x, 2)) };
      },
      1,
    ],
    [
      'wherever else it lies',
      (x) => {
        const twice = computed(x, 1);
        const first = packed(twice, computed(x, 2));
        return { whole: packed(exp(first), twice), rest: { first: sum(first) } };
      },
      1,
    ],
    [
      'if the same pack reads it twice',
      (x) => {
        const twice = computed(x, 1);
        return { whole: packed(twice, reshape(twice, [2, 64])) };
      },
      2,
    ],
    ['if it is a part of another value', (x) => ({ whole: packed(view(computed(x, 1), 64, [64]), computed(x, 2)) }), 1],
    ['if nothing can be bound where it lies', (x, y) => ({ whole: concat([computed(y, 1), computed(x, 2)], 0) }), 1],
    [
      'if what writes it reads another part',
      (x) => {
        const first = computed(x, 1);
        return { whole: packed(first, exp(first)) };
      },
      1,
    ],
    [
      'if what writes it reads another part by way of a whole',
      (x) => {
        const inner = packed(computed(x, 1), computed(x, 2));
        return { whole: packed(inner, exp(inner)) };
      },
      1,
    ],
  ];
  it.each(cases)('%s', (_, body, copies) => {
    let whole: Tensor | undefined;
    const plan = planned(
      (x, y) => {
        const made = body(x!, y!);
        whole = made.whole;
        return { total: sum(made.whole), ...made.rest };
      },
      [128],
      [3],
    );
    const step = plan.steps.find(({ outputs }) => outputs[0] === whole)!;
    expect(step.commands.filter((command) => !('source' in command))).toHaveLength(copies);
  });
});

describe('memory with parts in their places', () => {
  it('holds what is read, whatever is packed', () => {
    let seed = 11;
    const random = (n: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % n;
    };
    let [copies, placed] = [0, 0];
    for (let round = 0; round < 60; round++) {
      const plan = planned(
        (...args) => {
          const values = [...args];
          const any = () => values[random(values.length)]!;
          for (let i = 0; i < 25; i++) values.push(randomValue(random, any));
          const [last, other] = [values.at(-1)!, any()];
          return { last: exp(last), other: other.node.op ? other : exp(other), total: sum(packed(any(), any(), last)) };
        },
        [64],
        [100],
        [2, 128],
      );
      for (const { node, inputs, commands } of plan.steps) {
        if (!node.op?.parts) continue;
        const left = commands.filter((command) => !('source' in command)).length;
        copies += left;
        placed += Math.min(inputs.length, node.op.parts(inputs, node.params).length) - left;
      }
    }
    expect(copies).toBeGreaterThan(100);
    expect(placed).toBeGreaterThan(100);
  });
});

/** A value of some others: elementwise, in one piece or as a reduction, packed, joined, or under another shape. */
function randomValue(random: (n: number) => number, any: () => Tensor): Tensor {
  const x = any();
  const flat = (tensor: Tensor) => reshape(tensor, [sizeOf(tensor.shape)]);
  switch (random(8)) {
    case 0:
      return packed(any(), any(), x);
    case 1:
      return concat([flat(x), flat(any()), flat(any())], 0);
    case 2:
      return flat(x);
    case 3:
      return moments(reshape(x, [sizeOf(x.shape) / 2, 2])).variance;
    case 4:
      return mul(x, sum(any()));
    case 5:
      return add(exp(x), exp(mulScalar(x, 2)));
    default:
      return exp(x);
  }
}

it('leaves zeros in the gaps, whatever lay there', async () => {
  using runtime = new Runtime(await testGpu(), { kernels: { reduce: 'naive' } });
  using step = runtime.compile((x: Tensor) => {
    // Infinite values in more slots than there are before they are shared.
    const junk = Array.from({ length: 24 }, (_, i) => exp(mulScalar(x, 1000 + i)));
    const total = junk.map((value) => sum(value)).reduce((a, b) => add(a, b));
    const y = mul(x, exp(mulScalar(total, -1)));
    return { flat: mulScalar(packed(exp(y), sum(y), exp(mulScalar(y, 2))), 3), total };
  });
  const { flat, total } = await step.run(hostTensor([300], new Array(300).fill(5)));
  expect(await total.scalar()).toBe(Number.POSITIVE_INFINITY);
  const { data } = await flat.read();
  const expected = new Float32Array(384 + 128 + 384);
  expected.fill(3, 0, 300);
  expected.fill(3, 512, 812);
  expect(data).toEqual(expected);
});
