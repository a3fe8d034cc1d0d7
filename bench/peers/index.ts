/**
 * Whom the engine is measured against. Each opens what it computes on when it is first asked to compute, on the adapter of
 * `device`, the engine's.
 */
import type { Contender } from '../harness/types.js';
import { jaxContender } from './jax.js';
import { onnxruntimeContender } from './onnxruntime.js';
import { pytorchContenders } from './pytorch.js';
import { tfjsContenders } from './tfjs.js';

/**
 * @param packages in a browser, the address of the folder with the peers' packages, `bench/node_modules/`, out of which two
 * load their WebAssembly. Default: `node_modules/` beside the page. In Node they find it beside themselves.
 * @throws Error where a package is not installed (`npm ci --ignore-scripts` in `bench/`). Where there is no PyTorch, it is left out.
 */
export async function peers(
  environment: 'node' | 'browser',
  device: GPUDevice,
  packages: string | null = environment === 'browser' ? new URL('node_modules/', document.baseURI).href : null,
): Promise<Contender[]> {
  return [
    await jaxContender(environment, device),
    ...(await tfjsContenders(environment, device, packages)),
    await onnxruntimeContender(environment, device, packages),
    ...(environment === 'node' ? await pytorchContenders() : []),
  ];
}
