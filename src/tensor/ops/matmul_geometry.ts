/** Shapes of matrix products. */
import { OpError } from '../op.js';
import { type FloatType, isFloat, sameShape, showShape, sizeOf, type TensorType } from '../types.js';

export interface Matmul {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Of the result; default: f16 if an operand is. */
  readonly dtype?: FloatType;
}

/** The extents of one product; `batches` counts the matrices of the result. */
export interface MatmulSizes {
  readonly batches: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Whether all batches use the same matrix. */
  readonly sharedA: boolean;
  readonly sharedB: boolean;
}

export function matmulSizes([a, b]: readonly TensorType[], { transposeA, transposeB }: Matmul): MatmulSizes {
  for (const { dtype, shape } of [a!, b!]) {
    if (!isFloat(dtype)) throw new OpError('matmul', `expects floats, got ${dtype}${showShape(shape)}`);
    if (shape.length < 2) throw new OpError('matmul', `expects matrices, got ${showShape(shape)}`);
  }
  const [rowsA, columnsA] = a!.shape.slice(-2) as [number, number];
  const [rowsB, columnsB] = b!.shape.slice(-2) as [number, number];
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const [innerB, n] = transposeB ? [columnsB, rowsB] : [rowsB, columnsB];
  const show = (type: TensorType, transposed: boolean) => `${showShape(type.shape)}${transposed ? ' transposed' : ''}`;
  if (k !== innerB)
    throw new OpError('matmul', `${show(a!, transposeA)} has ${k} columns, ${show(b!, transposeB)} has ${innerB} rows`);
  const batchA = a!.shape.slice(0, -2);
  const batchB = b!.shape.slice(0, -2);
  if (batchA.length > 0 && batchB.length > 0 && !sameShape(batchA, batchB))
    throw new OpError(
      'matmul',
      `batch dimensions of ${showShape(a!.shape)} and ${showShape(b!.shape)} differ; ` +
        'they must be equal, or one operand a single matrix',
    );
  return {
    batches: sizeOf(batchA.length > 0 ? batchA : batchB),
    m,
    n,
    k,
    sharedA: batchA.length === 0 && batchB.length > 0,
    sharedB: batchB.length === 0 && batchA.length > 0,
  };
}
