import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import type { Tensor } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import { assignSlots, type Lifetime, type Piece, SLOT_ORDERS } from '../../src/tensor/memory.js';
import type { AdapterFacts } from '../../src/tensor/op.js';
import { add, exp, mul, relu, square } from '../../src/tensor/ops/elementwise.js';
import { mean, sum } from '../../src/tensor/ops/reduce.js';
import { reshape } from '../../src/tensor/ops/shape.js';
import { dumpPlan, makePlan } from '../../src/tensor/plan.js';
import { parseKernelOverrides } from '../../src/tensor/select.js';
import { traceStep } from '../../src/tensor/trace.js';
import { f32, ndarray } from '../../src/tensor/types.js';
import { packUniforms, specialize } from '../../src/tensor/wgsl.js';
import { GPU_FACTS } from '../support/facts.js';

type Step = (...args: Tensor[]) => Tensor | Record<string, Tensor>;

function planOn(adapter: AdapterFacts, step: Step, ...shapes: number[][]) {
  const trace = traceStep(step, shapes.map(f32));
  return makePlan(trace.graph, trace.results, adapter);
}

const planOf = (step: Step, ...shapes: number[][]) => planOn(GPU_FACTS, step, ...shapes);

describe('fusion', () => {
  it('makes one kernel of a chain', () => {
    const plan = planOf((x, y) => relu(add(mul(x, y), x)), [4, 8], [8]);
    expect(plan.steps.map(({ op }) => op)).toEqual(['mul+add+relu']);
  });

  it('stops at values that something else reads', () => {
    const plan = planOf(
      (x) => {
        const e = exp(x);
        return { e, r: relu(e), s: sum(square(e)) };
      },
      [4, 8],
    );
    expect(plan.steps.map(({ op }) => op)).toEqual(['exp', 'relu', 'square', 'reduce']);
  });

  it('keeps to the bindings that the adapter has', () => {
    const plan = planOf((...xs) => xs.reduce((total, x) => add(total, x)), ...Array.from({ length: 12 }, () => [16]));
    for (const step of plan.steps) expect(step.inputs.length).toBeLessThanOrEqual(7);
    expect(plan.steps.length).toBe(2);
  });

  it('takes in vectors on GPUs, where a kernel of their own takes longer', () => {
    const step = (x: Tensor, y: Tensor) => {
      const scale = exp(y);
      return add(mul(x, scale), square(scale));
    };
    const ops = (cpu: boolean) => planOn({ ...GPU_FACTS, cpu }, step, [4, 8], [8]).steps.map(({ op }) => op);
    expect(ops(false)).toEqual(['exp+mul+square+add']);
    expect(ops(true)).toEqual(['exp', 'square', 'mul+add']);
  });

  it('drops what no result needs', () => {
    const plan = planOf(
      (x) => {
        exp(x);
        return relu(x);
      },
      [4],
    );
    expect(plan.steps.map(({ op }) => op)).toEqual(['relu']);
  });
});

describe('memory', () => {
  const STEPS = 40;

  function randomLifetimes(random: (n: number) => number): Lifetime[] {
    const lifetimes: Lifetime[] = [];
    for (let from = 0; from < STEPS; from++) {
      const bytes = 16 * (1 + random(64));
      const to = random(10) === 0 ? Number.POSITIVE_INFINITY : Math.min(STEPS - 1, from + random(8));
      lifetimes.push({ bytes, from, to, apart: new Set(), pieces: randomPieces(random, bytes, from, to) });
    }
    for (const [i, { apart }] of lifetimes.entries())
      for (let reads = 0; i > 0 && reads < 3; reads++) {
        const read = Math.max(0, i - 1 - random(6));
        apart.add(read);
        lifetimes[read]!.apart.add(i);
      }
    return lifetimes;
  }

  /** Most values are written at once; every fourth in pieces of any size, in any order. */
  function randomPieces(random: (n: number) => number, bytes: number, from: number, to: number) {
    if (random(4) > 0) return undefined;
    const pieces: Piece[] = [];
    const last = Math.min(to, STEPS - 1);
    for (let offset = 0; offset < bytes; ) {
      const size = Math.min(bytes - offset, 16 * (1 + random(24)));
      pieces.push({ offset, bytes: size, from: from + random(last - from + 1) });
      offset += size;
    }
    const first = random(pieces.length);
    pieces[first] = { ...pieces[first]!, from };
    return pieces;
  }

  it.each(SLOT_ORDERS)(
    'gives no two values the same bytes at one time, nor one buffer to read and write (%s)',
    (order) => {
      let seed = 1;
      const random = (n: number) => {
        seed = (seed * 48271) % 2147483647;
        return seed % n;
      };
      let [planned, live] = [0, 0];
      for (let round = 0; round < 12; round++) {
        const lifetimes = randomLifetimes(random);
        const most = 2048;
        const { slots, places, alive } = assignSlots(lifetimes, STEPS, most, order);
        const tenants = lifetimes.flatMap((lifetime, i) => {
          const { bytes, from, to, pieces = [{ offset: 0, bytes, from }] } = lifetime;
          const { slot, offset } = places[i]!;
          expect(offset % 256).toBe(0);
          expect(slots[slot]!).toBeGreaterThanOrEqual(offset + bytes);
          for (const other of lifetime.apart) expect(places[other]!.slot).not.toBe(slot);
          return pieces.map((piece) => {
            const begin = offset + piece.offset;
            return { slot, begin, end: begin + piece.bytes, from: piece.from, to };
          });
        });
        for (const [i, a] of tenants.entries())
          for (const b of tenants.slice(i + 1)) {
            if (a.slot !== b.slot || a.to < b.from || b.to < a.from) continue;
            expect(Math.min(a.end, b.end)).toBeLessThanOrEqual(Math.max(a.begin, b.begin));
          }
        const sums = alive.map((_, step) =>
          tenants.reduce((sum, { begin, end, from, to }) => sum + (from <= step && step <= to ? end - begin : 0), 0),
        );
        expect(alive).toEqual(sums);
        expect(Math.max(...slots)).toBeLessThanOrEqual(most);
        planned += slots.reduce((sum, bytes) => sum + bytes, 0);
        live += Math.max(...alive);
      }
      expect(planned).toBeGreaterThanOrEqual(live);
      // Most of the rest is what rounding to 256 bytes takes from values of 528 on average.
      expect(planned).toBeLessThan(1.6 * live);
    },
  );

  it('reuses the slots of dead values, also under another shape', () => {
    const plan = planOf(
      (x) => {
        let y = x;
        for (let i = 0; i < 10; i++) y = exp(reshape(mul(reshape(y, [8, 8]), sum(y)), [64]));
        return y;
      },
      [64],
    );
    expect(plan.slots.length).toBeLessThanOrEqual(4);
    expect(plan.slots.every((bytes) => bytes === 256)).toBe(true);
  });
});

describe('the plan dump', () => {
  it('names each kernel, its shapes, slot and cost', () => {
    const dump = dumpPlan(planOf((x) => mean(exp(x)), [32, 8]));
    expect(dump).toMatch(/step\s+op\s+kernel\s+shapes\s+slot\s+bytes\s+MFLOP/);
    expect(dump).toMatch(/0\s+exp\s+fused\s+\[32,8\] -> \[32,8\]\s+#0\+0/);
    expect(dump).toMatch(/slots of .* in all/);
  });
});

describe('grad', () => {
  it('accumulates over several uses', () => {
    const { graph, structure } = traceStep((x) => grad(sum(mul(square(x), x)), [x])[0]!, [f32([3])]);
    const [value] = interpret(graph, [structure as Tensor], { arguments: [ndarray([3], [1, 2, -3])] });
    expect([...value!.data]).toEqual([3, 12, 27]);
  });

  it('is zero where the loss does not depend on a value', () => {
    const { graph, structure } = traceStep((x, y) => grad(sum(x), [y])[0]!, [f32([3]), f32([2])]);
    expect([...interpret(graph, [structure as Tensor], { arguments: [ndarray([3]), ndarray([2])] })[0]!.data]).toEqual([
      0, 0,
    ]);
  });

  it('differentiates a gradient', () => {
    const { graph, structure } = traceStep(
      (x) => {
        const [first] = grad(sum(mul(square(x), x)), [x]);
        return grad(sum(first!), [x])[0]!;
      },
      [f32([2])],
    );
    expect([...interpret(graph, [structure as Tensor], { arguments: [ndarray([2], [1, -2])] })[0]!.data]).toEqual([
      6, -12,
    ]);
  });

  it('wants a scalar', () => {
    expect(() => traceStep((x) => grad(x, [x])[0]!, [f32([2])])).toThrow('the loss must be a scalar, got [2]');
  });
});

describe('the shader loader', () => {
  const source = `alias T = f32;  // @param
const TILE: u32 = 8u;  // @param
struct Uniforms { count: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;`;

  it('replaces tagged initialisers and reads bindings and uniforms', () => {
    const shader = specialize(source, { TILE: 16 });
    expect(shader.code).toContain('const TILE: u32 = 16u;');
    expect(shader.storage).toEqual(['read', 'read_write']);
    expect(shader.uniforms.map(({ name }) => name)).toEqual(['count', 'scale']);
  });

  it('refuses names it does not know, and missing ones', () => {
    expect(() => specialize(source, { TYLE: 4 })).toThrow('no line tagged "// @param" for TYLE');
    const shader = specialize(source);
    expect(() => packUniforms(shader, { count: 1 })).toThrow('uniform scale is missing');
    expect(() => packUniforms(shader, { count: 1, scale: 2, other: 3 })).toThrow('no member other');
    expect(() => packUniforms(shader, { count: 1.5, scale: 2 })).toThrow('not an integer');
  });

  it('reads kernel overrides', () => {
    expect(parseKernelOverrides('matmul:naive, conv2d:tiled')).toEqual({ matmul: 'naive', conv2d: 'tiled' });
    expect(() => parseKernelOverrides('matmul')).toThrow('not of the form op:variant');
  });
});
