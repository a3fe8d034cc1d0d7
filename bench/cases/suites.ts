/** Which benchmarks there are, by suite. */
import type { Benchmark, ConvShape } from '../harness/types.js';
import { bottlenecksCase } from './bottlenecks.js';
import { argmaxCase, batchNormCase, maxPoolCase, resizeCase, softmaxCase } from './layers.js';
import { networkWorkloads } from './networks.js';
import { type ConvKind, convCase, matmulCase } from './products.js';
import { segsortWorkloads } from './segsort.js';

export interface SuiteOptions {
  /** Images of a batch, for convolutions, layers and networks. */
  readonly batch: number;
}

/** A square image and filter, padded so that stride 1 keeps the size. */
function square(
  size: number,
  [inputs, outputs]: readonly [number, number],
  { batch = 1, kernel = 1, stride = 1, dilation = 1 } = {},
): ConvShape {
  const padding = ((kernel - 1) * dilation) / 2;
  return { batch, height: size, width: size, inputs, outputs, kernel, stride, dilation, padding };
}

function ask<B extends Benchmark>(times: number, benchmark: B): B {
  return { ...benchmark, ask: { contender: 'jax-js', times } };
}

/** The rows that have to be shown, with what is asked of each. */
function table({ batch }: SuiteOptions): Benchmark[] {
  const dilated = square(42, [256, 256], { batch, kernel: 3, dilation: 2 });
  return [
    ask(4, matmulCase(1024, 1024, 1024)),
    ask(7, convCase('conv2d', dilated)),
    ask(8, convCase('conv2d', square(42, [512, 512], { batch, kernel: 3, dilation: 4 }))),
    ask(5, convCase('conv2d', square(42, [1024, 256], { batch }))),
    ask(4.5, convCase('conv2d', square(336, [3, 64], { batch, kernel: 7, stride: 2 }))),
    ask(6, convCase('conv2d-input-grad', dilated)),
    ask(4.6, convCase('conv2d-filter-grad', dilated)),
    ask(6, batchNormCase(batch * 42 * 42, 1024, batch > 1 ? `${batch}x42x42` : '42x42')),
    ask(4, softmaxCase(batch * 1764, 200)),
    ask(4, argmaxCase(batch * 1764, 200)),
    ask(5, bottlenecksCase({ blocks: 6, size: 42, channels: 1024, dilation: 2 })),
  ];
}

const KINDS: readonly ConvKind[] = ['conv2d', 'conv2d-input-grad', 'conv2d-filter-grad'];

/** What ResNet-101 at output stride 8 is made of, for crops of 336x336: every convolution forward and with both gradients. */
function resnet({ batch }: SuiteOptions): Benchmark[] {
  const shapes = [
    square(336, [3, 64], { batch, kernel: 7, stride: 2 }),
    square(84, [64, 64], { batch, kernel: 3 }),
    square(84, [64, 256], { batch }),
    square(42, [128, 128], { batch, kernel: 3 }),
    square(42, [512, 128], { batch }),
    square(42, [256, 256], { batch, kernel: 3, dilation: 2 }),
    square(42, [1024, 256], { batch }),
    square(42, [256, 1024], { batch }),
    square(42, [512, 512], { batch, kernel: 3, dilation: 4 }),
    square(42, [512, 2048], { batch }),
    square(42, [2048, 512], { batch }),
  ];
  return [
    ...shapes.flatMap((shape) => KINDS.map((kind) => convCase(kind, shape))),
    ...[
      [84, 64],
      [84, 256],
      [42, 1024],
      [42, 2048],
    ].map(([size, channels]) =>
      batchNormCase(batch * size! * size!, channels!, `${batch > 1 ? `${batch}x` : ''}${size}x${size}`),
    ),
    maxPoolCase({ batch, height: 168, width: 168, channels: 64 }, { size: 3, stride: 2, padding: 1 }),
    resizeCase({ batch, height: 42, width: 42, channels: 32 }, 8),
  ];
}

/** Small versions of everything, to see in a minute that all contenders run. */
function quick(): Benchmark[] {
  const small = square(20, [32, 32], { kernel: 3, dilation: 2 });
  return [
    matmulCase(256, 256, 256),
    ...KINDS.map((kind) => convCase(kind, small)),
    convCase('conv2d', square(64, [3, 16], { kernel: 7, stride: 2 })),
    batchNormCase(400, 64, '20x20'),
    softmaxCase(400, 50),
    argmaxCase(400, 50),
    maxPoolCase({ batch: 1, height: 20, width: 20, channels: 32 }, { size: 3, stride: 2, padding: 1 }),
    resizeCase({ batch: 1, height: 10, width: 10, channels: 16 }, 4),
    bottlenecksCase({ blocks: 2, size: 12, channels: 64, dilation: 2 }),
  ];
}

const large = () => [2048, 4096].map((size) => matmulCase(size, size, size));

export const SUITES = {
  table,
  resnet,
  quick,
  large,
  segsort: segsortWorkloads,
  networks: networkWorkloads,
  all: (options) => [...table(options), ...resnet(options), ...segsortWorkloads(options), ...networkWorkloads(options)],
} satisfies Record<string, (options: SuiteOptions) => Benchmark[]>;

export type SuiteName = keyof typeof SUITES;

/** The benchmarks of a suite whose names hold `only`, each once. */
export function suite(name: string, options: SuiteOptions, only = ''): Benchmark[] {
  if (!Object.hasOwn(SUITES, name))
    throw new Error(`there is no suite "${name}": name one of ${Object.keys(SUITES).join(', ')}`);
  const known = new Set<string>();
  const chosen = SUITES[name as SuiteName](options).filter((benchmark) => {
    const wanted = benchmark.name.includes(only) && !known.has(benchmark.name);
    known.add(benchmark.name);
    return wanted;
  });
  if (chosen.length === 0) throw new Error(`no benchmark of the suite "${name}" has "${only}" in its name`);
  return chosen;
}
