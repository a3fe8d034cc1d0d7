/**
 * What the device can do at best, measured in the same run as everything else: multiply-adds in float32, in float16 and of
 * subgroup matrices, and bytes copied. Each is the best of several kernels, since no one kernel suits CPU adapters and GPUs.
 */
import type { Gpu } from '../../src/platform/gpu.js';
import { inDialect, type MatrixDialect, type SubgroupMatrixConfig } from '../../src/platform/matrix_units.js';
import { linearGrid } from '../../src/tensor/op.js';
import { packUniforms, type Shader, specialize } from '../../src/tensor/wgsl.js';
import copySource from '../ceilings/copy.wgsl';
import mat4Source from '../ceilings/fma_mat4.wgsl';
import vec4Source from '../ceilings/fma_vec4.wgsl';
import matrixSource from '../ceilings/matrix_units.wgsl';
import type { Clock } from './measure.js';
import type { Ceiling } from './results.js';

export type CeilingKind = 'f32' | 'f16' | 'matrix units' | 'copy kernel' | 'copy command';

/** One kernel that may be the fastest of its kind. */
interface Attempt {
  readonly kind: CeilingKind;
  readonly variant: string;
  /** Compiles it; what it allocates is added to `owned`. */
  make(owned: GPUBuffer[]): Promise<Work>;
}

interface Work {
  /** Work of one repetition, in FLOPs or bytes. */
  readonly work: number;
  /** Encodes so many repetitions of the work. */
  encode(encoder: GPUCommandEncoder, repetitions: number): void;
}

export interface CeilingOptions {
  readonly clock: Clock;
  /** Milliseconds that one measurement should take; a few are made of each kernel. Default 40. */
  readonly milliseconds?: number;
  readonly log?: (line: string) => void;
  /** Receives what a reader has to know: which kernels do not run, and why. */
  readonly note?: (line: string) => void;
}

/** Measures every ceiling this device has, the best of each kind. Kernels that do not run are left out, with a note. */
export async function measureCeilings(gpu: Gpu, options: CeilingOptions): Promise<Ceiling[]> {
  const { device } = gpu;
  const owned: GPUBuffer[] = [];
  const found = new Map<CeilingKind, Ceiling>();
  try {
    for (const { kind, variant, make } of [...arithmeticAttempts(gpu), ...copyAttempts(gpu)]) {
      options.log?.(`ceilings: ${kind}, ${variant}`);
      const rates = await checked(device, async () => ratesOf(device, variant, await make(owned), options));
      if (typeof rates === 'string') {
        options.note?.(`no ceiling of ${kind} by ${variant}: ${rates.split('\n', 1)[0]}`);
        continue;
      }
      const best = found.get(kind);
      const tried = { ...best?.tried, [variant]: rates.rate };
      const faster = !best || rates.rate > best.rate ? { ...rates, variant } : best;
      const cpuRate = Math.max(rates.cpuRate ?? 0, best?.cpuRate ?? 0) || null;
      found.set(kind, { ...faster, kind, tried, cpuRate });
    }
  } finally {
    for (const buffer of owned) buffer.destroy();
  }
  return [...found.values()];
}

/** What `run` resolves with, or what went wrong, which then is nobody else's error. */
async function checked<T extends object>(device: GPUDevice, run: () => Promise<T>): Promise<T | string> {
  const scopes = ['validation', 'out-of-memory', 'internal'] as const;
  for (const scope of scopes) device.pushErrorScope(scope);
  const outcome = await run().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
  let wrong: string | undefined;
  for (const _ of scopes) wrong = (await device.popErrorScope())?.message ?? wrong;
  return typeof outcome === 'string' ? outcome : (wrong ?? outcome);
}

/** The better of two measurements of the same device, such as before and after all others. */
export function bestCeilings(first: readonly Ceiling[], second: readonly Ceiling[]): Ceiling[] {
  return first.map((ceiling) => {
    const other = second.find(({ kind }) => kind === ceiling.kind);
    const best = other && other.rate > ceiling.rate ? other : ceiling;
    return { ...best, cpuRate: Math.max(ceiling.cpuRate ?? 0, other?.cpuRate ?? 0) || null };
  });
}

async function ratesOf(
  device: GPUDevice,
  variant: string,
  { work, encode }: Work,
  { clock, milliseconds = 40 }: CeilingOptions,
): Promise<Pick<Ceiling, 'rate' | 'cpuRate'>> {
  const timed = async (repetitions: number) => {
    const encoder = device.createCommandEncoder({ label: variant });
    encode(encoder, repetitions);
    const commands = encoder.finish();
    const cpu = await clock.cpu();
    const begin = clock.now();
    device.queue.submit([commands]);
    await device.queue.onSubmittedWorkDone();
    const took = clock.now() - begin;
    const after = await clock.cpu();
    return { took, cpu: cpu === null || after === null ? null : after - cpu };
  };
  let repetitions = 1;
  // The first run is not to be trusted: drivers compile late.
  await timed(1);
  for (
    let { took } = await timed(1);
    took < milliseconds / 2 && repetitions < 2 ** 24;
    { took } = await timed(repetitions)
  )
    repetitions = Math.ceil(repetitions * Math.min(16, Math.max(2, milliseconds / took)));
  let [least, leastCpu] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < 3; i++) {
    const { took, cpu } = await timed(repetitions);
    least = Math.min(least, took);
    // Chrome counts in steps of 10 ms.
    if (cpu !== null && cpu > 0) leastCpu = Math.min(leastCpu, cpu);
  }
  const total = 1000 * work * repetitions;
  return { rate: total / least, cpuRate: Number.isFinite(leastCpu) ? total / leastCpu : null };
}

/** Iterations of a loop that count as one repetition. */
const ITERATIONS = 64;
/** Longest loop of one dispatch: a watchdog ends dispatches of seconds. */
const LONGEST = 2 ** 16;

function arithmeticAttempts({ device, facts }: Gpu): Attempt[] {
  // Enough to fill a large GPU several times over; a CPU has few threads, but all the more time per invocation.
  const size = facts.cpu ? 64 : 256;
  const groups = facts.cpu ? 32 : 4096;
  const loop = (
    kind: CeilingKind,
    variant: string,
    shader: Shader,
    flops: number,
    buffers: readonly number[],
    uniforms: Record<string, number>,
  ): Attempt => {
    const make: Attempt['make'] = async (owned) => {
      const pipeline = await compile(device, shader, variant);
      const entries = buffers.map((bytes, i) => {
        const buffer = storage(device, owned, bytes);
        if (i < buffers.length - 1) device.queue.writeBuffer(buffer, 0, halves(bytes / 2));
        return { binding: i + 1, resource: { buffer } };
      });
      const groupOf = (iterations: number) => {
        const buffer = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
        owned.push(buffer);
        device.queue.writeBuffer(buffer, 0, packUniforms(shader, { ...uniforms, iterations }));
        const layout = pipeline.getBindGroupLayout(0);
        return device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }, ...entries] });
      };
      return {
        work: flops * ITERATIONS * groups,
        encode(encoder, repetitions) {
          const pass = encoder.beginComputePass();
          pass.setPipeline(pipeline);
          for (let left = repetitions * ITERATIONS; left > 0; left -= LONGEST) {
            pass.setBindGroup(0, groupOf(Math.min(left, LONGEST)));
            pass.dispatchWorkgroups(groups);
          }
          pass.end();
        },
      };
    };
    return { kind, variant, make };
  };

  const attempts: Attempt[] = [];
  const result = groups * size * 16;
  const numbers = { scale: 0.5, offset: 0.25 };
  for (const FUSED of [true, false])
    for (const CHAINS of facts.cpu ? [4] : [2, 4, 8]) {
      const variant = `${CHAINS} vectors, ${FUSED ? 'fma' : 'a * x + y'}`;
      const flops = size * CHAINS * 4 * 2;
      const constants = { CHAINS, FUSED, SIZE: size };
      attempts.push(loop('f32', variant, specialize(vec4Source, constants), flops, [result], numbers));
      if (facts.features.has('shader-f16')) {
        const shader = specialize(`enable f16;\n${vec4Source}`, { ...constants, S: 'f16', V: 'vec4h' });
        attempts.push(loop('f16', variant, shader, flops, [result], numbers));
      }
    }
  for (const CHAINS of [2, 4]) {
    const shader = specialize(mat4Source, { CHAINS, SIZE: size });
    attempts.push(loop('f32', `${CHAINS} products with mat4x4`, shader, size * CHAINS * 16 * 2, [result], numbers));
  }
  for (const { M, N, K, componentType, resultComponentType } of facts.subgroupMatrixConfigs) {
    if (componentType !== 'f16' || !facts.features.has('shader-f16')) continue;
    // Four subgroups of the largest size there is.
    const threads = 4 * facts.subgroupMaxSize;
    const shader = matrixShader({ M, N, K, resultComponentType }, facts.matrixUnits?.dialect ?? 'vectors', threads);
    const subgroups = threads / facts.subgroupMinSize;
    // Where a subgroup may have several sizes, nothing says how many there are of them.
    if (!Number.isInteger(subgroups) || facts.subgroupMinSize !== facts.subgroupMaxSize) continue;
    const operands = 2 * 2 * Math.max(M * K, K * N);
    const results = groups * 4 * M * N * (resultComponentType === 'f16' ? 2 : 4);
    const flops = subgroups * 4 * 2 * M * N * K;
    const variant = `${M}x${N}x${K}, f16 to ${resultComponentType}`;
    attempts.push(loop('matrix units', variant, shader, flops, [operands, results], {}));
  }
  return attempts;
}

/** The loop of products of halves on matrix units, in workgroups of so many invocations. */
export function matrixShader(
  { M, N, K, resultComponentType: Total }: Omit<SubgroupMatrixConfig, 'componentType'>,
  dialect: MatrixDialect,
  threads: number,
): Shader {
  return specialize(inDialect(matrixSource, { component: 'f16', dialect }), { Total, M, N, K, SIZE: threads });
}

function copyAttempts({ device, facts }: Gpu): Attempt[] {
  // Far beyond any cache on a GPU; on a CPU, creating a buffer takes 0.5 ms a MiB.
  const bytes = Math.min((facts.cpu ? 32 : 512) * 2 ** 20, facts.limits.maxStorageBufferBindingSize);
  let buffers: readonly [GPUBuffer, GPUBuffer] | undefined;
  const pair = (owned: GPUBuffer[]) => {
    buffers ??= [storage(device, owned, bytes), storage(device, owned, bytes)];
    return buffers;
  };
  const command: Attempt = {
    kind: 'copy command',
    variant: 'copyBufferToBuffer',
    async make(owned) {
      const [from, to] = pair(owned);
      return {
        work: 2 * bytes,
        encode(encoder, repetitions) {
          for (let i = 0; i < repetitions; i++) encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
        },
      };
    },
  };
  const kernels = (facts.cpu ? [4, 16] : [1, 4, 16]).flatMap((VECTORS) =>
    (VECTORS === 1 || facts.cpu ? [true] : [true, false]).map((SIDE_BY_SIDE): Attempt => {
      const SIZE = facts.cpu ? 64 : 256;
      const variant = `${VECTORS} vectors${VECTORS > 1 ? `, ${SIDE_BY_SIDE ? 'side by side' : 'a grid apart'}` : ''}`;
      const make: Attempt['make'] = async (owned) => {
        const pipeline = await compile(device, specialize(copySource, { VECTORS, SIDE_BY_SIDE, SIZE }), variant);
        const entries = pair(owned).map((buffer, i) => ({ binding: i + 1, resource: { buffer } }));
        const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
        const grid = linearGrid(bytes / 16 / VECTORS, SIZE);
        return {
          work: 2 * bytes,
          encode(encoder, repetitions) {
            const pass = encoder.beginComputePass();
            pass.setPipeline(pipeline);
            pass.setBindGroup(0, group);
            for (let i = 0; i < repetitions; i++) pass.dispatchWorkgroups(...grid);
            pass.end();
          },
        };
      };
      return { kind: 'copy kernel', variant, make };
    }),
  );
  return [command, ...kernels];
}

function compile(device: GPUDevice, shader: Shader, label: string): Promise<GPUComputePipeline> {
  const module = device.createShaderModule({ label, code: shader.code });
  return device.createComputePipelineAsync({ label, layout: 'auto', compute: { module, entryPoint: 'main' } });
}

function storage(device: GPUDevice, owned: GPUBuffer[], bytes: number): GPUBuffer {
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffer = device.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC | COPY_DST });
  owned.push(buffer);
  return buffer;
}

/** Float16 numbers between 1/4 and 3/8 of alternating sign, so that sums of their products stay small. */
function halves(count: number): Uint16Array<ArrayBuffer> {
  return Uint16Array.from({ length: count }, (_, i) => 0x3400 + ((i * 37) % 512) + (i % 2) * 0x8000);
}
