/** Tuning: what is measured, what is chosen, and how it is kept. */
import { describe, expect, it } from 'vitest';
import { browserTuningStore, TuningCache, type TuningStore, tuningAdapter } from '../../src/platform/tuning_cache.js';
import { apply1, type Tensor } from '../../src/tensor/graph.js';
import { type AdapterFacts, input, type Op, output } from '../../src/tensor/op.js';
import { conv2dOp } from '../../src/tensor/ops/conv.js';
import { convParams } from '../../src/tensor/ops/conv_geometry.js';
import { matmul } from '../../src/tensor/ops/matmul.js';
import { layoutFor, quads, tiled, tuningKey } from '../../src/tensor/ops/product_families.js';
import { type ProductShape, predict, unitsOf } from '../../src/tensor/ops/product_layouts.js';
import { makePlan } from '../../src/tensor/plan.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { selectKernel } from '../../src/tensor/select.js';
import { traceStep } from '../../src/tensor/trace.js';
import { choicesOf, type TunedChoice, tunePlans } from '../../src/tensor/tune.js';
import { tuned } from '../../src/tensor/tuning.js';
import { f32, hostTensor } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';
import countSource from './count.wgsl';

const CANDIDATES = [
  { name: 'long', rounds: 2_000_000 },
  { name: 'short', rounds: 1 },
];

/** An op whose kernel takes long unless tuning says otherwise. */
const countOp: Op<Record<string, never>> = {
  name: 'count',
  infer: ([x]) => [x!],
  reference: ([x]) => [x!],
  samples: () => [],
  kernels: [
    {
      name: 'rounds',
      commands: ({ adapter }) => [
        {
          source: countSource,
          constants: { ROUNDS: tuned(adapter, 'count', CANDIDATES).rounds },
          buffers: [input(0), output(0)],
          workgroups: [1],
        },
      ],
      tuning: () => [{ key: 'count', candidates: CANDIDATES.map(({ name }) => name) }],
    },
  ],
};
const count = (x: Tensor) => apply1(countOp, [x], {});

it('measures the candidates, and takes the fastest', async () => {
  const { device, facts } = await testGpu();
  using runtime = new Runtime({ device, facts });
  using step = runtime.compile((x) => count(count(x)), 'count');
  const plan = step.plan(f32([64]));
  const told: TunedChoice[] = [];
  const table = await tunePlans({ device, facts }, [plan], { runs: 2, progress: (choice) => told.push(choice) });
  expect(table).toEqual({ count: 'short' });
  expect(told).toMatchObject([{ key: 'count', candidate: 'short', done: 1, total: 1 }]);
  expect(told[0]!.untuned).toBeGreaterThan(told[0]!.milliseconds);
  // What is known is not measured again, and a candidate that is none is as good as none.
  expect(await tunePlans({ device, facts }, [plan], { known: table })).toEqual({});

  using after = new Runtime({ device, facts }, { tuning: table });
  using tunedStep = after.compile(count, 'count');
  const values = Float32Array.from({ length: 64 }, (_, i) => i);
  const result = await tunedStep.run(hostTensor([64], values));
  expect((await result.read()).data).toEqual(values.map((value) => value * 0.5 + 1));
});

describe('products', () => {
  const gpu = (more: Partial<AdapterFacts> = {}): AdapterFacts => ({
    cpu: false,
    features: new Set(['subgroups']),
    limits: {
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupStorageSize: 49152,
      maxComputeWorkgroupsPerDimension: 65535,
      maxStorageBufferBindingSize: 2 ** 30,
      maxStorageBuffersPerShaderStage: 10,
    },
    vendor: 'nvidia',
    device: 'NVIDIA H100 80GB HBM3',
    ...more,
  });
  const shape = (rows: number, columns: number, length: number): ProductShape => ({
    ...{ op: 'conv2d', rows, columns, length, batches: 1, splits: true },
  });

  it('take the layout of the table, where there is one', () => {
    const product = shape(1764, 256, 2304);
    const [first, second] = tiled.layouts(product, gpu());
    expect(layoutFor(tiled, product, gpu())).toEqual(first);
    const key = tuningKey(tiled, product);
    expect(key).toBe('tiled conv2d 1764x256x2304');
    expect(layoutFor(tiled, product, gpu({ tuning: { [key]: second!.name } }))).toEqual(second);
    expect(layoutFor(tiled, product, gpu({ tuning: { [key]: '3x5/7' } }))).toEqual(first);
  });

  it('leave their choices open in plans', () => {
    const { graph, structure } = traceStep((a, b) => matmul(a!, b!), [f32([64, 256]), f32([256, 64])]);
    const plan = makePlan(graph, [structure as Tensor], gpu());
    expect([...choicesOf([plan], { facts: gpu() }).keys()]).toEqual(['tiled matmul 64x64x256']);
  });

  it('fill a GPU: large tiles where there are many, parts where there are few', () => {
    const layout = (...extents: [number, number, number]) => tiled.layouts(shape(...extents), gpu())[0]!;
    expect(layout(4096, 4096, 4096)).toMatchObject({ name: '128x128/1' });
    // A batch of 8 at output stride 8.
    expect(layout(14112, 512, 4608).chunks).toBe(1);
    // A small map with many channels.
    const small = layout(144, 384, 3456);
    expect(small.chunks).toBeGreaterThan(4);
    expect(small.chunk * small.chunks).toBeGreaterThanOrEqual(3456);
    expect(small.chunk % tiled.step).toBe(0);
    expect(layout(100, 64, 128).chunks).toBe(1);
    expect(tiled.layouts({ ...shape(144, 384, 3456), splits: false }, gpu()).every(({ chunks }) => chunks === 1)).toBe(
      true,
    );
  });

  it('are predicted to take longer where there is more to do, and shorter with more units', () => {
    const tile = { rows: 64, columns: 64, constants: {}, invocations: 64, multiplyAdds: 128, bytes: 4 };
    const time = (product: ProductShape, units: number) =>
      predict(product, tile, { name: '', tile, chunk: product.length, chunks: 1 }, units);
    expect(time(shape(8192, 8192, 512), 64)).toBeGreaterThan(1.9 * time(shape(8192, 4096, 512), 64));
    expect(time(shape(8192, 8192, 512), 128)).toBeLessThan(0.6 * time(shape(8192, 8192, 512), 64));
    expect(unitsOf(gpu())).toBe(132);
    expect(unitsOf(gpu({ device: '', architecture: 'common-3', vendor: 'apple' }))).toBe(16);
    expect(unitsOf(gpu({ device: '', vendor: '' }))).toBe(48);
  });

  it('are tall on a software adapter only where that is worth compiling', () => {
    const layout = (rows: number, columns: number, length: number) =>
      quads.layouts({ ...shape(rows, columns, length), op: 'matmul' }, gpu({ cpu: true }))[0]!;
    expect(layout(1024, 1024, 1024)).toMatchObject({ name: '64x32/1', chunk: 1024 });
    expect(layout(64, 16, 4096)).toMatchObject({ name: '32x16/16', chunk: 256 });
  });

  it('of convolutions that are split sum into their output', () => {
    const inputs = [f32([1, 12, 12, 384]), f32([3, 3, 384, 384])];
    const params = convParams({ padding: 1 });
    const context = { inputs, outputs: conv2dOp.infer(inputs, params), params, adapter: gpu() };
    const kernel = selectKernel(conv2dOp, context, { conv2d: 'tiled' });
    expect(kernel.name).toBe('tiled');
    const [scratch] = kernel.scratch!(context);
    const commands = kernel.commands(context);
    expect(commands).toHaveLength(2);
    expect(scratch! % (144 * 384 * 4)).toBe(0);
    const parts = commands.map((command) => ('source' in command ? command.workgroups[2] : undefined));
    expect(scratch! / (144 * 384 * 4)).toBe(parts[0]);
  });
});

describe('the cache', () => {
  const H100 = { vendor: 'nvidia', architecture: 'hopper', device: 'H100', backend: 'vulkan', driver: '560.35' };
  const store = (text?: string): TuningStore & { text: string | undefined } => ({
    where: 'tuning.json',
    text,
    async read() {
      return this.text;
    },
    async write(changed) {
      this.text = changed;
    },
  });

  it('keeps a table for each adapter and driver', async () => {
    const place = store();
    const empty = await TuningCache.open(place, H100);
    expect(empty).toMatchObject({ table: {}, adapters: [], note: undefined, adapter: tuningAdapter(H100) });
    expect((await empty.with({ a: '1', b: '2' })).table).toEqual({ a: '1', b: '2' });
    const updated = { ...H100, driver: '570.1' };
    expect((await TuningCache.open(place, updated)).table).toEqual({});
    await (await TuningCache.open(place, updated)).with({ a: '3' });
    // Further choices are added to those that are there, also to those written since.
    await empty.with({ c: '4' });
    expect((await TuningCache.open(place, H100)).table).toEqual({ a: '1', b: '2', c: '4' });
    expect((await TuningCache.open(place, updated)).table).toEqual({ a: '3' });
    expect((await TuningCache.open(place, H100)).adapters).toHaveLength(2);
  });

  it.for([
    ['{"format": "segsort tun', 'JSON'],
    ['[]', 'it is not of the format'],
    ['{"format": "segsort tuning 1"}', 'it has no `adapters`'],
    ['{"format": "segsort tuning 1", "adapters": {"x": {"a": 1}}}', 'the table of x holds something else than names'],
  ])('ignores %s, and says so', async ([text, reason]) => {
    const place = store(text);
    const cache = await TuningCache.open(place, H100);
    expect(cache.table).toEqual({});
    expect(cache.note).toContain(reason);
    expect(cache.note).toMatch(/^tuning.json is ignored/);
    const mended = await cache.with({ a: '1' });
    expect(mended.note).toBeUndefined();
    expect((await TuningCache.open(place, H100)).table).toEqual({ a: '1' });
  });

  it('remembers without a file', async () => {
    const place = browserTuningStore('segsort-tuning-test');
    await (await TuningCache.open(place, H100)).with({ a: '1' });
    expect((await TuningCache.open(place, H100)).table).toEqual({ a: '1' });
    await place.write('');
    expect((await TuningCache.open(place, H100)).note).toContain('is ignored');
  });
});
