/**
 * The adapter that peers compute on: the engine's, through devices of their own, as their authors open them. So nothing that
 * one of them does to its device touches another.
 */
import { findAdapter, isSoftware } from '../../src/platform/gpu.js';

/**
 * Gives Node, which has none, a `navigator.gpu` that finds the adapter of `engine`: Dawn with the same driver and the same toggles.
 * A browser's own is left as it is.
 */
export function provideNavigatorGpu(environment: 'node' | 'browser', engine: GPUDevice): void {
  if (environment === 'browser') return;
  const choice = isSoftware(engine.adapterInfo) ? 'cpu' : 'gpu';
  const gpu = {
    wgslLanguageFeatures: new Set<string>(),
    getPreferredCanvasFormat: () => 'bgra8unorm',
    async requestAdapter(): Promise<GPUAdapter> {
      const { adapter, hold } = await findAdapter({ adapter: choice });
      const open = adapter.requestDevice.bind(adapter);
      adapter.requestDevice = async (descriptor) => {
        const device = await open(descriptor);
        const release = hold(device);
        device.lost.then(release, release);
        acceptSharedMemory(device.queue);
        return device;
      };
      return adapter;
    },
  };
  const { navigator } = globalThis;
  if (navigator) Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
  else {
    // Node 20. The user agent is looked at for telephones.
    const value = { gpu, userAgent: `Node.js/${process.version}`, hardwareConcurrency: 1 };
    Object.defineProperty(globalThis, 'navigator', { value, configurable: true });
  }
}

/** `writeBuffer` of Dawn for Node refuses views of shared memory, which is what a WebAssembly module with threads has. */
function acceptSharedMemory(queue: GPUQueue): void {
  const write = queue.writeBuffer.bind(queue);
  queue.writeBuffer = (buffer, bufferOffset, data, offset, size) => {
    const isShared = ArrayBuffer.isView(data) && !(data.buffer instanceof ArrayBuffer);
    const copied = isShared ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice() : data;
    if (isShared && (offset !== undefined || size !== undefined))
      write(buffer, bufferOffset, copied, scaled(data, offset ?? 0), size === undefined ? size : scaled(data, size));
    else write(buffer, bufferOffset, copied, offset, size);
  };
}

/** Elements of a view as bytes. */
function scaled(view: ArrayBufferView, elements: number): number {
  return elements * ('BYTES_PER_ELEMENT' in view ? Number(view.BYTES_PER_ELEMENT) : 1);
}

/**
 * Errors of a peer's device, which would else come out as a wrong result without a reason.
 * @throws Error where the device is on another adapter than the engine's
 */
export function watchDevice(peer: string, device: GPUDevice, engine: GPUDevice): { check(): void } {
  const [own, wanted] = [device.adapterInfo, engine.adapterInfo].map((info) =>
    [info.vendor, info.architecture, info.device, info.description].join(' ').trim(),
  );
  if (own !== wanted) throw new Error(`${peer} computes on another adapter (${own}) than the engine (${wanted})`);
  let first: string | null = null;
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    first ??= event.error.message;
  });
  return {
    check() {
      const message = first;
      first = null;
      if (message !== null) throw new Error(message);
    },
  };
}
