/**
 * What an op is: shape inference, a gradient written with other ops, a float64 reference, samples for the
 * generic tests, and either a scalar WGSL expression (the planner fuses it) or kernels.
 */
import type { MatrixUnits } from '../platform/matrix_units.js';
import type { Tensor } from './graph.js';
import type { Tuning, TuningTable } from './tuning.js';
import type { NdArray, TensorType } from './types.js';

export interface Op<P = any> {
  readonly name: string;
  /** Types of the outputs, or an error (see `OpError`) that names the op and what is wrong with the shapes. */
  infer(inputs: readonly TensorType[], params: P): TensorType[];
  /** Gradients of the inputs, written with other ops; null for an input that has none. Absent: not differentiable. */
  grad?(context: GradContext<P>): (Tensor | null)[];
  /** The op in plain float64: the readable specification, and what every kernel is tested against. */
  reference(inputs: readonly NdArray[], params: P): NdArray[];
  /** Inputs that feed every generic test: small, and covering odd sizes, edges and each kernel variant's `when`. */
  samples(): Sample<P>[];
  /**
   * For elementwise ops: one WGSL expression over the inputs `a` to `e` (inputs 0 to 4), valid both for
   * scalars and for 4-vectors. `F`, `I`, `U` and `B` name the float, signed, unsigned and bool types of the width
   * in use, so constants are written `F(0.0)` and comparisons `select(F(0.0), a, b > F(0.0))`.
   */
  scalar?(params: P): string;
  /** Variants, best first. The first whose `needs` the device has, whose `when` holds and that `pays` is taken. */
  kernels?: readonly Kernel<P>[];
  /**
   * For ops whose output 0 is input 0's bytes under another shape, or some of them. They cost nothing. Gives the
   * element of the input that is the output's first.
   */
  alias?(params: P): number;
  /**
   * For ops whose output 0 holds inputs as they are: where in it the first of them lie. What computes them may then write them
   * there at once (see `parts.ts`), and the commands that name such an input are left out: they do nothing but copy it.
   */
  parts?(inputs: readonly TensorType[], params: P): readonly Part[];
  /**
   * For ops whose output 0 is some of input 0 as it is: where in it that lies, or null where it does so neither in one piece nor row
   * by row. What reads it may then read it there, and the op computes nothing.
   */
  partOf?(inputs: readonly TensorType[], params: P): Part | null;
  /**
   * Whether it takes these inputs, some of which are f16. Where not, or where an output could not be stored as f16
   * (`canBeHalf`), the trace casts the inputs to f32 beforehand. Default: no.
   */
  halves?(inputs: readonly TensorType[], params: P): boolean;
  /** Floating-point operations, multiply and add counted separately. Default: one an output element. */
  flops?(inputs: readonly TensorType[], outputs: readonly TensorType[], params: P): number;
}

export interface GradContext<P> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Gradients of the outputs; null where nothing depends on that output. At least one is not null. */
  readonly grads: readonly (Tensor | null)[];
  readonly params: P;
}

export interface Sample<P> {
  readonly name?: string;
  readonly inputs: readonly NdArray[];
  readonly params: P;
  /** False where the op is not differentiable at this sample (ties, kinks). Default: checked if the op has `grad`. */
  readonly checkGrad?: boolean;
  /** Largest error allowed relative to the largest element of the output. Default 1e-5; integers must be exact. */
  readonly tolerance?: number;
}

/** What a kernel variant may base its choices on. */
export interface AdapterFacts {
  /** True for a software adapter (SwiftShader): no workgroup memory, no barriers, large register tiles. */
  readonly cpu: boolean;
  readonly features: ReadonlySet<string>;
  /** As far as they are told, from which the number of a GPU's cores is guessed. */
  readonly vendor?: string;
  readonly architecture?: string;
  readonly device?: string;
  /** The matrix product (tensor cores) that kernels may use. */
  readonly matrixUnits?: MatrixUnits;
  /** Whether operands of products may be rounded to f16 on their way into matrix units; sums are f32. Default: no. */
  readonly roundsProducts?: boolean;
  /** Choices found by measuring; those of the cost model hold for what is not in it. */
  readonly tuning?: TuningTable;
  readonly limits: {
    readonly maxComputeInvocationsPerWorkgroup: number;
    readonly maxComputeWorkgroupStorageSize: number;
    readonly maxComputeWorkgroupsPerDimension: number;
    readonly maxStorageBufferBindingSize: number;
    readonly maxStorageBuffersPerShaderStage: number;
  };
}

/** Where a value lies within another. */
export interface Part {
  /** Its first element's position. */
  readonly start: number;
  /** Elements from one of its rows to the next, unless it lies in one piece (see `Operand`). */
  readonly pitch?: number;
}

/** A value in memory. */
export interface Operand extends TensorType {
  /** Elements from one row, along the last axis, to the next, where others lie between: it is some columns of a wider value. */
  readonly pitch?: number;
}

/** Elements from one row to the next. */
export const pitchOf = ({ shape, pitch }: Operand): number => pitch ?? shape.at(-1)!;

export interface KernelContext<P> {
  readonly inputs: readonly Operand[];
  readonly outputs: readonly Operand[];
  readonly params: P;
  readonly adapter: AdapterFacts;
}

/** One way to compute an op: a short list of dispatches and copies, run in order. */
export interface Kernel<P = any> {
  readonly name: string;
  /** Device features it cannot do without, such as `subgroups`. */
  readonly needs?: readonly string[];
  when?(context: KernelContext<P>): boolean;
  /** Whether it should be taken where it can be; asked for by name, it is in any case. Default: yes. */
  pays?(context: KernelContext<P>): boolean;
  /** Bytes of each scratch buffer, for variants of several passes. */
  scratch?(context: KernelContext<P>): number[];
  commands(context: KernelContext<P>): Command[];
  /** The operands whose `pitch` its commands heed; they can be multiples of 4. To others none is given. */
  readonly pitched?: readonly BufferRef[];
  /** What it can compute on the way of other ops that read output 0 alone, by their names. */
  readonly epilogues?: Readonly<Record<string, Epilogue<P>>>;
  /** Choices that can be found by measuring (see `AdapterFacts.tuning`). */
  tuning?(context: KernelContext<P>): readonly Tuning[];
}

/** Commands, and the bytes of each scratch buffer that they use. */
export interface Passes {
  readonly commands: readonly Command[];
  readonly scratch: readonly number[];
}

/** An op whose one input is another's result, and is computed while that lies in registers. */
export interface Epilogue<P = any> {
  /** All that writes the kernel's own outputs and, numbered on from these, the other op's; null where it cannot. */
  passes(context: KernelContext<P>): Passes | null;
}

export type Command = Dispatch | Copy;

/**
 * The text of a `.wgsl` file (imported as a string); or what loads it, for kernels that few adapters run, so that pages on
 * other adapters do not load them.
 */
export type ShaderSource = string | (() => Promise<string>);

export interface Dispatch {
  /** Entry point: `main`. */
  readonly source: ShaderSource;
  /** Replacements for what is tagged `// @param` in the source (see `wgsl.ts`). All of them must be known to it. */
  readonly constants?: Readonly<Record<string, number | boolean | string>>;
  /** Values for the members of the source's `struct Uniforms` (f32, i32, u32 only), by name; all must be given. */
  readonly uniforms?: Readonly<Record<string, number>>;
  /** Buffers for `@binding(1)`, `@binding(2)`, ... in this order. Binding 0 is `var<uniform> u: Uniforms`. */
  readonly buffers: readonly BufferRef[];
  /** Number of workgroups in x, y, z. */
  readonly workgroups: readonly [number, number?, number?];
}

/** copyBufferToBuffer: offsets and length in bytes, multiples of 4. */
export interface Copy {
  readonly from: BufferRef;
  readonly fromOffset: number;
  readonly to: BufferRef;
  readonly toOffset: number;
  readonly bytes: number;
}

export interface BufferRef {
  readonly kind: 'input' | 'output' | 'scratch';
  readonly index: number;
}

export const input = (index: number): BufferRef => ({ kind: 'input', index });
export const output = (index: number): BufferRef => ({ kind: 'output', index });
export const scratch = (index: number): BufferRef => ({ kind: 'scratch', index });

/** An error of shape inference: `conv2d: filter [3,3,64,128] expects 64 channels, input [2,84,84,32] has 32`. */
export class OpError extends Error {
  override readonly name = 'OpError';
  constructor(op: string, message: string) {
    super(`${op}: ${message}`);
  }
}

/** The op itself, if it has a reference and samples: browsers are given ops without them, unless they ask. */
export function specified(op: Op): Op {
  if (!op.reference || !op.samples)
    throw new Error(
      `${op.name} comes without its reference and samples in the production build: bundle with the condition "development"`,
    );
  return op;
}

/**
 * Workgroups for `count` invocations of a kernel that computes its linear index as
 * `(workgroup_id.y * num_workgroups.x + workgroup_id.x) * workgroupSize + local_invocation_index`
 * and returns where that is out of range. Splits over y past the limit of 65,535 in x.
 */
export function linearGrid(count: number, workgroupSize: number): [number, number] {
  const groups = Math.max(1, Math.ceil(count / workgroupSize));
  if (groups <= 65535) return [groups, 1];
  const y = Math.ceil(groups / 65535);
  return [Math.ceil(groups / y), y];
}
