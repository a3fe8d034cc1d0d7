/** The benchmarks' own machinery: what is timed, what is not, and what is said of it. */
import { describe, expect, test } from 'vitest';
import { bottlenecksCase, bottlenecksReference } from '../../bench/cases/bottlenecks.js';
import { argmaxCase, batchNormCase, maxPoolCase, resizeCase, softmaxCase } from '../../bench/cases/layers.js';
import { convCase, matmulCase } from '../../bench/cases/products.js';
import { suite } from '../../bench/cases/suites.js';
import { computed } from '../../bench/harness/engine_ops.js';
import { type MeasureOptions, measure } from '../../bench/harness/measure.js';
import { sessionOptions } from '../../bench/harness/options.js';
import { engineFails } from '../../bench/harness/outcome.js';
import { type BenchResults, type Entry, FORMAT, isMeasured, shareOfCeiling } from '../../bench/harness/results.js';
import { rooflineSvg } from '../../bench/harness/roofline.js';
import { quantile, summarize } from '../../bench/harness/statistics.js';
import { report, tableOf } from '../../bench/harness/table.js';
import type { Case, Contender, Prepared } from '../../bench/harness/types.js';
import { prepared } from '../../bench/peers/prepared.js';
import { interpret } from '../../src/tensor/interpret.js';
import { traceStep } from '../../src/tensor/trace.js';
import { ndarray } from '../../src/tensor/types.js';

const geometry = {
  batch: 2,
  height: 7,
  width: 6,
  stride: 2,
  dilation: 2,
  padding: 3,
  kernel: 3,
  inputs: 5,
  outputs: 6,
};

/** One of every kind, small. */
const CASES: readonly Case[] = [
  matmulCase(5, 7, 6),
  ...(['conv2d', 'conv2d-input-grad', 'conv2d-filter-grad'] as const).map((kind) => convCase(kind, geometry)),
  batchNormCase(24, 4),
  softmaxCase(4, 9),
  argmaxCase(6, 9),
  maxPoolCase({ batch: 2, height: 7, width: 6, channels: 3 }, { size: 3, stride: 2, padding: 1 }),
  resizeCase({ batch: 1, height: 4, width: 3, channels: 2 }, 4),
  bottlenecksCase({ blocks: 2, size: 5, channels: 16, dilation: 2 }),
];

/** What the engine's float64 references make of a case, by the ops that its contender uses. */
function referenceResults({ computation, operands }: Case): Float64Array[] {
  const values = operands();
  const { graph, results } = traceStep(
    (...tensors) => Object.fromEntries(computed(computation, tensors).map((tensor, i) => [`${i}`, tensor])),
    values,
  );
  const exact = values.map(({ shape, data, dtype }) => ndarray(shape, data, dtype));
  return interpret(graph, results, { arguments: exact }).map(({ data }) => data);
}

describe('cases', () => {
  test.each(CASES.map((theCase) => [theCase.name, theCase] as const))(
    '%s: right is right, wrong is wrong',
    (_, theCase) => {
      const results = referenceResults(theCase);
      expect(theCase.errorOf(results)).toBeLessThanOrEqual(Math.min(theCase.tolerance, 1e-5));
      // Every element counts, wherever it lies.
      for (const [which, values] of results.entries())
        for (const at of [0, Math.floor(values.length / 2), values.length - 1]) {
          const spoilt = results.map((result) => Float64Array.from(result));
          spoilt[which]![at]! += theCase.computation.kind === 'argmax' ? 1 : Math.max(...values.map(Math.abs));
          expect(theCase.errorOf(spoilt)).toBeGreaterThan(theCase.tolerance);
          spoilt[which]![at] = Number.NaN;
          expect(theCase.errorOf(spoilt)).toBe(Number.POSITIVE_INFINITY);
        }
      expect(theCase.errorOf(results.map((values) => values.subarray(1)))).toBe(Number.POSITIVE_INFINITY);
    },
  );

  test('operands are made once while a case is measured, and again after another', () => {
    const [first, second] = [matmulCase(3, 4, 5), matmulCase(3, 4, 6)];
    const operands = first.operands();
    expect(first.operands()).toBe(operands);
    second.operands();
    expect(first.operands()).not.toBe(operands);
    expect(first.operands()).toEqual(operands);
  });

  test('a gradient of another dilation is wrong', () => {
    const dilated = convCase('conv2d-filter-grad', { ...geometry, stride: 1, dilation: 2, padding: 2 });
    const plain = convCase('conv2d-filter-grad', { ...geometry, stride: 1, dilation: 1, padding: 1 });
    expect(dilated.errorOf(referenceResults(plain))).toBeGreaterThan(0.1);
  });

  test('references of bottlenecks agree with the engine’s, block for block', () => {
    const shape = { kind: 'bottlenecks', blocks: 3, size: 6, channels: 16, dilation: 1 } as const;
    const theCase = bottlenecksCase(shape);
    const all = referenceResults(theCase);
    for (const [i, values] of bottlenecksReference(shape, theCase.operands()).entries()) {
      const expected = all[i]!;
      for (const [at, value] of values.entries()) expect(value).toBeCloseTo(expected[at]!, 7);
    }
  });

  test('suites have unique names and find parts of them', () => {
    const names = suite('all', { batch: 1 }).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(suite('table', { batch: 1 }, 'gradient').map(({ name }) => name)).toEqual([
      'input gradient of 3x3 d2 256->256, 42x42',
      'filter gradient of 3x3 d2 256->256, 42x42',
    ]);
    expect(() => suite('tables', { batch: 1 })).toThrow('name one of table');
    expect(() => suite('table', { batch: 1 }, 'transformer')).toThrow('no benchmark of the suite "table"');
  });

  test('counts of operations are those of the plain algorithm', () => {
    const { flops, bytes } = convCase('conv2d', { ...geometry, batch: 1, stride: 1, padding: 2 });
    expect(flops).toBe(2 * 42 * 9 * 5 * 6);
    expect(bytes).toBe(4 * (42 * 5 + 9 * 5 * 6 + 42 * 6));
  });
});

test('quantiles are interpolated', () => {
  expect(summarize([4, 1, 3, 2])).toEqual({ median: 2.5, lowerQuartile: 1.75, upperQuartile: 3.25, least: 1 });
  expect(quantile([7], 0.25)).toBe(7);
  expect(() => quantile([], 0.5)).toThrow();
});

const TINY = matmulCase(2, 2, 2);

/** A contender on a clock that only its own runs move. */
function fakes() {
  let time = 0;
  const order: string[] = [];
  const disposed: string[] = [];
  const options: MeasureOptions = {
    ...{ rounds: 4, budgetSeconds: 1, sampleMilliseconds: 20 },
    clock: { now: () => time, cpu: async () => 2 * time },
  };
  const contender = (
    name: string,
    milliseconds: number,
    changes: Partial<Prepared> & { spoil?: number } = {},
  ): Contender => ({
    name,
    version: '1',
    on: 'webgpu',
    async prepare(theCase) {
      const [result] = referenceResults(theCase);
      result![0]! += changes.spoil ?? 0;
      return {
        async run() {
          time += milliseconds;
          order.push(name);
        },
        read: async () => [result!],
        dispose: () => disposed.push(name),
        ...changes,
      };
    },
  });
  return { contender, options, order, disposed };
}

const entriesOf = async (contenders: readonly Contender[], options: MeasureOptions): Promise<readonly Entry[]> =>
  (await measure(TINY, contenders, null, options)).entries;

describe('measuring', () => {
  test('contenders take turns, and each round begins with another', async () => {
    const { contender, options, order, disposed } = fakes();
    const entries = await entriesOf([contender('a', 100), contender('b', 50)], { ...options, rounds: 2 });
    // One run to be checked and one to warm up each, then the rounds.
    expect(order.join('')).toBe('abababba');
    expect(disposed).toEqual(['a', 'b']);
    const [a] = entries.filter(isMeasured);
    expect(a).toMatchObject({ samples: [100, 100], cpuSamples: [200, 200], runsPerSample: 1, first: 100 });
    expect(a).toMatchObject({ cpu: 200, summary: { median: 100 } });
  });

  test('what is wrong is neither timed nor kept', async () => {
    const { contender, options, order, disposed } = fakes();
    const entries = await entriesOf([contender('wrong', 10, { spoil: 1 }), contender('right', 100)], options);
    expect(entries[0]).toMatchObject({ contender: 'wrong', status: 'wrong' });
    expect(order.filter((name) => name === 'wrong')).toHaveLength(1);
    expect(disposed[0]).toBe('wrong');
    expect(entries[1]!.status).toBe('measured');
  });

  test('who has no such operation, refuses or fails later is told apart', async () => {
    const { contender, options } = fakes();
    let runs = 0;
    const late = async () => {
      if (++runs > 3) throw new Error('lost');
    };
    const entries = await entriesOf(
      [
        { ...contender('absent', 1), prepare: async () => null },
        { ...contender('refuses', 1), prepare: () => Promise.reject(new Error('no dilation')) },
        contender('fails', 1, { run: late }),
      ],
      options,
    );
    expect(entries).toEqual([
      { contender: 'absent', status: 'absent' },
      { contender: 'refuses', status: 'refuses', message: 'no dilation' },
      { contender: 'fails', status: 'fails', message: 'lost' },
    ]);
  });

  test('the slow get fewer rounds, the fast more runs a sample', async () => {
    const { contender, options } = fakes();
    const many = async (count: number): Promise<number> => 3 * count;
    const entries = await entriesOf(
      [
        contender('slow', 5000),
        contender('middling', 400),
        contender('fast', 4),
        contender('own clock', 4, { runMany: many }),
      ],
      options,
    );
    const [slow, middling, fast, own] = entries.filter(isMeasured);
    expect(slow!.samples).toEqual([5000]);
    expect(middling!.samples).toEqual([400, 400]);
    expect(fast).toMatchObject({ runsPerSample: 5, samples: [4, 4, 4, 4] });
    expect(own).toMatchObject({ runsPerSample: 7, samples: [3, 3, 3, 3], cpuSamples: [], cpu: null });
  });

  test('who is asked about gets three rounds, however slow', async () => {
    const { contender, options } = fakes();
    const asked: Case = { ...TINY, ask: { contender: 'peer', times: 2 } };
    const { entries } = await measure(asked, [contender('peer', 5000), contender('other', 5000)], null, options);
    expect(entries.filter(isMeasured).map(({ samples }) => samples.length)).toEqual([3, 1]);
  });

  test('lets a lazy library compute every run', async () => {
    type Lazy = { state: 'asked' | 'computed' | 'freed' };
    const made: Lazy[] = [];
    let computed = 0;
    const library = prepared<Lazy>(
      {
        compute() {
          const result: Lazy = { state: 'asked' };
          made.push(result);
          return result;
        },
        async settle(runs) {
          for (const run of runs) {
            expect(run.state).not.toBe('freed');
            if (run.state === 'asked') computed++;
            run.state = 'computed';
          }
        },
        read: async () => [],
        free(run) {
          expect(run.state).toBe('computed');
          run.state = 'freed';
        },
        dispose() {},
      },
      2 ** 28,
    );
    await library.runMany!(10);
    expect(computed).toBe(10);
    // Four fit into what is kept.
    expect(made.filter(({ state }) => state !== 'freed')).toHaveLength(2);
    library.dispose();
    expect(made.every(({ state }) => state === 'freed')).toBe(true);
  });

  test('stops when it is told to, and disposes of what it has', async () => {
    const { contender, options, disposed } = fakes();
    const stop = new AbortController();
    const log = (line: string) => line.includes('round 2') && stop.abort(new Error('enough'));
    await expect(entriesOf([contender('a', 100)], { ...options, log, signal: stop.signal })).rejects.toThrow('enough');
    expect(disposed).toEqual(['a']);
  });

  test('refuses options that are no numbers', () => {
    expect(sessionOptions({ budget: '0.5', contenders: 'a, b' })).toMatchObject({
      budgetSeconds: 0.5,
      contenders: ['a', 'b'],
    });
    expect(() => sessionOptions({ rounds: '1.5' })).toThrow('--rounds 1.5');
    expect(() => sessionOptions({ budget: 'long' })).toThrow('--budget long');
  });
});

const measuredAt = (contender: string, median: number): Entry => ({
  ...{ contender, status: 'measured', error: 0, note: '', first: 9, runsPerSample: 1 },
  ...{ samples: [median, median, median], cpuSamples: [2 * median] },
  ...{ summary: summarize([median]), cpu: 2 * median },
});

const RESULTS: BenchResults = {
  format: FORMAT,
  date: '2026-01-01T00:00:00.000Z',
  environment: { runtime: 'Node', system: 'linux', processor: '2 threads', loadBefore: 0, loadAfter: 1 },
  adapter: {
    ...{ vendor: 'v', architecture: 'a', device: 'A & B <GPU>', description: '', driver: 'd', backend: 'vulkan' },
    ...{ cpu: true, features: [] },
  },
  options: { suite: 'table', only: '', rounds: 3, budgetSeconds: 1, sampleMilliseconds: 100, batch: 1, kernels: {} },
  contenders: ['segsort-webgpu', 'jax-js', 'tfjs-webgpu'].map((name) => ({ name, version: '1', on: 'webgpu' })),
  notes: [],
  ceilings: [
    { kind: 'f32', rate: 1e10, cpuRate: 5e9, variant: 'x', tried: { x: 1e10 } },
    { kind: 'copy kernel', rate: 1e9, cpuRate: null, variant: 'y', tried: { y: 1e9 } },
  ],
  rows: [
    {
      ...{ name: 'matmul <1>', flops: 1e9, bytes: 1e6, tolerance: 1e-4, ask: { contender: 'jax-js', times: 4 } },
      entries: [
        measuredAt('segsort-webgpu', 200),
        measuredAt('jax-js', 1000),
        { contender: 'tfjs-webgpu', status: 'wrong', error: 0.5 },
      ],
    },
    {
      ...{ name: 'copying', flops: 1e6, bytes: 1e8, tolerance: 1e-4 },
      entries: [
        measuredAt('segsort-webgpu', 400),
        { contender: 'jax-js', status: 'refuses', message: 'no such thing' },
        { contender: 'tfjs-webgpu', status: 'absent' },
      ],
    },
  ],
};

test('a run fails where the engine does', () => {
  expect(engineFails(RESULTS)).toBe(false);
  const [row] = RESULTS.rows;
  const entries: Entry[] = [{ contender: 'segsort-webgpu', status: 'wrong', error: 1 }];
  expect(engineFails({ rows: [...RESULTS.rows, { ...row!, entries }] })).toBe(true);
});

describe('reporting', () => {
  test('the ceiling that binds is the one that takes longer', () => {
    const [product, copying] = RESULTS.rows;
    const share = (row: typeof product) => shareOfCeiling(RESULTS, row!, row!.entries.find(isMeasured)!);
    expect(share(product)).toEqual({ share: 0.5, bound: 'arithmetic' });
    expect(share(copying)).toEqual({ share: 0.25, bound: 'memory' });
    expect(shareOfCeiling(RESULTS, product!, product!.entries.find(isMeasured)!, 'cpu')).toBeNull();
  });

  test('the table has ratios, refusals, and what was asked', () => {
    expect(tableOf(RESULTS).rows).toEqual([
      ['matmul <1>', '200 ±0% n=3', '5.00', '50%', '1000 ±0% n=3 (5.0x)', 'wrong (error 5.0e-1)', '4x jax-js: met'],
      ['copying', '400 ±0% n=3', '0.00250', '25% (memory)', 'refuses', '-', ''],
    ]);
    expect(report(RESULTS)).toContain('jax-js refuses: no such thing (copying)');
    expect(
      report(RESULTS)
        .split('\n')
        .filter((line) => line.startsWith('|')),
    ).toHaveLength(8);
  });

  test('results survive JSON', () => {
    expect(JSON.parse(JSON.stringify(RESULTS))).toEqual(RESULTS);
  });

  test('the roofline is well-formed and shows every point and ceiling', () => {
    const svg = rooflineSvg(RESULTS);
    expect(wellFormed(svg)).toBe(true);
    expect(svg).toContain('A &amp; B &lt;GPU&gt;');
    // Three points and three contenders in the legend.
    expect(svg.match(/<circle/g)).toHaveLength(6);
    expect(svg).toContain('f32: 10 GFLOP/s');
    expect(svg).toContain('copy kernel: 1 GB/s');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(() => rooflineSvg({ ...RESULTS, rows: [] })).toThrow('at least one measured case');
  });
});

/** Whether tags nest, attributes are quoted, and nothing that needs escaping is left. */
function wellFormed(xml: string): boolean {
  const open: string[] = [];
  let position = 0;
  for (const tag of xml.matchAll(/<(\/?)([a-z]+)((?:\s+[a-zA-Z][\w-]*="[^"<]*")*)\s*(\/?)>/g)) {
    if (/[<>]/.test(xml.slice(position, tag.index))) return false;
    position = tag.index + tag[0].length;
    if (tag[1]) {
      if (open.pop() !== tag[2]) return false;
    } else if (!tag[4]) open.push(tag[2]!);
  }
  return open.length === 0 && xml.slice(position).trim() === '' && !/&(?!(amp|lt|gt|quot);)/.test(xml);
}
