/** TensorFlow.js, by its WebGPU and its WebAssembly backend. */
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Case, Contender } from '../harness/types.js';
import { provideNavigatorGpu, watchDevice } from './adapter.js';
import { once, prepared } from './prepared.js';
import { convGradient, type Tfjs, tfjsResults } from './tfjs_ops.js';
import { versionOf } from './versions.js';

/** One backend, once it is open. */
interface Opened {
  readonly tf: Tfjs;
  /** Makes it the one that computes. */
  use(): Promise<void>;
  /** Submits what is waiting to be submitted and waits for the device. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** `tfjs-webgpu`, `tfjs-webgpu kernels` and `tfjs-wasm`. */
export async function tfjsContenders(
  environment: 'node' | 'browser',
  engine: GPUDevice,
  packages: string | null,
): Promise<Contender[]> {
  // Its WebGPU backend looks for WebGPU when it is imported.
  provideNavigatorGpu(environment, engine);
  const tf = exportsOf(await import('@tensorflow/tfjs-core'));
  await import('@tensorflow/tfjs-core/dist/register_all_gradients.js');
  await import('@tensorflow/tfjs-backend-webgpu');
  const wasm = exportsOf(await import('@tensorflow/tfjs-backend-wasm'));
  if (packages !== null) wasm.setWasmPaths(`${packages}@tensorflow/tfjs-backend-wasm/dist/`);

  const use = async (name: string) => {
    if (tf.getBackend() !== name && !(await tf.setBackend(name))) throw new Error(`tfjs: no backend ${name}`);
  };
  const webgpu = once(async (): Promise<Opened> => {
    await use('webgpu');
    const backend = tf.backend() as WebGPUBackend;
    const { device } = backend;
    const errors = watchDevice('tfjs-webgpu', device, engine);
    return {
      tf,
      use: () => use('webgpu'),
      async settle() {
        // It submits every fifteen dispatches and when something is read; reading would be timed as well.
        backend.ensureCommandEncoderReady();
        backend.endComputePassEncoder();
        backend.submitQueue();
        await device.queue.onSubmittedWorkDone();
        errors.check();
      },
      async close() {
        await device.queue.onSubmittedWorkDone();
        tf.removeBackend('webgpu');
        device.destroy();
      },
    };
  });
  const wasmBackend = once(async (): Promise<Opened> => {
    await use('wasm');
    // Its kernels have computed when they return.
    return { tf, use: () => use('wasm'), settle: async () => {}, close: async () => tf.removeBackend('wasm') };
  });
  const close = async (open: typeof webgpu) => (await open.started()?.catch(() => null))?.close();
  const version = versionOf('@tensorflow/tfjs-core');
  return [
    {
      ...{ name: 'tfjs-webgpu', version, on: 'webgpu' },
      prepare: async (theCase) => prepare(await webgpu(), theCase, tfjsResults),
      dispose: () => close(webgpu),
    },
    {
      // Only where the API refuses: its kernels do not.
      ...{ name: 'tfjs-webgpu kernels', version, on: 'webgpu' },
      async prepare(theCase) {
        const { computation } = theCase;
        if (computation.kind !== 'conv2d-input-grad' && computation.kind !== 'conv2d-filter-grad') return null;
        if (computation.dilation === 1) return null;
        return prepare(await webgpu(), theCase, (_, __, [a, b]) => [convGradient(tf, computation, a!, b!)]);
      },
      dispose: () => {},
    },
    {
      ...{ name: 'tfjs-wasm', version, on: 'wasm' },
      prepare: async (theCase) =>
        prepare(await wasmBackend(), theCase, tfjsResults, () => `${wasm.getThreadsCount()} threads`),
      dispose: () => close(wasmBackend),
    },
  ];
}

async function prepare(
  { tf, use, settle }: Opened,
  { computation, operands, bytes }: Case,
  results: typeof tfjsResults,
  note?: () => string,
) {
  await use();
  const tensors = operands().map(({ shape, data }) => tf.tensor(Float32Array.from(data), [...shape]));
  return prepared<Tensor[]>(
    {
      async compute() {
        await use();
        return tf.tidy(() => results(tf, computation, tensors));
      },
      settle,
      async read(last) {
        await use();
        const values: ArrayLike<number>[] = [];
        for (const result of last) values.push(await result.data());
        return values;
      },
      free(last) {
        for (const result of last) result.dispose();
      },
      ...(note ? { note } : {}),
      dispose() {
        for (const tensor of tensors) tensor.dispose();
      },
    },
    bytes,
  );
}

/** What a module exports, which is its default export where Node or a bundler takes it for CommonJS. */
function exportsOf<T extends object>(module: T & { readonly default?: T }): T {
  return module.default ?? module;
}
