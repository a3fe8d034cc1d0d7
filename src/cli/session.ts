/** A GPU for the length of a command, closed whatever happens, and what is known of it. */

import { type Gpu, openGpu } from '../platform/gpu.js';
import { TuningCache } from '../platform/tuning_cache.js';
import { fileTuningStore } from '../platform/tuning_cache.node.js';
import { segsortOps } from '../segsort/ops/index.js';
import type { AdapterFacts } from '../tensor/op.js';
import { allOps } from '../tensor/ops/index.js';
import { Runtime } from '../tensor/runtime.js';
import { type KernelOverrides, parseKernelOverrides } from '../tensor/select.js';
import type { TuningTable } from '../tensor/tuning.js';
import { kernelVariants } from '../tensor/variants.js';
import type { AdapterOptions } from './options.js';
import { VERSION } from './version.js';

export interface Session {
  readonly gpu: Gpu;
  readonly runtime: Runtime;
}

export interface SessionOptions extends AdapterOptions {
  /** Whether kernels are chosen by what was measured on this machine, where it was (see `tune.ts`). Default: no. */
  readonly tuned?: boolean;
  /** Choices that count instead of those measured. */
  readonly tuning?: TuningTable;
  /** Kernel variants to force where `KERNEL` is not set. */
  readonly kernelOverrides?: KernelOverrides;
}

/** Opens the adapter, runs `body`, waits for submitted work and closes. Kernel variants can be forced with `KERNEL`. */
export async function withGpu<R>(options: SessionOptions, body: (session: Session) => Promise<R>): Promise<R> {
  const { KERNEL } = process.env;
  const kernels = KERNEL === undefined ? options.kernelOverrides : parseKernelOverrides(KERNEL);
  await using gpu = await openGpu({ adapter: options.adapter });
  const measured = async () => (await TuningCache.open(fileTuningStore(), gpu.facts)).table;
  const tuning = options.tuning ?? (options.tuned ? await measured() : undefined);
  using runtime = new Runtime(gpu, { kernels, tuning });
  return await body({ gpu, runtime });
}

/** Every kernel variant and whether this adapter selects it. */
export const variantsFor = (facts: AdapterFacts) => kernelVariants([...allOps, ...segsortOps], facts);

/** What a result depends on besides the configuration: `environment.json`. */
export function environmentOf({ gpu, runtime }: Session): Readonly<Record<string, unknown>> {
  const { vendor, architecture, device, description, backend, driver, cpu, features } = gpu.facts;
  const kernels: Record<string, string[]> = {};
  for (const { op, variant, selected } of variantsFor(gpu.facts))
    if (selected) kernels[op] = [...(kernels[op] ?? []), variant];
  return {
    version: VERSION,
    node: process.version,
    system: `${process.platform}-${process.arch}`,
    adapter: { device, vendor, architecture, description, backend, driver, cpu, features: [...features].sort() },
    kernels,
    kernelOverrides: runtime.kernels,
    ...(gpu.facts.matrixUnits ? { matrixUnits: gpu.facts.matrixUnits } : {}),
    // Which parts a sum is split into decides its last bits.
    ...(runtime.facts.tuning ? { tuning: runtime.facts.tuning } : {}),
  };
}
