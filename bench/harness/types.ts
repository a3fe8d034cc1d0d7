/** What the benchmarks are made of: cases, whatever computes them, and contenders, which compute them. */
import type { Runtime } from '../../src/tensor/runtime.js';
import type { HostTensor } from '../../src/tensor/types.js';

/** Extents of a convolution: images NHWC, filters HWIO, the same zero padding on all four sides. */
export interface ConvShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Extent of the filter, both ways. */
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padding: number;
}

/** What is computed. The operands' shapes and order, and the results', are told with each kind. */
export type Computation =
  /** a [m,k], b [k,n] -> [m,n] */
  | { readonly kind: 'matmul'; readonly m: number; readonly n: number; readonly k: number }
  /** images [b,h,w,inputs], filter [kernel,kernel,inputs,outputs] -> images */
  | ({ readonly kind: 'conv2d' } & ConvShape)
  /** gradient of the outputs [b,h',w',outputs], filter -> gradient of the inputs [b,h,w,inputs] */
  | ({ readonly kind: 'conv2d-input-grad' } & ConvShape)
  /** images, gradient of the outputs -> gradient of the filter */
  | ({ readonly kind: 'conv2d-filter-grad' } & ConvShape)
  /** x [rows,channels], gradient of the output [rows,channels], gamma [channels], beta [channels]; epsilon 1e-3, statistics of
   * the batch -> output, gradients of x, gamma and beta */
  | { readonly kind: 'batch-norm-train'; readonly rows: number; readonly channels: number }
  /** x [rows,columns] -> [rows,columns] */
  | { readonly kind: 'softmax'; readonly rows: number; readonly columns: number }
  /** x [rows,columns] -> [rows], integers */
  | { readonly kind: 'argmax'; readonly rows: number; readonly columns: number }
  /** x [b,h,w,c], size by size, stride and padding explicit -> the maxima */
  | {
      readonly kind: 'max-pool';
      readonly batch: number;
      readonly height: number;
      readonly width: number;
      readonly channels: number;
      readonly size: number;
      readonly stride: number;
      readonly padding: number;
    }
  /** x [b,h,w,c] -> [b,h*factor,w*factor,c], bilinear, pixel centres aligned (PyTorch's `align_corners=False`) */
  | {
      readonly kind: 'resize-bilinear';
      readonly batch: number;
      readonly height: number;
      readonly width: number;
      readonly channels: number;
      readonly factor: number;
    }
  /**
   * `blocks` residual bottlenecks in a row on x [1,size,size,channels]: 1x1 to channels/4, 3x3 with `dilation`, 1x1 back, each without
   * bias and followed by batch norm (statistics of the batch, epsilon 1e-3, gamma 1 and beta 0, not trained) and, but for the third, ReLU; then the sum with the
   * block's input and ReLU. Operands: x, then the three filters of each block. The loss is the mean of the squared
   * output. -> the loss [], gradients of x and of every filter, in the operands' order
   */
  | {
      readonly kind: 'bottlenecks';
      readonly blocks: number;
      readonly size: number;
      readonly channels: number;
      readonly dilation: number;
    };

export interface Case {
  /** Unique, and short enough for a table: `conv 3x3 d2 256->256, 42x42`. */
  readonly name: string;
  readonly computation: Computation;
  /** Multiplications and additions, counted separately, of the plain algorithm. */
  readonly flops: number;
  /** Bytes if every operand is read once and every result written once. */
  readonly bytes: number;
  /** Operands, the same at every call: seeded, and scaled so that results are of order 1. */
  operands(): HostTensor[];
  /**
   * The worst error of results relative to each one's largest element, against float64: of every element where that is
   * cheap, else of some columns and of random combinations of all columns, so that no element goes unseen.
   */
  errorOf(results: readonly ArrayLike<number>[]): number;
  /** Largest error that counts as right, 1e-4 for most. */
  readonly tolerance: number;
  /** What is expected of the engine: to be `times` as fast as this contender. */
  readonly ask?: { readonly contender: string; readonly times: number };
}

/** What only the engine computes: kernels that no peer has, and whole networks. */
export interface Workload {
  readonly name: string;
  prepare(runtime: Runtime): Promise<PreparedWorkload>;
  /** As a case's. Absent where nothing but a whole test suite could tell. */
  errorOf?(results: readonly ArrayLike<number>[]): number;
  readonly tolerance: number;
}

export interface PreparedWorkload extends Prepared {
  /** Of the plan's steps, as their ops count them. */
  readonly flops: number;
  /** Of the plan's steps, if every operand of each moves once. */
  readonly bytes: number;
}

export type Benchmark = Case | Workload;

/** Someone who computes cases: the engine, another library, PyTorch. */
export interface Contender {
  /** `segsort-webgpu`, `jax-js`, `tfjs-webgpu`. */
  readonly name: string;
  readonly version: string;
  /** What computes: `webgpu` (this page's or process's adapter), `wasm`, `cpu`, `cuda`. */
  readonly on: string;
  /** The largest error to expect of it, where it computes with fewer digits than float32; a case's own holds if that is larger. */
  readonly tolerance?: number;
  /**
   * Uploads the operands and compiles. Null where it has no such operation; an error where it refuses this shape, whose message
   * goes into the table.
   */
  prepare(theCase: Case): Promise<Prepared | null>;
  dispose?(): Promise<void> | void;
}

export interface Prepared {
  /**
   * Computes once and resolves when the results exist on the device: operands stay there, nothing is read back. May resolve with
   * the milliseconds it took, where whoever computes is another process and knows better than the caller's clock.
   */
  run(): Promise<void> | Promise<number>;
  /** The same `count` times, waiting only once, so that the time of short runs is not all waiting. Absent: `run` is repeated. */
  runMany?(count: number): Promise<void> | Promise<number>;
  /** Results of the last run, in the order of the case. */
  read(): Promise<ArrayLike<number>[]>;
  /** How it computes, where it can say: kernel variants, memory format. Asked for after the first run. */
  note?(): Promise<string> | string;
  dispose(): void;
}
