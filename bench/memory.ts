/**
 * What a training step takes on the GPU, with and without recomputation, by its plan alone: nothing runs, and it need not
 * fit. ResNet-101 with PSP head and the SegSort loss, for the kernels of CPU adapters and of GPUs.
 *
 *   node scripts/run_bench.mjs memory [batch] [crop] [backbone] [precision] [file]        left out: 8 336 resnet101 f32, no file
 */

import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RECOMPUTE_MODES, type RecomputeMode } from '../src/autograd/recompute.js';
import type { BackboneName } from '../src/models/designs.js';
import { writeFileAtomic } from '../src/platform/files.node.js';
import { type Gpu, openGpu } from '../src/platform/gpu.js';
import { PRECISIONS } from '../src/segsort/trainer.js';
import type { Plan } from '../src/tensor/plan.js';
import { planOf } from './cases/training.js';

const [batch = '8', crop = '336', network = 'resnet101', stored = 'f32', out] = process.argv.slice(2);
const [images, side] = [Number(batch), Number(crop)];
const backbone = network as BackboneName;
const precision = PRECISIONS.find((each) => each === stored);
if (!precision) throw new Error(`the precision is one of ${PRECISIONS.join(', ')}, not ${stored}`);

interface Row {
  readonly kernels: 'cpu' | 'gpu';
  readonly recompute: RecomputeMode;
  /** Bytes of all slots. */
  readonly planned: number;
  /** Bytes that must be alive at one time. */
  readonly live: number;
  readonly gflop: number;
  /** Of the FLOPs without recomputation. */
  readonly added: number;
  readonly dispatches: number;
}

function planFor(gpu: Gpu, cpu: boolean, recompute: RecomputeMode): Plan {
  // A device of any kind; what is planned for is an adapter with room enough.
  const limits = { ...limitsOf(gpu), maxStorageBufferBindingSize: 2 ** 32 - 4 };
  const facts = { ...gpu.facts, cpu, limits };
  return planOf({ device: gpu.device, facts }, { backbone, batch: images, crop: side, recompute, precision });
}

/** The device's limits as an object of their own: those of WebGPU are getters of a prototype. */
function limitsOf({ facts: { limits } }: Gpu) {
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = limits;
  const { maxComputeWorkgroupsPerDimension, maxStorageBuffersPerShaderStage } = limits;
  return {
    maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupStorageSize,
    maxComputeWorkgroupsPerDimension,
    maxStorageBuffersPerShaderStage,
  };
}

await using gpu = await openGpu({ notice: () => {} });
const rows: Row[] = [];
for (const kernels of ['cpu', 'gpu'] as const) {
  let plain = 0;
  for (const recompute of RECOMPUTE_MODES) {
    const plan = planFor(gpu, kernels === 'cpu', recompute);
    const flops = plan.steps.reduce((sum, step) => sum + step.flops, 0);
    if (recompute === 'none') plain = flops;
    rows.push({
      kernels,
      recompute,
      planned: plan.slots.reduce((sum, bytes) => sum + bytes, 0),
      live: plan.liveBytes,
      gflop: flops / 1e9,
      added: flops / plain - 1,
      dispatches: plan.steps.reduce((sum, { commands }) => sum + commands.length, 0),
    });
  }
}
const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
console.log(`${backbone} with PSP head and SegSort loss, ${images} crops of ${side}x${side}, ${precision}`);
console.table(
  rows.map(({ kernels, recompute, planned, live, gflop, added, dispatches }) => ({
    kernels,
    recompute,
    'planned MiB': mebibytes(planned),
    'alive MiB': mebibytes(live),
    GFLOP: Math.round(gflop),
    'added %': Number((100 * added).toFixed(1)),
    dispatches,
  })),
);
if (out) {
  await mkdir(dirname(out), { recursive: true });
  await writeFileAtomic(out, `${JSON.stringify({ backbone, images, side, precision, rows }, null, 2)}\n`);
}
