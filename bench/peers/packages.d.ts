/**
 * As much of the peers' types as is used here, so that the project type-checks where `bench/node_modules` is not installed, and
 * without the second copies of WebGPU's types that some of them bring.
 */

declare module '@jax-js/jax' {
  /** A reference-counted array. Operations take over the reference they are given; `ref` makes another one. */
  export interface Array {
    readonly shape: number[];
    readonly ref: Array;
    add(other: Array | number): Array;
    sub(other: Array | number): Array;
    mul(other: Array | number): Array;
    reshape(shape: number[]): Array;
    data(): Promise<ArrayLike<number>>;
    dispose(): void;
  }
  type Owned<F> = F & { dispose(): void };
  interface Reduction {
    readonly keepdims?: boolean;
  }
  export function init(...devices: string[]): Promise<string[]>;
  export function defaultDevice(device: string): string;
  export function getWebGPUDevice(): GPUDevice;
  export function blockUntilReady(arrays: Array[]): Promise<Array[]>;
  export function jit(f: (...operands: Array[]) => Array[]): Owned<(...operands: Array[]) => Array[]>;
  export function vjp(
    f: (...operands: Array[]) => Array,
    operands: Array[],
  ): [Array, Owned<(gradient: Array) => Array[]>];
  export function valueAndGrad(
    f: (...operands: Array[]) => Array,
    options: { readonly argnums: number[] },
  ): (...operands: Array[]) => [Array, Array[]];
  export const numpy: {
    array(values: Float32Array, options: { readonly shape: number[] }): Array;
    matmul(a: Array, b: Array): Array;
    matrixTranspose(x: Array): Array;
    mean(x: Array, axis?: number | number[] | null, options?: Reduction): Array;
    max(x: Array): Array;
    square(x: Array): Array;
    sqrt(x: Array): Array;
    reciprocal(x: Array): Array;
    argmax(x: Array, axis: number): Array;
    pad(x: Array, widths: [number, number][]): Array;
    ones(shape: number[]): Array;
    greater(a: Array, b: number): Array;
    where(condition: Array, a: Array, b: Array | number): Array;
  };
  export const nn: { relu(x: Array): Array; softmax(x: Array, axis: number): Array };
  export const lax: {
    convGeneralDilated(
      images: Array,
      filter: Array,
      strides: number[],
      padding: [number, number][],
      options: { readonly rhsDilation: number[] },
    ): Array;
    reduceWindow(x: Array, computation: (window: Array) => Array, window: number[], strides: number[]): Array;
  };
}

declare module '@tensorflow/tfjs-core' {
  export interface Tensor {
    readonly shape: number[];
    data(): Promise<ArrayLike<number>>;
    dispose(): void;
  }
  export function setBackend(name: string): Promise<boolean>;
  export function getBackend(): string;
  export function backend(): unknown;
  export function removeBackend(name: string): void;
  export function engine(): { runKernel(name: string, inputs: object, attributes: object): Tensor };
  export function tidy<T>(f: () => T): T;
  export function keep<T extends Tensor>(tensor: T): T;
  export function tensor(values: Float32Array, shape: number[]): Tensor;
  export function ones(shape: number[]): Tensor;
  export function zeros(shape: number[]): Tensor;
  export function matMul(a: Tensor, b: Tensor): Tensor;
  export function conv2d(
    images: Tensor,
    filter: Tensor,
    strides: number,
    padding: number | 'same',
    format: 'NHWC',
    dilations: number,
  ): Tensor;
  export function moments(x: Tensor, axes: number[]): { mean: Tensor; variance: Tensor };
  export function batchNorm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    offset?: Tensor,
    scale?: Tensor,
    epsilon?: number,
  ): Tensor;
  export function softmax(x: Tensor, axis: number): Tensor;
  export function argMax(x: Tensor, axis: number): Tensor;
  export function maxPool(x: Tensor, size: number, strides: number, padding: number): Tensor;
  export function relu(x: Tensor): Tensor;
  export function add(a: Tensor, b: Tensor): Tensor;
  export function mean(x: Tensor): Tensor;
  export function square(x: Tensor): Tensor;
  export const image: {
    resizeBilinear(x: Tensor, size: [number, number], alignCorners: boolean, halfPixelCenters: boolean): Tensor;
  };
  export function grads(f: (...operands: Tensor[]) => Tensor): (operands: Tensor[], gradient: Tensor) => Tensor[];
  export function valueAndGrads(
    f: (...operands: Tensor[]) => Tensor,
  ): (operands: Tensor[], gradient?: Tensor) => { value: Tensor; grads: Tensor[] };
}

declare module '@tensorflow/tfjs-core/dist/register_all_gradients.js' {}

declare module '@tensorflow/tfjs-backend-webgpu' {
  export interface WebGPUBackend {
    readonly device: GPUDevice;
    ensureCommandEncoderReady(): void;
    endComputePassEncoder(): void;
    submitQueue(): void;
  }
}

declare module '@tensorflow/tfjs-backend-wasm' {
  export function setWasmPaths(folder: string): void;
  export function getThreadsCount(): number;
}

declare module 'onnxruntime-web/webgpu' {
  export interface OnnxTensor {
    readonly dims: readonly number[];
    getData(): Promise<ArrayLike<number | bigint>>;
    dispose(): void;
  }
  export interface Session {
    readonly outputNames: readonly string[];
    run(feeds: Record<string, OnnxTensor>): Promise<Record<string, OnnxTensor>>;
    release(): Promise<void>;
  }
  export const env: {
    readonly wasm: { wasmPaths?: string; numThreads?: number };
    readonly webgpu: { powerPreference?: 'high-performance'; readonly device: Promise<GPUDevice> };
    logLevel: 'error';
  };
  export const InferenceSession: {
    create(
      model: Uint8Array,
      options: {
        readonly executionProviders: readonly string[];
        readonly preferredOutputLocation: 'gpu-buffer';
        readonly extra: object;
      },
    ): Promise<Session>;
  };
  export const Tensor: {
    fromGpuBuffer(
      buffer: GPUBuffer,
      options: { readonly dataType: 'float32'; readonly dims: readonly number[] },
    ): OnnxTensor;
  };
}
