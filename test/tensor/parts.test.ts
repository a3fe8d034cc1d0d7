/** Values written at once where another holds them: where that is sound, and that nothing else is done. */
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/tensor/graph.js';
import { assign, constant } from '../../src/tensor/graph.js';
import { moments } from '../../src/tensor/ops/batch_norm.js';
import { add, exp, mul, mulScalar } from '../../src/tensor/ops/elementwise.js';
import { concat, slice } from '../../src/tensor/ops/layout.js';
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

function hasPitch(plan: Plan, tensor: Tensor): boolean {
  const place = plan.place(tensor);
  return 'slot' in place && place.pitch !== undefined;
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

/** Of [6, 64] and [6, 128], the columns one after another. */
const joined = (x: Tensor, y: Tensor) => concat([computed(x, 1), computed(y, 2)], 1);

describe('columns of another value', () => {
  const shapes = [
    [6, 64],
    [6, 128],
  ];

  it('are written in their places', () => {
    let [a, b] = [] as unknown as [Tensor, Tensor];
    const plan = planned(
      (x, y) => {
        [a, b] = [computed(x!, 1), computed(y!, 2)];
        return { all: sum(concat([a, b], 1)), first: exp(mul(a, sum(a))) };
      },
      ...shapes.map(([rows, columns]) => [rows!, columns!]),
    );
    const whole = outputOf(plan, 'concat');
    expect(between(plan, whole, b)).toBe(256);
    expect(commandsOf(plan, 'concat')).toHaveLength(1);
  });

  it('are read in their places', () => {
    let [whole, part] = [] as unknown as [Tensor, Tensor];
    const plan = planned(
      (x) => {
        whole = computed(x!, 1);
        part = slice(whole, [0, 64], [6, 128]);
        return sum(exp(part));
      },
      [6, 256],
    );
    expect(plan.steps.map(({ op }) => op)).not.toContain('slice');
    expect(between(plan, whole, part)).toBe(256);
    expect(plan.place(part)).toMatchObject({ pitch: 256 });
  });

  it('of one row, or rows of another value, are read in one piece by whatever reads', () => {
    const plan = planned(
      (x) => {
        const whole = computed(x!, 1);
        return add(sum(slice(whole, [2, 64], [1, 64])), sum(slice(whole, [1, 0], [3, 128])));
      },
      [6, 128],
    );
    expect(plan.steps.map(({ op }) => op)).not.toContain('slice');
  });

  const copied: [string, (x: Tensor, y: Tensor) => Record<string, Tensor>, string, number][] = [
    ['of a source', (x) => ({ y: exp(slice(x, [0, 0], [6, 32])) }), 'slice', 1],
    ['that are a result', (x) => ({ y: slice(computed(x, 1), [0, 0], [6, 32]) }), 'slice', 1],
    ['that begin where nothing can be bound', (x) => ({ y: exp(slice(computed(x, 1), [0, 4], [6, 32])) }), 'slice', 1],
    [
      'that a kernel wants as rows of their own',
      (x) => ({ y: moments(slice(computed(x, 1), [0, 0], [6, 32])).mean }),
      'slice',
      1,
    ],
    [
      'that are seen in rows of another length',
      (x) => ({ y: exp(reshape(slice(computed(x, 1), [0, 0], [6, 32]), [32, 6])) }),
      'slice',
      1,
    ],
    ['of columns', (x) => ({ y: exp(slice(slice(computed(x, 1), [0, 0], [6, 32]), [0, 0], [6, 16])) }), 'slice', 1],
    ['that are a source', (x, y) => ({ y: sum(concat([x, y], 1)) }), 'concat', 2],
    [
      'that begin where nothing can be bound',
      (x, y) => ({ y: sum(concat([exp(mulScalar(slice(x, [0, 0], [6, 4]), 2)), computed(y, 1)], 1)) }),
      'concat',
      1,
    ],
    [
      'of rows that fours do not divide',
      (x, y) => ({ y: sum(concat([computed(y, 1), exp(mulScalar(slice(x, [0, 0], [6, 3]), 2))], 1)) }),
      'concat',
      2,
    ],
    ['that hold others', (x, y) => ({ y: sum(concat([joined(x, y), computed(x, 3)], 1)) }), 'concat', 1],
    [
      'that are read where others are written',
      (x) => {
        const a = computed(x, 1);
        return { y: sum(concat([a, exp(a)], 1)) };
      },
      'concat',
      1,
    ],
  ];
  it.each(copied)('%s are copied', (_, step, op, copies) => {
    const plan = planned((x, y) => step(x!, y!), ...shapes);
    const commands = plan.steps.filter((each) => each.op === op).flatMap((each) => each.commands);
    expect(commands).toHaveLength(copies);
  });
});

describe('memory with parts in their places', () => {
  it('holds what is read, whatever is packed, joined or sliced', () => {
    let seed = 11;
    const random = (n: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % n;
    };
    let [copies, placed, sliced, written, read] = [0, 0, 0, 0, 0];
    for (let round = 0; round < 60; round++) {
      const plan = planned(
        (...args) => {
          const values = [...args];
          const any = () => values[random(values.length)]!;
          for (let i = 0; i < 25; i++) values.push(randomValue(random, any, args[2]!));
          const [last, other] = [values.at(-1)!, any()];
          return { last: exp(last), other: other.node.op ? other : exp(other), total: sum(packed(any(), any(), last)) };
        },
        [64],
        [100],
        [2, 128],
      );
      for (const { node, inputs, outputs, commands } of plan.steps) {
        if (node.op?.partOf) sliced++;
        if (outputs.some((tensor) => hasPitch(plan, tensor))) written++;
        if (inputs.some((tensor) => hasPitch(plan, tensor))) read++;
        const parts = node.op?.parts?.(inputs, node.params) ?? [];
        const left = commands.filter((command) => !('source' in command) || command.buffers[0]!.index < parts.length);
        copies += left.length;
        placed += parts.length - left.length;
      }
    }
    expect(copies).toBeGreaterThan(100);
    expect(placed).toBeGreaterThan(100);
    for (const count of [sliced, written, read]) expect(count).toBeGreaterThan(40);
  });
});

/**
 * A value of some others: elementwise, in one piece or as a reduction, packed, joined, some columns or rows, or under another shape.
 *
 * @param table of the shape [2, 128]
 */
function randomValue(random: (n: number) => number, any: () => Tensor, table: Tensor): Tensor {
  const x = any();
  const flat = (tensor: Tensor) => reshape(tensor, [sizeOf(tensor.shape)]);
  const wide = () => concat([mul(table, sum(any())), mul(table, sum(x)), exp(mul(table, sum(any())))], 1);
  switch (random(11)) {
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
    case 6:
      return wide();
    case 7:
      return slice(wide(), [0, 64 * random(5)], [2, 64]);
    case 8:
      return slice(exp(wide()), [random(2), 64 * random(4)], [1, 128]);
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
