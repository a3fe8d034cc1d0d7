/**
 * What a replay costs the host: CPU time of the JavaScript thread for each dispatch, from 1,000 kernels of nearly no work, split into
 * encoding, finishing and submitting. On Dawn's Null backend, which executes nothing, and on the adapter there is, whose
 * work other threads or a GPU do. Also how many dispatches a training step of ResNet-101 with PSP head and SegSort's loss
 * has, and so what share of it replaying takes. By turns with the replay, the three calls of the API that a dispatch cannot do
 * without are made by themselves (bare calls): what Dawn and Node's binding cost on this machine at that time.
 *
 *   node scripts/run_bench.mjs overhead [runs=300] [step=MILLISECONDS or FOLDER] [out=bench/results/overhead.json]
 *
 * `step` is what such a step, of 8 crops of 336x336, takes on your GPU, in milliseconds as measured; or the folder in which
 * `bench/gpu_session.sh` left what it measured. Without it, or where nothing was, no share is given. Times of the
 * thread are those the system counts (Linux), else its wall time while nothing is waited for.
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { dirname } from 'node:path';
import { create } from 'webgpu';
import { writeFileAtomic } from '../src/platform/files.node.js';
import { openGpu } from '../src/platform/gpu.js';
import { buildExecutable, type Executable } from '../src/tensor/executable.js';
import type { Tensor } from '../src/tensor/graph.js';
import type { AdapterFacts } from '../src/tensor/op.js';
import { matmul } from '../src/tensor/ops/matmul.js';
import { softmax } from '../src/tensor/ops/normalize.js';
import { PipelineCache } from '../src/tensor/pipelines.js';
import { makePlan } from '../src/tensor/plan.js';
import { type ReplayPhase, replay, type WatchReplay } from '../src/tensor/replay.js';
import { Runtime } from '../src/tensor/runtime.js';
import { traceStep } from '../src/tensor/trace.js';
import { f32, hostTensor } from '../src/tensor/types.js';
import { planOf } from './cases/training.js';
import { millisecondsOfStep } from './harness/step_time.node.js';

const given = new Map(process.argv.slice(2).map((argument) => argument.split('=') as [string, string]));
const runs = Number(given.get('runs') ?? 300);
/** The step whose commands are counted, of ResNet-101 with PSP head. */
const TRAINING = { batch: 8, crop: 336 } as const;
const step = given.get('step');
// Anything but a number is a folder.
const stepMilliseconds = !step ? null : Number(step) || (await millisecondsOfStep(step, 'resnet101', TRAINING));
const out = given.get('out') ?? 'bench/results/overhead.json';
const DISPATCHES = 1000;

const PHASES = ['encode', 'finish', 'submit'] as const satisfies readonly ReplayPhase[];

/** Milliseconds that this thread has computed, as the scheduler counts them; null where it does not say. */
function threadTime(): number | null {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return null;
  }
}

interface Overhead {
  readonly adapter: string;
  readonly what: string;
  readonly dispatches: number;
  /** CPU time of the thread, mean of all runs, since the system may count in milliseconds; null where it does not say. */
  readonly cpu: number | null;
  /** Wall time: the fastest run, and quartiles. All of these are microseconds a dispatch. */
  readonly best: number;
  readonly quartiles: readonly [number, number, number];
  /** Of the fastest run. */
  readonly phases: Readonly<Record<ReplayPhase, number>>;
}

const clean = (time: number) => Number(time.toFixed(3));

/** One way to have the dispatches of an executable done. */
interface Way {
  readonly what: string;
  run(device: GPUDevice, executable: Executable, watch: WatchReplay): void;
}

const WAYS: readonly Way[] = [
  { what: 'replay', run: replay },
  {
    what: 'bare calls',
    run(device, { steps }, watch) {
      watch('encode');
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (const { commands } of steps)
        for (const command of commands) {
          if (command.kind === 'copy') throw new Error('the small work has a copy');
          pass.setPipeline(command.pipeline);
          pass.setBindGroup(0, command.bindGroup);
          pass.dispatchWorkgroups(command.workgroups[0]);
        }
      pass.end();
      watch('finish');
      const commands = encoder.finish();
      watch('submit');
      device.queue.submit([commands]);
      watch(null);
    },
  },
];

/** All ways, by turns. */
async function measure(adapter: string, device: GPUDevice, executable: Executable): Promise<Overhead[]> {
  const dispatches = executable.steps.reduce((sum, { commands }) => sum + commands.length, 0);
  const perDispatch = (milliseconds: number) => clean((1000 * milliseconds) / dispatches);
  const taken = WAYS.map((way) => ({
    way,
    walls: [] as number[],
    cpu: 0,
    best: { wall: Number.POSITIVE_INFINITY, phases: { encode: 0, finish: 0, submit: 0 } },
  }));
  for (let run = 0; run < runs; run++)
    for (const each of taken) {
      const phases = { encode: 0, finish: 0, submit: 0 };
      let at: ReplayPhase | null = null;
      let since = 0;
      const before = threadTime();
      const begin = performance.now();
      each.way.run(device, executable, (phase) => {
        const now = performance.now();
        if (at) phases[at] += now - since;
        at = phase;
        since = now;
      });
      const wall = performance.now() - begin;
      each.cpu += (threadTime() ?? Number.NaN) - (before ?? Number.NaN);
      each.walls.push(wall);
      if (wall < each.best.wall) each.best = { wall, phases };
      // What is in flight would compete for the processor.
      await device.queue.onSubmittedWorkDone();
    }
  return taken.map(({ way, walls, cpu, best }) => {
    walls.sort((a, b) => a - b);
    const quartile = (share: number) => perDispatch(walls[Math.floor(share * (walls.length - 1))]!);
    return {
      ...{ adapter, what: way.what, dispatches },
      cpu: Number.isNaN(cpu) ? null : perDispatch(cpu / runs),
      best: perDispatch(best.wall),
      quartiles: [quartile(0.25), quartile(0.5), quartile(0.75)],
      phases: {
        encode: perDispatch(best.phases.encode),
        finish: perDispatch(best.phases.finish),
        submit: perDispatch(best.phases.submit),
      },
    };
  });
}

/** A plan of small products and softmaxes by turns, so that every dispatch has another pipeline and other buffers. */
async function smallWork(runtime: Runtime): Promise<Executable> {
  const { device, facts } = runtime;
  const weights = runtime.resident('weights', hostTensor([4, 4], new Array(16).fill(0.1)));
  const { graph, results } = traceStep(
    (x: Tensor) => {
      let y = x;
      for (let i = 0; i < DISPATCHES / 2; i++) y = softmax(matmul(y, weights));
      return y;
    },
    [f32([2, 4])],
  );
  return buildExecutable(device, new PipelineCache(device), makePlan(graph, results, facts, { matmul: 'naive' }));
}

/** What a GPU of today says of itself. */
const GPU_FACTS: AdapterFacts = {
  cpu: false,
  features: new Set(['timestamp-query', 'subgroups']),
  limits: {
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupStorageSize: 49152,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBufferBindingSize: 2 ** 31 - 4,
    maxStorageBuffersPerShaderStage: 16,
  },
};

/** A device for planning alone: its buffers have no memory. */
const UNREAL = {
  features: new Set<string>(),
  limits: { ...GPU_FACTS.limits, maxBufferSize: 2 ** 32 },
  lost: new Promise<never>(() => {}),
  queue: { writeBuffer() {} },
  createBuffer: () => ({ destroy() {} }),
  addEventListener() {},
  removeEventListener() {},
} as unknown as GPUDevice;

/** Commands of the training step on a GPU. */
function commandsOfTraining(): { dispatches: number; copies: number } {
  const { steps } = planOf({ device: UNREAL, facts: GPU_FACTS }, { backbone: 'resnet101', ...TRAINING });
  const commands = steps.flatMap((step) => step.commands);
  const dispatches = commands.filter((command) => 'source' in command).length;
  return { dispatches, copies: commands.length - dispatches };
}

async function onNullBackend(): Promise<Overhead[]> {
  const dawn = create(['backend=null']);
  const adapter = await dawn.requestAdapter();
  if (!adapter) throw new Error('this build of Dawn has no Null backend');
  const device = await adapter.requestDevice();
  const facts = { ...GPU_FACTS, features: new Set<string>(device.features), limits: device.limits };
  using runtime = new Runtime({ device, facts });
  const executable = await smallWork(runtime);
  try {
    return await measure('Null backend', device, executable);
  } finally {
    device.destroy();
  }
}

await using gpu = await openGpu();
const { facts } = gpu;
using runtime = new Runtime(gpu);
const name = facts.device || facts.description;
const executable = await smallWork(runtime);
const rows = [...(await onNullBackend()), ...(await measure(name, gpu.device, executable))];
executable.destroy();

console.log(`${name} (${facts.driver}), Node ${process.version}, load ${loadavg()[0]!.toFixed(1)}`);
console.table(
  rows.map(({ adapter, what, cpu, best, quartiles, phases }) => ({
    ...{ adapter, what, 'CPU us': cpu, 'best us': best, 'lower quartile us': quartiles[0], 'median us': quartiles[1] },
    ...Object.fromEntries(PHASES.map((phase) => [`${phase} us`, phases[phase]])),
  })),
);
const real = rows.find(({ adapter, what }) => adapter === name && what === 'replay')!;
const training = commandsOfTraining();
const replayMilliseconds = clean(((real.cpu ?? real.quartiles[1]) * (training.dispatches + training.copies)) / 1000);
const share = stepMilliseconds === null ? null : clean(replayMilliseconds / stepMilliseconds);
console.log(
  `a training step of ResNet-101 + PSP, ${TRAINING.batch} x ${TRAINING.crop}x${TRAINING.crop}, has ${training.dispatches} dispatches and ${training.copies} copies on a GPU: about ${replayMilliseconds.toFixed(1)} ms of the host's thread${share === null ? '' : `, ${(100 * share).toFixed(1)}% of a step of ${stepMilliseconds} ms`}`,
);
const { driver, backend } = facts;
const report = {
  ...{ adapter: { device: name, driver, backend }, node: process.version, date: new Date().toISOString() },
  ...{
    load: loadavg()[0],
    runs,
    rows,
    training: { ...training, replayMilliseconds, stepMilliseconds, share },
  },
};
await mkdir(dirname(out), { recursive: true });
await writeFileAtomic(out, `${JSON.stringify(report, null, 2)}\n`);
