/**
 * Elementwise ops with NumPy broadcasting. Each is one WGSL expression, so that the planner fuses chains of them
 * into a single kernel; none has a kernel of its own.
 */
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import type { Op } from '../op.js';
import { type DType, ndarray } from '../types.js';
import { floatLiteral } from '../wgsl.js';
import { binary, elementwise, NONE, type None, spread, unary } from './elementwise_op.js';
import { zerosLike } from './shape.js';

export const addOp = binary(
  'add',
  'a + b',
  (a, b) => a + b,
  (g) => [g, g],
);
export const subOp = binary(
  'sub',
  'a - b',
  (a, b) => a - b,
  (g) => [g, neg(g)],
);
export const mulOp = binary(
  'mul',
  'a * b',
  (a, b) => a * b,
  (g, a, b) => [mul(g, b), mul(g, a)],
);
export const divOp = binary(
  'div',
  'a / b',
  (a, b) => a / b,
  (g, _a, b, out) => [div(g, b), neg(div(mul(g, out), b))],
  0.5,
  3,
);
export const maximumOp = binary('maximum', 'max(a, b)', Math.max, (g, a, b) => {
  const mask = greater(a, b);
  return [mul(g, mask), mul(g, oneMinus(mask))];
});
export const minimumOp = binary('minimum', 'min(a, b)', Math.min, (g, a, b) => {
  const mask = greater(b, a);
  return [mul(g, mask), mul(g, oneMinus(mask))];
});
/** Gradient of relu: passes `a` where the activation `b` is positive. */
export const reluGradOp = binary(
  'reluGrad',
  'select(F(0.0), a, b > F(0.0))',
  (a, b) => (b > 0 ? a : 0),
  (g, _a, b) => [reluGrad(g, b), null],
);
/** Gradient of relu6: passes `a` where the activation `b` lies between 0 and 6. */
export const relu6GradOp = binary(
  'relu6Grad',
  'select(F(0.0), a, (b > F(0.0)) & (b < F(6.0)))',
  (a, b) => (b > 0 && b < 6 ? a : 0),
  (g, _a, b) => [relu6Grad(g, b), null],
  -3,
  9,
);

export const negOp = unary(
  'neg',
  '-a',
  (a) => -a,
  (g) => neg(g),
);
export const expOp = unary('exp', 'exp(a)', Math.exp, (g, _a, out) => mul(g, out));
export const logOp = unary('log', 'log(a)', Math.log, (g, a) => div(g, a), 0.1, 4);
export const sqrtOp = unary('sqrt', 'sqrt(a)', Math.sqrt, (g, _a, out) => div(g, add(out, out)), 0.1, 4);
export const rsqrtOp = unary(
  'rsqrt',
  'inverseSqrt(a)',
  (a) => 1 / Math.sqrt(a),
  (g, _a, out) => mulScalar(mul(g, mul(out, square(out))), -0.5),
  0.1,
  4,
);
export const squareOp = unary(
  'square',
  'a * a',
  (a) => a * a,
  (g, a) => mul(g, add(a, a)),
);
export const absOp = unary('abs', 'abs(a)', Math.abs, (g, a) => mul(g, sign(a)));
export const signOp = unary('sign', 'sign(a)', Math.sign, () => null);
export const reluOp = unary(
  'relu',
  'max(a, F(0.0))',
  (a) => Math.max(a, 0),
  (g, _a, out) => reluGrad(g, out),
);
export const relu6Op = unary(
  'relu6',
  'clamp(a, F(0.0), F(6.0))',
  (a) => Math.min(Math.max(a, 0), 6),
  (g, _a, out) => relu6Grad(g, out),
  -3,
  9,
);
export const sigmoidOp = unary(
  'sigmoid',
  'F(1.0) / (F(1.0) + exp(-a))',
  (a) => 1 / (1 + Math.exp(-a)),
  (g, _a, out) => mul(g, mul(out, oneMinus(out))),
);

interface Affine {
  readonly scale: number;
  readonly offset: number;
}
/** `scale * a + offset` with numbers known while tracing. */
export const affineOp: Op<Affine> = elementwise<Affine>({
  name: 'affine',
  accepts: ['f32'],
  gives: 'f32',
  wgsl: ({ scale, offset }) => `a * ${floatLiteral(scale)} + F(${floatLiteral(offset)})`,
  compute: ([a], { scale, offset }) => Math.fround(scale) * a! + Math.fround(offset),
  grad: (g, { params }) => [mulScalar(g, params.scale)],
  samples: () => [
    { inputs: [spread([5, 8], 1)], params: { scale: -2.5, offset: 0.1 } },
    { inputs: [spread([7], 1)], params: { scale: 1e-5, offset: 3 } },
  ],
});

/** `base ^ exponent` for bases > 0, exponents known while tracing (the poly schedule). */
export const powOp: Op<{ readonly exponent: number }> = elementwise<{ readonly exponent: number }>({
  name: 'pow',
  accepts: ['f32'],
  gives: 'f32',
  wgsl: ({ exponent }) => `pow(a, F(${floatLiteral(exponent)}))`,
  compute: ([a], { exponent }) => a! ** Math.fround(exponent),
  grad: (g, { inputs, params }) => [mul(g, mulScalar(pow(inputs[0]!, params.exponent - 1), params.exponent))],
  samples: () => [{ inputs: [spread([4, 8], 2, 0.1, 2)], params: { exponent: 0.9 } }],
});

type Comparison = 'greater' | 'equal';
function comparison(name: Comparison, operator: string, compute: (a: number, b: number) => boolean): Op<None> {
  const inputs = (dtype: DType) => [
    ndarray([3, 4], [0, 1, 2, 3, 1, 1, 1, 1, 5, 4, 3, 2], dtype),
    ndarray([4], [1, 1, 2, 2], dtype),
  ];
  return elementwise<None>({
    name,
    accepts: ['any', 'any'],
    gives: 'f32',
    wgsl: () => `select(F(0.0), F(1.0), a ${operator} b)`,
    compute: ([a, b]) => (compute(a!, b!) ? 1 : 0),
    grad: () => [null, null],
    samples: () =>
      (['f32', 'i32', 'u32'] as const).map((dtype) => ({ inputs: inputs(dtype), params: NONE, checkGrad: false })),
  });
}
export const greaterOp = comparison('greater', '>', (a, b) => a > b);
export const equalOp = comparison('equal', '==', (a, b) => a === b);

/** `where(mask, a, b)`: a where the f32 mask is not 0, else b. */
export const whereOp: Op<None> = elementwise<None>({
  name: 'where',
  accepts: ['f32', 'any', 'any'],
  gives: 'any',
  wgsl: () => 'select(c, b, a != F(0.0))',
  compute: ([a, b, c]) => (a !== 0 ? b! : c!),
  grad: (g, { inputs }) => [null, where(inputs[0]!, g, zerosLike(g)), where(inputs[0]!, zerosLike(g), g)],
  samples: () => [
    { inputs: [ndarray([4], [0, 1, 0, 1]), spread([3, 4], 1), spread([3, 1], 2)], params: NONE, checkGrad: false },
    {
      inputs: [ndarray([3], [0, 1, 0]), ndarray([3], [1, 2, 3], 'i32'), ndarray([3], [4, 5, 6], 'i32')],
      params: NONE,
      checkGrad: false,
    },
  ],
});

const integerSample = (values: number[], dtype: DType) => [
  { inputs: [ndarray([values.length], values, dtype)], params: NONE, checkGrad: false },
];
/** i32 to f32; exact up to 2^24. */
export const toFloatOp: Op<None> = elementwise<None>({
  name: 'toFloat',
  accepts: ['i32'],
  gives: 'f32',
  wgsl: () => 'F(a)',
  compute: ([a]) => a!,
  grad: () => [null],
  samples: () => integerSample([-3, 0, 255, 70000], 'i32'),
});
/** f32 to i32, towards zero. */
export const toIntOp: Op<None> = elementwise<None>({
  name: 'toInt',
  accepts: ['f32'],
  gives: 'i32',
  wgsl: () => 'I(a)',
  compute: ([a]) => Math.trunc(a!),
  grad: () => [null],
  samples: () => integerSample([-3.7, 0.2, 255, 99.99], 'f32'),
});
/** Sum of two i32, for row numbers: they outgrow what f32 holds exactly. */
export const addIntegersOp: Op<None> = elementwise<None>({
  name: 'addIntegers',
  accepts: ['i32', 'i32'],
  gives: 'i32',
  wgsl: () => 'a + b',
  compute: ([a, b]) => a! + b!,
  grad: () => [null, null],
  samples: () => [
    {
      inputs: [ndarray([2, 3], [-1, 0, 5, 16777217, 7, 2e9], 'i32'), ndarray([2, 1], [-3, 16777218], 'i32')],
      params: NONE,
      checkGrad: false,
    },
  ],
});

export const elementwiseOps: Op[] = [
  addOp,
  subOp,
  mulOp,
  divOp,
  maximumOp,
  minimumOp,
  reluGradOp,
  relu6GradOp,
  negOp,
  expOp,
  logOp,
  sqrtOp,
  rsqrtOp,
  squareOp,
  absOp,
  signOp,
  reluOp,
  relu6Op,
  sigmoidOp,
  affineOp,
  powOp,
  greaterOp,
  equalOp,
  whereOp,
  toFloatOp,
  toIntOp,
  addIntegersOp,
];

export const add = (a: TensorLike, b: TensorLike): Tensor => apply1(addOp, [a, b], NONE);
/** Sum of two i32. */
export const addIntegers = (a: TensorLike, b: TensorLike): Tensor => apply1(addIntegersOp, [a, b], NONE);
export const sub = (a: TensorLike, b: TensorLike): Tensor => apply1(subOp, [a, b], NONE);
export const mul = (a: TensorLike, b: TensorLike): Tensor => apply1(mulOp, [a, b], NONE);
export const div = (a: TensorLike, b: TensorLike): Tensor => apply1(divOp, [a, b], NONE);
export const maximum = (a: TensorLike, b: TensorLike): Tensor => apply1(maximumOp, [a, b], NONE);
export const minimum = (a: TensorLike, b: TensorLike): Tensor => apply1(minimumOp, [a, b], NONE);
export const reluGrad = (grad: TensorLike, activation: TensorLike): Tensor =>
  apply1(reluGradOp, [grad, activation], NONE);
export const relu6Grad = (grad: TensorLike, activation: TensorLike): Tensor =>
  apply1(relu6GradOp, [grad, activation], NONE);
export const neg = (a: TensorLike): Tensor => apply1(negOp, [a], NONE);
export const exp = (a: TensorLike): Tensor => apply1(expOp, [a], NONE);
export const log = (a: TensorLike): Tensor => apply1(logOp, [a], NONE);
export const sqrt = (a: TensorLike): Tensor => apply1(sqrtOp, [a], NONE);
export const rsqrt = (a: TensorLike): Tensor => apply1(rsqrtOp, [a], NONE);
export const square = (a: TensorLike): Tensor => apply1(squareOp, [a], NONE);
export const abs = (a: TensorLike): Tensor => apply1(absOp, [a], NONE);
export const sign = (a: TensorLike): Tensor => apply1(signOp, [a], NONE);
export const relu = (a: TensorLike): Tensor => apply1(reluOp, [a], NONE);
/** The activation of MobileNets, clipped between 0 and 6. */
export const relu6 = (a: TensorLike): Tensor => apply1(relu6Op, [a], NONE);
export const sigmoid = (a: TensorLike): Tensor => apply1(sigmoidOp, [a], NONE);
/** `scale * a + offset`. */
export const affine = (a: TensorLike, scale: number, offset = 0): Tensor => apply1(affineOp, [a], { scale, offset });
export const mulScalar = (a: TensorLike, scale: number): Tensor => affine(a, scale);
export const addScalar = (a: TensorLike, offset: number): Tensor => affine(a, 1, offset);
export const oneMinus = (a: TensorLike): Tensor => affine(a, -1, 1);
export const pow = (a: TensorLike, exponent: number): Tensor => apply1(powOp, [a], { exponent });
/** 1 where a > b, else 0 (f32). */
export const greater = (a: TensorLike, b: TensorLike): Tensor => apply1(greaterOp, [a, b], NONE);
/** 1 where a equals b, else 0 (f32). */
export const equal = (a: TensorLike, b: TensorLike): Tensor => apply1(equalOp, [a, b], NONE);
export const where = (mask: TensorLike, a: TensorLike, b: TensorLike): Tensor => apply1(whereOp, [mask, a, b], NONE);
export const toFloat = (a: TensorLike): Tensor => apply1(toFloatOp, [a], NONE);
export const toInt = (a: TensorLike): Tensor => apply1(toIntOp, [a], NONE);
