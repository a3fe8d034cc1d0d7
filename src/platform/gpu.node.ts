/** `#gpu` under Node: Dawn, from the npm package `webgpu`. */
import type { AdapterAttempt, AdapterChoice, FoundAdapter, GpuOptions } from './gpu.js';
import { GpuUnavailableError, isSoftware } from './gpu.js';
import { pollPatiently } from './patient_polling.node.js';
import { provideVulkanLoader, withSwiftShader } from './swiftshader.node.js';
import { DRIVER_VARIABLES } from './system.node.js';

/** Toggles are listed in Dawn's `src/dawn/native/Toggles.cpp`. */
const ENABLE = [
  'allow_unsafe_apis', // subgroup matrices are behind it
  'vulkan_enable_f16_on_nvidia', // shader-f16 is behind it
];
const DISABLE = [
  'timestamp_quantization', // rounds to 65 us, longer than most kernels run
];

/**
 * For SwiftShader: shaders compute 1.4 times as fast without Dawn's bounds checks, and compile faster. Every kernel is
 * tested with them in Chrome, which does not let go of them; a kernel of your own should be tried there first.
 */
const ENABLE_ON_SOFTWARE = ['disable_robustness'];

const BACKENDS: Partial<Record<NodeJS.Platform, string>> = { linux: 'vulkan', darwin: 'metal', win32: 'd3d12' };

/**
 * Looks for a GPU, and on Linux, where there is none, for SwiftShader.
 *
 * One search at a time: SwiftShader is chosen by an environment variable, which is the whole process's.
 */
export function findAdapter(options: GpuOptions): Promise<FoundAdapter> {
  const found = search.then(() => find(options));
  search = found.then(
    () => {},
    () => {},
  );
  return found;
}
let search: Promise<void> = Promise.resolve();

/** Asking every installed driver takes a while, and they talk on standard error: not again where none had a GPU. */
let noGpu = false;

async function find(options: GpuOptions): Promise<FoundAdapter> {
  const choice = options.adapter ?? choiceOfEnvironment();
  const backend = BACKENDS[process.platform] ?? 'webgpu';
  const attempts: AdapterAttempt[] = [];
  const userDriver = DRIVER_VARIABLES.find((name) => process.env[name]);
  const dawn = await loadDawn(attempts);

  const request = async (where: string, enable: readonly string[] = []): Promise<FoundAdapter | undefined> => {
    const gpu = dawn.create(dawnFlags(options, enable));
    const adapter = await gpu.requestAdapter({
      powerPreference: 'high-performance',
      forceFallbackAdapter: choice === 'cpu',
    });
    if (!adapter || (choice === 'gpu' && isSoftware(adapter.info))) {
      attempts.push({
        where,
        outcome: adapter ? `only a software adapter, ${adapter.info.description}` : 'no adapter',
      });
      return undefined;
    }
    attempts.push({ where, outcome: 'found' });
    return { adapter, backend, attempts, hold: (device) => holdDevice(device, gpu) };
  };

  const isLinux = process.platform === 'linux';
  const askable = isLinux ? await provideVulkanLoader(attempts) : true;
  const wanted = !isLinux || choice === 'gpu' || (choice === 'auto' && !noGpu);
  if (userDriver || (askable && wanted)) {
    const found = await request(userDriver ? `${backend}, ${userDriver}=${process.env[userDriver]}` : backend);
    if (found) return found;
  }
  // A driver the user named is a decision: SwiftShader in its place would hide that it does not work.
  if (choice !== 'gpu' && isLinux && !userDriver) {
    const found = await withSwiftShader(attempts, (where) => request(where, ENABLE_ON_SOFTWARE));
    noGpu ||= choice === 'auto' && found !== undefined;
    if (found) return found;
  }
  throw new GpuUnavailableError(attempts);
}

function choiceOfEnvironment(): AdapterChoice {
  const choice = process.env.SEGSORT_ADAPTER || 'auto';
  if (choice !== 'auto' && choice !== 'gpu' && choice !== 'cpu')
    throw new Error(`SEGSORT_ADAPTER: \`${choice}\` is none of auto, gpu, cpu`);
  return choice;
}

function dawnFlags({ toggles }: GpuOptions, enable: readonly string[]): string[] {
  return [
    `enable-dawn-features=${[...ENABLE, ...enable, ...(toggles?.enable ?? [])].join(',')}`,
    `disable-dawn-features=${[...DISABLE, ...(toggles?.disable ?? [])].join(',')}`,
  ];
}

async function loadDawn(attempts: AdapterAttempt[]): Promise<typeof import('webgpu')> {
  try {
    const dawn = await import('webgpu');
    pollPatiently();
    // GPUBufferUsage and the rest, which browsers have as globals.
    for (const [name, value] of Object.entries(dawn.globals)) (globalThis as Record<string, unknown>)[name] ??= value;
    return dawn;
  } catch (error) {
    const outcome = `its binary for ${process.platform}-${process.arch} does not load: ${(error as Error).message}`;
    throw new GpuUnavailableError([...attempts, { where: 'npm package webgpu', outcome }]);
  }
}

/** Open devices with the Dawn instance each lives in, which must not be collected before it. */
const open = new Map<GPUDevice, GPU>();

function holdDevice(device: GPUDevice, gpu: GPU): () => void {
  if (open.size === 0) process.on('exit', destroyAll);
  open.set(device, gpu);
  return () => {
    open.delete(device);
    if (open.size === 0) process.off('exit', destroyAll);
  };
}

/** Leaving with work in flight can crash the process. */
function destroyAll(): void {
  for (const device of open.keys()) device.destroy();
}
