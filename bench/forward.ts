/**
 * Inference of a whole network: time and planned memory of one forward pass, with batch norm as it is trained and folded into
 * the convolutions, whose outputs are compared.
 *
 *   node scripts/run_bench.mjs forward [backbone=resnet101] [head=psp] [size=480] [outputs=32] [runs=3]
 *
 * Times are the least of `runs`; CPU time is that of the whole process, which on a CPU adapter does the GPU's work.
 */
import { loadavg } from 'node:os';
import { BACKBONES, HEAD_NAMES } from '../src/models/designs.js';
import { foldBatchNorm } from '../src/models/fold.js';
import { Pass } from '../src/models/layers.js';
import { buildNetwork, type Network } from '../src/models/network.js';
import { allocateParameters } from '../src/models/parameter.js';
import { openGpu } from '../src/platform/gpu.js';
import { Random } from '../src/tensor/random.js';
import { Runtime } from '../src/tensor/runtime.js';
import { f32, type HostTensor, hostTensor, sizeOf } from '../src/tensor/types.js';
import { relativeError } from '../test/support/compare.js';

const given = new Map(process.argv.slice(2).map((argument) => argument.split('=') as [string, string]));
const number = (name: string, fallback: number) => Number(given.get(name) ?? fallback);
function choice<T extends string>(name: string, all: readonly T[], fallback: T): T {
  const value = all.find((candidate) => candidate === (given.get(name) ?? fallback));
  if (!value) throw new Error(`${name}=${given.get(name)}: must be one of ${all.join(', ')}`);
  return value;
}

const size = number('size', 480);
const network = buildNetwork({
  backbone: choice('backbone', BACKBONES, 'resnet101'),
  head: choice('head', HEAD_NAMES, 'psp'),
  outputs: number('outputs', 32),
});

await using gpu = await openGpu();
const { facts } = gpu;
using runtime = new Runtime(gpu);
const random = new Random({ seed: 1, stream: 0 });
const noise = (shape: readonly number[], low: number, high: number) =>
  hostTensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.between(low, high)),
  );

const groups = allocateParameters(runtime, network.parameters, () => ({}), 1);
// Statistics as if trained, so that folding has something to fold.
for (const parameter of network.parameters) {
  if (parameter.name.endsWith('moving_variance')) runtime.write(parameter, noise(parameter.shape, 0.5, 1.5));
  else if (parameter.role !== 'weights') runtime.write(parameter, noise(parameter.shape, -0.1, 0.1));
  if (parameter.role === 'gamma') runtime.write(parameter, noise(parameter.shape, 0.4, 0.8));
}
const images = noise([1, size, size, 3], -120, 140);

async function measure(label: string, measured: Network): Promise<HostTensor> {
  using step = runtime.compile((x) => measured.forward(x, new Pass({ batchStatistics: false })), label);
  const began = performance.now();
  const plan = await step.plan(f32(images.shape));
  const prepared = performance.now() - began;
  let least = { wall: Number.POSITIVE_INFINITY, cpu: 0 };
  let output: HostTensor | null = null;
  for (let run = 0; run < number('runs', 3); run++) {
    const cpu = process.cpuUsage();
    const start = performance.now();
    const result = await step.run(images);
    await gpu.device.queue.onSubmittedWorkDone();
    const wall = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    if (wall < least.wall) least = { wall, cpu: (user + system) / 1000 };
    output = await result.read();
  }
  const mebibytes = (bytes: number) => Number((bytes / 2 ** 20).toFixed(0));
  const flops = plan.steps.reduce((sum, { flops }) => sum + flops, 0);
  rows.push({
    network: label,
    'wall s': Number((least.wall / 1000).toFixed(2)),
    'CPU s': Number((least.cpu / 1000).toFixed(2)),
    'GFLOP/s': Number((flops / least.wall / 1e6).toFixed(1)),
    'plan and compile s': Number((prepared / 1000).toFixed(1)),
    steps: plan.steps.length,
    GFLOP: Number((flops / 1e9).toFixed(1)),
    'slots MiB': mebibytes(plan.slots.reduce((sum, bytes) => sum + bytes, 0)),
    'alive at once MiB': mebibytes(plan.liveBytes),
  });
  return output!;
}

const rows: Record<string, string | number>[] = [];
const plain = await measure('batch norm', network);
const begun = performance.now();
using folded = await foldBatchNorm(runtime, network);
await gpu.device.queue.onSubmittedWorkDone();
const folding = performance.now() - begun;
const error = relativeError((await measure('folded', folded)).data, plain.data);
const weights = network.parameters.reduce((sum, { bytes }) => sum + bytes, 0);

console.log(`${facts.device || facts.description} (${facts.driver}), load ${loadavg()[0]!.toFixed(1)}`);
console.log(
  `${network.backbone.name}, head ${network.head}, ${size}x${size}, batch 1: output [${plain.shape}], parameters ${(weights / 2 ** 20).toFixed(0)} MiB`,
);
console.table(rows);
console.log(
  `folding took ${(folding / 1000).toFixed(2)} s; relative difference of the outputs ${error.toExponential(1)}`,
);
for (const { group } of groups) group[Symbol.dispose]();
if (!(error <= 1e-4)) process.exitCode = 1;
