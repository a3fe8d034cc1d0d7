/** `#gpu` in browsers and their workers. */
import { type AdapterAttempt, type FoundAdapter, type GpuOptions, GpuUnavailableError, isSoftware } from './gpu.js';

/** Looks for an adapter in `navigator.gpu`. */
export async function findAdapter(options: GpuOptions): Promise<FoundAdapter> {
  const choice = options.adapter ?? 'auto';
  const attempts: AdapterAttempt[] = [];
  const fail = (outcome: string): never => {
    throw new GpuUnavailableError([...attempts, { where: 'navigator.gpu', outcome }]);
  };
  if (!globalThis.navigator?.gpu)
    return fail(
      globalThis.isSecureContext === false
        ? 'absent: WebGPU needs a secure context (https, or localhost)'
        : 'absent: this browser has no WebGPU, or it is switched off',
    );
  const adapter = await navigator.gpu.requestAdapter({
    powerPreference: 'high-performance',
    forceFallbackAdapter: choice === 'cpu',
  });
  if (!adapter) return fail(choice === 'cpu' ? 'no software adapter' : 'no adapter');
  if (choice === 'gpu' && isSoftware(adapter.info)) return fail('only a software adapter');
  attempts.push({ where: 'navigator.gpu', outcome: 'found' });
  // A page's devices end with the page.
  return { adapter, backend: 'webgpu', attempts, hold: () => () => {} };
}
