/**
 * ONNX Runtime on WebGPU. It infers and does not train: gradients and batch norm's statistics are not its business. Filters are
 * constants of the model, as they are when a network is deployed. Nodes are wrapped in transposes, as exporters of NHWC
 * frameworks do; its optimiser cancels them against its own.
 */
import type { OnnxTensor } from 'onnxruntime-web/webgpu';
import type { HostTensor } from '../../src/tensor/types.js';
import type { Case, Computation, Contender } from '../harness/types.js';
import { provideNavigatorGpu, watchDevice } from './adapter.js';
import { channelsFirst } from './layouts.js';
import { type OnnxGraph, type OnnxNode, onnxModel } from './onnx_model.js';
import { once, prepared } from './prepared.js';
import { versionOf } from './versions.js';

type Runtime = typeof import('onnxruntime-web/webgpu');
type Outputs = Record<string, OnnxTensor>;

export async function onnxruntimeContender(
  environment: 'node' | 'browser',
  engine: GPUDevice,
  packages: string | null,
): Promise<Contender> {
  provideNavigatorGpu(environment, engine);
  const ort = await import('onnxruntime-web/webgpu');
  ort.env.wasm.numThreads = 1; // the GPU computes
  ort.env.webgpu.powerPreference = 'high-performance';
  ort.env.logLevel = 'error';
  if (packages !== null) ort.env.wasm.wasmPaths = `${packages}onnxruntime-web/dist/`;
  const watched = once(async () => {
    // Its device ends with its last session: this one stays.
    const values = [{ name: 'x', shape: [1] }];
    const identity = [{ type: 'Identity', inputs: ['x'], outputs: ['y'] }];
    const kept = await withBaselineWasm(environment, () =>
      session(ort, { nodes: identity, inputs: values, outputs: [{ name: 'y', shape: [1] }] }),
    );
    const device = await ort.env.webgpu.device;
    return { kept, device, errors: watchDevice('onnxruntime-web', device, engine) };
  });
  return {
    name: 'onnxruntime-web',
    version: versionOf('onnxruntime-web'),
    on: 'webgpu',
    async prepare({ computation, operands, bytes }: Case) {
      const values = operands();
      const graph = graphOf(computation, values);
      return graph ? prepareSession(ort, watched, graph, values, bytes) : null;
    },
    async dispose() {
      const opened = await watched.started()?.catch(() => null);
      await opened?.device.queue.onSubmittedWorkDone();
      await opened?.kept.release();
      opened?.device.destroy();
    },
  };
}

/**
 * Node's compiler would optimise 27 MB of WebAssembly, minutes in which the process neither goes on nor ends. Here it only encodes
 * what the GPU computes, for which unoptimised code does.
 */
async function withBaselineWasm<T>(environment: 'node' | 'browser', load: () => Promise<T>): Promise<T> {
  if (environment === 'browser') return load();
  const { setFlagsFromString } = await import('node:v8');
  const tiers = ['wasm-tier-up', 'wasm-dynamic-tiering'];
  for (const tier of tiers) setFlagsFromString(`--no-${tier}`);
  try {
    return await load();
  } finally {
    for (const tier of tiers) setFlagsFromString(`--${tier}`);
  }
}

function session(ort: Runtime, graph: OnnxGraph) {
  return ort.InferenceSession.create(onnxModel(graph), {
    executionProviders: ['webgpu'],
    preferredOutputLocation: 'gpu-buffer',
    // What it can't do on the GPU it would do on the CPU, and be measured there.
    extra: { session: { disable_cpu_ep_fallback: '1' } },
  });
}

async function prepareSession(
  ort: Runtime,
  watched: () => Promise<{ device: GPUDevice; errors: { check(): void } }>,
  graph: OnnxGraph,
  operands: readonly HostTensor[],
  bytes: number,
) {
  const { device, errors } = await watched();
  const opened = await session(ort, graph);
  const buffers: GPUBuffer[] = [];
  const feeds: Record<string, OnnxTensor> = {};
  for (const [i, { name, shape }] of graph.inputs.entries()) {
    const { data } = operands[i]!;
    const buffer = device.createBuffer({
      size: Math.ceil(data.byteLength / 16) * 16, // as it sizes its own
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(buffer, 0, data);
    buffers.push(buffer);
    feeds[name] = ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: shape });
  }
  return prepared<Outputs>(
    {
      compute: () => opened.run(feeds),
      async settle() {
        await device.queue.onSubmittedWorkDone();
        errors.check();
      },
      async read(outputs) {
        const values: ArrayLike<number>[] = [];
        for (const name of opened.outputNames)
          values.push(Array.from(await outputs[name]!.getData(), (value) => Number(value)));
        return values;
      },
      free(outputs) {
        for (const output of Object.values(outputs)) output.dispose();
      },
      dispose() {
        for (const buffer of buffers) buffer.destroy();
        void opened.release();
      },
    },
    bytes,
  );
}

/** The computation as a model whose inputs are its first operands; null where there is no such inference. */
function graphOf(computation: Computation, operands: readonly HostTensor[]): OnnxGraph | null {
  const shapes = operands.map(({ shape }) => shape);
  const plain = (
    node: Omit<OnnxNode, 'inputs' | 'outputs'>,
    output: readonly number[],
    integers = false,
  ): OnnxGraph => {
    const inputs = shapes.map((shape, i) => ({ name: `input${i}`, shape }));
    return {
      nodes: [{ ...node, inputs: inputs.map(({ name }) => name), outputs: ['output'] }],
      inputs,
      outputs: [{ name: 'output', shape: output, integers }],
    };
  };
  switch (computation.kind) {
    case 'matmul':
      return plain({ type: 'MatMul' }, [computation.m, computation.n]);
    case 'softmax':
      return plain({ type: 'Softmax', attributes: { axis: -1 } }, shapes[0]!);
    case 'argmax':
      return plain({ type: 'ArgMax', attributes: { axis: -1, keepdims: 0 } }, [computation.rows], true);
    case 'conv2d': {
      const { kernel, stride, dilation, padding, outputs } = computation;
      const filter = channelsFirst(operands[1]!, 'filter');
      return onImages(
        computation,
        { type: 'Conv', attributes: { ...window(kernel, stride, padding), dilations: [dilation, dilation] } },
        { channels: outputs, constants: [{ name: 'filter', ...filter }] },
        (size) => Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1,
      );
    }
    case 'max-pool': {
      const { size, stride, padding, channels } = computation;
      return onImages(
        computation,
        { type: 'MaxPool', attributes: window(size, stride, padding) },
        { channels },
        (extent) => Math.floor((extent + 2 * padding - size) / stride) + 1,
      );
    }
    case 'resize-bilinear': {
      const { factor, channels } = computation;
      return onImages(
        computation,
        { type: 'Resize', attributes: { mode: 'linear', coordinate_transformation_mode: 'half_pixel' } },
        // Second comes the region of interest, which is left out.
        { channels, skipped: 1, constants: [{ name: 'scales', shape: [4], data: [1, 1, factor, factor] }] },
        (extent) => extent * factor,
      );
    }
    case 'conv2d-input-grad':
    case 'conv2d-filter-grad':
    case 'batch-norm-train':
    case 'bottlenecks':
      return null;
  }
}

const window = (size: number, stride: number, padding: number) => ({
  kernel_shape: [size, size],
  strides: [stride, stride],
  pads: [padding, padding, padding, padding],
});

/** An operator of NCHW images, fed and read as NHWC. */
function onImages(
  {
    batch,
    height,
    width,
    ...rest
  }: { batch: number; height: number; width: number; inputs?: number; channels?: number },
  node: Pick<OnnxNode, 'type' | 'attributes'>,
  { channels, constants = [], skipped = 0 }: { channels: number; constants?: OnnxGraph['constants']; skipped?: number },
  extent: (size: number) => number,
): OnnxGraph {
  const operands = [...new Array<string>(skipped).fill(''), ...(constants ?? []).map(({ name }) => name)];
  return {
    nodes: [
      { type: 'Transpose', inputs: ['images'], outputs: ['before'], attributes: { perm: [0, 3, 1, 2] } },
      { ...node, inputs: ['before', ...operands], outputs: ['after'] },
      { type: 'Transpose', inputs: ['after'], outputs: ['output'], attributes: { perm: [0, 2, 3, 1] } },
    ],
    inputs: [{ name: 'images', shape: [batch, height, width, rest.inputs ?? rest.channels ?? channels] }],
    outputs: [{ name: 'output', shape: [batch, extent(height), extent(width), channels] }],
    constants: constants ?? [],
  };
}
