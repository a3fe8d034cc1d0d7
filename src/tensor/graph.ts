/**
 * The trace. A step function is called once with symbolic tensors; every op it uses appends a node here and runs
 * nothing. Because nodes are appended after their inputs, the node array is a tape: its reverse is a valid order
 * for differentiation.
 */
import type { Op } from './op.js';
import { castOp } from './ops/cast.js';
import {
  canBeHalf,
  checkHostTensor,
  type DType,
  type HostTensor,
  hostTensor,
  type Shape,
  sameShape,
  showShape,
  type TensorType,
} from './types.js';

/** Where a node without an op gets its value from. */
export type Source =
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'resident'; readonly resident: ResidentLike }
  | { readonly kind: 'constant'; readonly value: HostTensor };

export interface Node {
  readonly id: number;
  /** Null for sources. */
  readonly op: Op | null;
  readonly source: Source | null;
  readonly inputs: readonly Tensor[];
  readonly params: unknown;
  readonly outputs: readonly Tensor[];
  /** Module path at the time of tracing, such as `block1/unit_2/conv1`. */
  readonly scope: string;
  /** The line of user code that created the node. */
  readonly where: string;
}

/** A value that lives on the GPU between steps (see `Resident`); the trace only needs its type and name. */
export interface ResidentLike extends TensorType {
  readonly isResident: true;
  readonly name: string;
}

/** A symbolic value: output `index` of `node`. It owns no memory and has no contents while tracing. */
export class Tensor implements TensorType {
  readonly node: Node;
  readonly index: number;
  readonly shape: Shape;
  readonly dtype: DType;

  constructor(node: Node, index: number, type: TensorType) {
    this.node = node;
    this.index = index;
    this.shape = type.shape;
    this.dtype = type.dtype;
  }

  [Symbol.toPrimitive](): never {
    throw new Error(
      `${describe(this)} is being traced and has no value yet: return it from the compiled function, or use runtime.evaluate`,
    );
  }
}

export type TensorLike = Tensor | ResidentLike;

export interface Assignment {
  readonly resident: ResidentLike;
  readonly value: Tensor;
}

/** Nodes by their ids: from `first` up to but without `end`. */
export interface Span {
  readonly first: number;
  readonly end: number;
}

export class Graph {
  readonly nodes: Node[] = [];
  readonly assignments: Assignment[] = [];
  /** What was marked as blocks, whose values the backward pass may compute again (see `autograd/recompute.ts`). */
  readonly blocks: Span[] = [];
  /** What `grad` appended. */
  readonly backward: Span[] = [];
  /** Values that fusion leaves in memory of their own, although one kernel alone may read them. */
  readonly pinned = new Set<Tensor>();
  readonly #residents = new Map<ResidentLike, Tensor>();
  readonly #scope: string[] = [];

  argument(index: number, type: TensorType): Tensor {
    return this.#append(null, { kind: 'argument', index }, [], undefined, [type])[0]!;
  }

  constant(value: HostTensor): Tensor {
    checkHostTensor('constant', value);
    return this.#append(null, { kind: 'constant', value }, [], undefined, [value])[0]!;
  }

  resident(resident: ResidentLike): Tensor {
    let tensor = this.#residents.get(resident);
    if (!tensor) {
      tensor = this.#append(null, { kind: 'resident', resident }, [], undefined, [resident])[0]!;
      this.#residents.set(resident, tensor);
    }
    return tensor;
  }

  /** Appends an op; f16 inputs of an op that does not take them as they are (`Op.halves`) are cast to f32. */
  apply<P>(op: Op<P>, inputs: readonly TensorLike[], params: P): Tensor[] {
    let tensors = inputs.map((input) => this.use(input));
    if (tensors.some(isHalf)) {
      const taken =
        op.halves?.(tensors, params) &&
        op.infer(tensors, params).every((type) => !isHalf(type) || canBeHalf(type.shape));
      if (!taken) tensors = tensors.map((tensor) => (isHalf(tensor) ? this.#widened(tensor) : tensor));
    }
    return this.#append(op, null, tensors, params, op.infer(tensors, params));
  }

  #widened(half: Tensor): Tensor {
    return this.#append(castOp, null, [half], { dtype: 'f32' }, [{ shape: half.shape, dtype: 'f32' }])[0]!;
  }

  /** The tensor itself, or the source node of a resident; an error if it belongs to another trace. */
  use(value: TensorLike): Tensor {
    if (!(value instanceof Tensor)) return this.resident(value);
    if (this.nodes[value.node.id] !== value.node)
      throw new Error(`${describe(value)} belongs to another trace; keep values between steps in residents`);
    return value;
  }

  assign(resident: ResidentLike, value: Tensor): void {
    if (!sameShape(resident.shape, value.shape) || resident.dtype !== value.dtype)
      throw new Error(
        `assign: ${resident.name} is ${resident.dtype}${showShape(resident.shape)}, the value is ${value.dtype}${showShape(value.shape)}`,
      );
    if (this.assignments.some((assignment) => assignment.resident === resident))
      throw new Error(`assign: ${resident.name} is assigned twice in one step`);
    this.assignments.push({ resident, value: this.use(value) });
  }

  inScope<R>(name: string, body: () => R): R {
    this.#scope.push(name);
    try {
      return body();
    } finally {
      this.#scope.pop();
    }
  }

  /** Adds the nodes that `body` appends to `spans`. */
  within<R>(spans: Span[], body: () => R): R {
    const first = this.nodes.length;
    const result = body();
    spans.push({ first, end: this.nodes.length });
    return result;
  }

  #append(
    op: Op | null,
    source: Source | null,
    inputs: readonly Tensor[],
    params: unknown,
    types: readonly TensorType[],
  ): Tensor[] {
    const outputs: Tensor[] = [];
    const node: Node = {
      id: this.nodes.length,
      op,
      source,
      inputs,
      params,
      outputs,
      scope: this.#scope.join('/'),
      where: op ? callSite() : '',
    };
    for (const [index, type] of types.entries()) {
      const tensor = new Tensor(node, index, type);
      if (!type.shape.every((extent) => Number.isInteger(extent) && extent > 0))
        throw new Error(`${describe(tensor)}: every extent must be a positive integer`);
      if (isHalf(type) && !canBeHalf(type.shape))
        throw new Error(`${describe(tensor)}: only what has a last extent that divides by 4 can be f16`);
      outputs.push(tensor);
    }
    this.nodes.push(node);
    return outputs;
  }
}

const isHalf = ({ dtype }: TensorType) => dtype === 'f16';

let tracing: Graph | null = null;

/** Runs `body` with every op appending to `graph`. Traces don't nest. */
export function traceInto<R>(graph: Graph, body: () => R): R {
  if (tracing) throw new Error('a step function cannot compile or evaluate another while it is being traced');
  tracing = graph;
  try {
    return body();
  } finally {
    tracing = null;
  }
}

/** The graph being traced; an error outside of a trace. */
export function currentGraph(): Graph {
  if (!tracing) throw new Error('ops can only be used in a function given to runtime.compile or runtime.evaluate');
  return tracing;
}

/** Appends an op to the current trace. Op functions are thin wrappers of this. */
export function apply<P>(op: Op<P>, inputs: readonly TensorLike[], params: P): Tensor[] {
  return currentGraph().apply(op, inputs, params);
}

/** Like `apply`, for ops with one output. */
export function apply1<P>(op: Op<P>, inputs: readonly TensorLike[], params: P): Tensor {
  return currentGraph().apply(op, inputs, params)[0]!;
}

/** A small array known while tracing; uploaded once, when the plan is built. */
export function constant(shape: Shape, values: ArrayLike<number>, dtype: DType = 'f32'): Tensor {
  return currentGraph().constant(hostTensor(shape, values, dtype));
}

/** A scalar constant. */
export function scalar(value: number, dtype: DType = 'f32'): Tensor {
  return constant([], [value], dtype);
}

/**
 * Gives a resident a new value at the end of the step: whatever reads the resident in this step, before or after
 * this call, sees the old value.
 */
export function assign(resident: ResidentLike, value: Tensor): void {
  currentGraph().assign(resident, value);
}

/** Names the nodes appended by `body`, for plan dumps, profiles and errors. */
export function scope<R>(name: string, body: () => R): R {
  return currentGraph().inScope(name, body);
}

/** `block1/unit_2/conv1: conv2d f32[2,84,84,32] (net.ts:31:12)`, for messages. */
export function describe(tensor: Tensor): string {
  const { node } = tensor;
  const { op, source } = node;
  const what = op?.name ?? (source?.kind === 'resident' ? source.resident.name : source?.kind);
  const scoped = node.scope ? `${node.scope}: ` : '';
  return `${scoped}${what} ${tensor.dtype}${showShape(tensor.shape)}${node.where ? ` (${node.where})` : ''}`;
}

const ENGINE_FRAME = /[\\/](tensor|autograd)[\\/]/;

/** First stack frame outside of the engine: `file.ts:line:column`. */
function callSite(): string {
  const stack = new Error().stack?.split('\n') ?? [];
  for (const frame of stack.slice(2)) {
    if (ENGINE_FRAME.test(frame)) continue;
    const match = /([^\\/\s(]+:\d+:\d+)\)?$/.exec(frame);
    if (match) return match[1]!;
  }
  return '';
}
