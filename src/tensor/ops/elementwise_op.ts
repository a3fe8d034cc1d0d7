/** How an elementwise op is made of one WGSL expression and its scalar counterpart. */
import { broadcastShape, forEachBroadcast } from '../broadcast.js';
import type { Tensor } from '../graph.js';
import { type GradContext, type Op, OpError, type Sample } from '../op.js';
import {
  type DType,
  isFloat,
  type NdArray,
  ndarray,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  type TensorType,
} from '../types.js';
import { sumTo } from './reduce.js';

interface Elementwise<P> {
  readonly name: string;
  /**
   * Dtypes of the inputs; `any` stands for one dtype shared by all inputs so marked. Where it is f32, f16 will do as
   * well.
   */
  readonly accepts: readonly (DType | 'any')[];
  /** Dtype of the result; `any` as above. A float result is stored as `floatOf` says. */
  readonly gives: DType | 'any';
  readonly wgsl: (params: P) => string;
  readonly compute: (values: readonly number[], params: P) => number;
  /** Gradients over the broadcast shape; they are summed down to each input's shape. */
  readonly grad?: (grad: Tensor, context: GradContext<P>) => (Tensor | null)[];
  readonly samples: () => Sample<P>[];
}

/**
 * The dtype in which an elementwise op stores floats of a shape: f16 if all its float inputs of that very shape are, else
 * f32. So a vector of f32 that is broadcast over f16 images leaves them f16.
 */
export function floatOf(shape: Shape, inputs: readonly TensorType[]): DType {
  const whole = inputs.filter((input) => isFloat(input.dtype) && sameShape(input.shape, shape));
  return whole.length > 0 && whole.every(({ dtype }) => dtype === 'f16') ? 'f16' : 'f32';
}

const kindOf = (dtype: DType): DType => (dtype === 'f16' ? 'f32' : dtype);

/** An op with NumPy broadcasting that the planner fuses; it has no kernel of its own. */
export function elementwise<P>(definition: Elementwise<P>): Op<P> {
  const { name, accepts, gives } = definition;
  return {
    name,
    infer(inputs) {
      const [first] = inputs.filter((_, i) => accepts[i] === 'any').map(({ dtype }) => kindOf(dtype));
      const expected = accepts.map((dtype) => (dtype === 'any' ? first : dtype));
      if (inputs.some((input, i) => kindOf(input.dtype) !== expected[i]))
        throw new OpError(name, `expects ${expected.join(', ')}, got ${inputs.map((input) => input.dtype).join(', ')}`);
      const shape = broadcastShape(inputs.map((input) => input.shape));
      if (!shape)
        throw new OpError(
          name,
          `shapes ${inputs.map((input) => showShape(input.shape)).join(' and ')} do not broadcast`,
        );
      const dtype = gives === 'any' ? first! : gives;
      return [{ shape, dtype: dtype === 'f32' ? floatOf(shape, inputs) : dtype }];
    },
    grad: definition.grad
      ? (context) =>
          definition.grad!(context.grads[0]!, context).map((grad, i) => grad && sumTo(grad, context.inputs[i]!.shape))
      : undefined,
    reference(inputs, params) {
      const [type] = this.infer(inputs, params);
      const data = new Float64Array(sizeOf(type!.shape));
      const values = new Array<number>(inputs.length);
      forEachBroadcast(
        type!.shape,
        inputs.map((input) => input.shape),
        (position, offsets) => {
          for (let i = 0; i < inputs.length; i++) values[i] = inputs[i]!.data[offsets[i]!]!;
          data[position] = definition.compute(values, params);
        },
      );
      return [{ ...type!, data }];
    },
    samples: definition.samples,
    scalar: definition.wgsl,
    halves: () => true,
  };
}

export type None = Record<string, never>;
export const NONE: None = {};

/** Values away from 0, ties and kinks, so that finite differences hold. */
export function spread(shape: readonly number[], seed: number, low = -2, high = 2): NdArray {
  const size = sizeOf(shape);
  return ndarray(
    shape,
    Float64Array.from({ length: size }, (_, i) => low + (high - low) * (((i * 7 + seed * 3) % 29) / 29 + 0.01)),
  );
}

const unarySamples = (low?: number, high?: number) => () =>
  [[6, 8], [3, 5, 7], []].map((shape, i) => ({ inputs: [spread(shape, i, low, high)], params: NONE }));

/** f32 to f32. */
export function unary(
  name: string,
  wgsl: string,
  compute: (a: number) => number,
  grad: (g: Tensor, a: Tensor, out: Tensor) => Tensor | null,
  low?: number,
  high?: number,
): Op<None> {
  return elementwise<None>({
    name,
    accepts: ['f32'],
    gives: 'f32',
    wgsl: () => wgsl,
    compute: ([a]) => compute(a!),
    grad: (g, { inputs, outputs }) => [grad(g, inputs[0]!, outputs[0]!)],
    samples: unarySamples(low, high),
  });
}

const pairs: [number[], number[]][] = [
  [
    [4, 8],
    [4, 8],
  ],
  [[2, 3, 5, 8], [8]],
  [
    [2, 3, 5],
    [2, 1, 1],
  ],
  [
    [2, 3, 1, 4],
    [1, 5, 4],
  ],
  [[3, 7], []],
  [
    [2, 1, 6],
    [5, 1],
  ],
  [
    [32, 32, 16],
    [32, 1, 16],
  ],
  [
    [32, 33, 16],
    [33, 1],
  ],
];

/** Two f32 to f32. */
export function binary(
  name: string,
  wgsl: string,
  compute: (a: number, b: number) => number,
  grad: (g: Tensor, a: Tensor, b: Tensor, out: Tensor) => (Tensor | null)[],
  low = -2,
  high = 2,
): Op<None> {
  return elementwise<None>({
    name,
    accepts: ['f32', 'f32'],
    gives: 'f32',
    wgsl: () => wgsl,
    compute: ([a, b]) => compute(a!, b!),
    grad: (g, { inputs, outputs }) => grad(g, inputs[0]!, inputs[1]!, outputs[0]!),
    samples: () =>
      pairs.map(([a, b], i) => ({
        inputs: [spread(a, i, low, high), spread(b, i + 4, low, high + 0.013)],
        params: NONE,
      })),
  });
}
