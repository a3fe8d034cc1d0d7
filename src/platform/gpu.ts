/**
 * The way to a GPU, the same in Node and in the browser: one adapter, one device with the adapter's largest
 * limits, and what is known of it. `#gpu` is `gpu.node.ts` under Node and `gpu.browser.ts` in a bundle for browsers.
 */
import { findAdapter as find } from '#gpu';
import type { MatrixProbe, MatrixUnits, SubgroupMatrixConfig } from './matrix_units.js';

export type AdapterChoice = 'auto' | 'gpu' | 'cpu';

export interface GpuOptions {
  /**
   * `gpu` refuses software adapters, `cpu` insists on one, `auto` prefers a GPU. Default: the environment variable
   * `SEGSORT_ADAPTER` under Node, else `auto`.
   */
  readonly adapter?: AdapterChoice;
  /** Receives the one line that says the CPU is doing the work. Default: `console.warn` (standard error in Node). */
  readonly notice?: (line: string) => void;
  /** Further Dawn toggles, for experiments; only Node can set them. */
  readonly toggles?: { readonly enable?: readonly string[]; readonly disable?: readonly string[] };
}

/** What is known of the device. Empty strings where the browser does not tell. */
export interface GpuFacts {
  /** True where the CPU computes (SwiftShader, llvmpipe, WARP). */
  readonly cpu: boolean;
  readonly vendor: string;
  readonly architecture: string;
  /** Name of the device, such as `NVIDIA H100 80GB HBM3`. */
  readonly device: string;
  readonly description: string;
  /** `vulkan`, `metal`, `d3d12`, or `webgpu` where the browser does not tell. */
  readonly backend: string;
  /** Name and version of the driver. */
  readonly driver: string;
  /** Features the device was opened with. */
  readonly features: ReadonlySet<string>;
  /** Limits the device was opened with, which are the adapter's largest for everything compute needs. */
  readonly limits: GPUSupportedLimits;
  /** Invocations in a subgroup, smallest and largest; 0 where there are no subgroups. */
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  /** Shapes of subgroup (tensor core) matrix products; empty without the feature. */
  readonly subgroupMatrixConfigs: readonly SubgroupMatrixConfig[];
  /** The matrix product that kernels use; absent where there is none, or none that comes out right. */
  readonly matrixUnits?: MatrixUnits;
  /** What came of trying the matrix products, in words. */
  readonly matrixProbe: string;
}

/** One way an adapter was looked for, and what came of it. */
export interface AdapterAttempt {
  readonly where: string;
  readonly outcome: string;
}

export interface Gpu {
  readonly device: GPUDevice;
  readonly facts: GpuFacts;
  /** Where the adapter was looked for; the last one is where it was found. */
  readonly attempts: readonly AdapterAttempt[];
  /** Waits for submitted work, then destroys the device. A Node process can exit after this. May be called twice. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What `#gpu` returns. */
export interface FoundAdapter {
  readonly adapter: GPUAdapter;
  readonly backend: string;
  readonly attempts: readonly AdapterAttempt[];
  /** Called with the device when it opens; returns what is to be called when it closes. */
  hold(device: GPUDevice): () => void;
}

/**
 * The adapter that a device is asked of, for programs that open devices of their own, as benchmarks do.
 *
 * @throws GpuUnavailableError where there is none
 */
export const findAdapter = (options: GpuOptions): Promise<FoundAdapter> => find(options);

/** No adapter: `attempts` says where it was looked for. `adviceFor` in `report.ts` says what to install. */
export class GpuUnavailableError extends Error {
  override readonly name = 'GpuUnavailableError';
  readonly attempts: readonly AdapterAttempt[];
  constructor(attempts: readonly AdapterAttempt[]) {
    const tried = attempts.map((attempt) => `  ${attempt.where}: ${attempt.outcome}`).join('\n');
    super(`no WebGPU adapter was found. Looked for:\n${tried}\n\`segsort doctor\` says what to install.`);
    this.attempts = attempts;
  }
}

const REQUESTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBuffersPerShaderStage',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

const REQUESTED_FEATURES = [
  'subgroups',
  'subgroup-size-control',
  'timestamp-query',
  'shader-f16',
  'chromium-experimental-subgroup-matrix',
];

/**
 * Opens the best adapter: a GPU where there is one, else a software adapter.
 * @throws GpuUnavailableError where there is none that `options.adapter` allows.
 */
export async function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  const { adapter, backend, attempts, hold } = await findAdapter(options);
  const requiredLimits: Record<string, number> = {};
  for (const name of REQUESTED_LIMITS) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = REQUESTED_FEATURES.filter((name) => adapter.features.has(name)) as GPUFeatureName[];
  const device = await adapter.requestDevice({ label: 'segsort', requiredFeatures, requiredLimits });
  const release = hold(device);
  const probe = await probeMatrices(adapter, device);
  const facts = factsOf(adapter, device, backend, probe);
  if (facts.cpu) {
    const notice = options.notice ?? ((line: string) => console.warn(line));
    notice(`segsort: no GPU in use, the CPU does the work (${facts.description || facts.architecture || 'software'})`);
  }

  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= (async () => {
      // Rejects on a lost device, which has no work left to wait for.
      await device.queue.onSubmittedWorkDone().catch(() => {});
      device.destroy();
      release();
    })();
    return closing;
  };
  return { device, facts, attempts, close, [Symbol.asyncDispose]: close };
}

/** True for adapters that compute on the CPU, whether or not they say so themselves. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  const names = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return info.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|basic render|\bwarp\b/i.test(names);
}

/** Fields of `GPUAdapterInfo` that Chrome adds for developers. */
interface DeveloperInfo {
  readonly backend?: string;
  readonly driver?: string;
  readonly subgroupMatrixConfigs?: readonly SubgroupMatrixConfig[];
}

/** As plain objects, which JSON can hold. */
function matrixConfigsOf({ info }: GPUAdapter): SubgroupMatrixConfig[] {
  return ((info as GPUAdapterInfo & DeveloperInfo).subgroupMatrixConfigs ?? []).map(
    ({ componentType, resultComponentType, M, N, K }) => ({ componentType, resultComponentType, M, N, K }),
  );
}

/** The probe is loaded where there is something to try, which few browsers have. */
async function probeMatrices(adapter: GPUAdapter, device: GPUDevice): Promise<MatrixProbe> {
  const feature = 'chromium-experimental-subgroup-matrix';
  if (!device.features.has(feature as GPUFeatureName)) return { outcome: `the adapter does not offer ${feature}` };
  const { probeMatrixUnits } = await import('./matrix_units.js');
  return probeMatrixUnits(device, matrixConfigsOf(adapter), adapter.info.subgroupMaxSize);
}

function factsOf(adapter: GPUAdapter, device: GPUDevice, backend: string, probe: MatrixProbe): GpuFacts {
  const info = adapter.info as GPUAdapterInfo & DeveloperInfo;
  const features = new Set<string>(device.features);
  return {
    cpu: isSoftware(info),
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    description: info.description,
    backend: info.backend?.toLowerCase() || backend,
    driver: info.driver || info.description,
    features,
    limits: device.limits,
    subgroupMinSize: features.has('subgroups') ? info.subgroupMinSize : 0,
    subgroupMaxSize: features.has('subgroups') ? info.subgroupMaxSize : 0,
    subgroupMatrixConfigs: features.has('chromium-experimental-subgroup-matrix') ? matrixConfigsOf(adapter) : [],
    matrixUnits: probe.units,
    matrixProbe: probe.outcome,
  };
}
