/** Matrix products, batched, with either operand transposed. */
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import type { Op, Sample } from '../op.js';
import { type FloatType, ndarray, productType, type Shape } from '../types.js';
import { type Matmul, matmulSizes } from './matmul_geometry.js';
import { matmulKernelsOf } from './matmul_kernels.js';
import { families } from './product_families.js';
import { sum } from './reduce.js';
import { sampleValues } from './sample_values.js';
import { reshape } from './shape.js';

export const matmulOp: Op<Matmul> = {
  name: 'matmul',
  infer(inputs, params) {
    const { m, n } = matmulSizes(inputs, params);
    const [a, b] = inputs;
    const batch = (a!.shape.length > 2 ? a! : b!).shape.slice(0, -2);
    const shape = [...batch, m, n];
    return [{ shape, dtype: params.dtype ?? productType(shape, inputs) }];
  },
  halves: () => true,
  grad({ inputs, grads, params }) {
    const [a, b] = inputs as [Tensor, Tensor];
    return [gradA(a, b, grads[0]!, params), gradB(a, b, grads[0]!, params)];
  },
  reference([a, b], params) {
    const { batches, m, n, k, sharedA, sharedB } = matmulSizes([a!, b!], params);
    const [type] = this.infer([a!, b!], params);
    const c = ndarray(type!.shape, undefined, type!.dtype);
    for (let batch = 0; batch < batches; batch++) {
      const matrixA = sharedA ? 0 : batch * m * k;
      const matrixB = sharedB ? 0 : batch * k * n;
      for (let row = 0; row < m; row++)
        for (let column = 0; column < n; column++) {
          let total = 0;
          for (let i = 0; i < k; i++)
            total +=
              a!.data[matrixA + (params.transposeA ? i * m + row : row * k + i)]! *
              b!.data[matrixB + (params.transposeB ? column * k + i : i * n + column)]!;
          c.data[(batch * m + row) * n + column] = total;
        }
    }
    return [c];
  },
  samples: () =>
    [false, true].flatMap((transposeA) =>
      [false, true].flatMap((transposeB) =>
        cases.map(([batchA, batchB, m, columns, k], i): Sample<Matmul> => {
          // Narrow tiles need not be compiled for every combination of transposes.
          const n = transposeA || transposeB ? columns + 32 : columns;
          const a = [...batchA, ...(transposeA ? [k, m] : [m, k])];
          const b = [...batchB, ...(transposeB ? [n, k] : [k, n])];
          return {
            inputs: [sampleValues(a, i), sampleValues(b, i + 100)],
            params: { transposeA, transposeB },
            checkGrad: m * n * k < 4096,
          };
        }),
      ),
    ),
  kernels: matmulKernelsOf(families),
  flops(inputs, _, params) {
    const { batches, m, n, k } = matmulSizes(inputs, params);
    return 2 * batches * m * n * k;
  },
};

/** Batch dimensions of a and b, m, n, k. */
const cases: readonly (readonly [Shape, Shape, number, number, number])[] = [
  [[], [], 1, 1, 1],
  [[], [], 5, 7, 3],
  [[], [], 68, 36, 12],
  [[3], [3], 4, 20, 8],
  [[2, 2], [2, 2], 3, 4, 5],
  [[3], [], 4, 8, 4],
  [[], [3], 8, 4, 12],
  // Long enough to be split into partial sums, and no multiple of 4.
  [[], [], 16, 12, 1031],
  [[], [], 8, 8, 1600],
];

/** With A' and B' the operands as multiplied and G the gradient of A'B': A' has the gradient G B'^T, in f32. */
function gradA(a: Tensor, b: Tensor, g: Tensor, { transposeA, transposeB }: Matmul): Tensor {
  const product = transposeA
    ? matmul(b, g, { transposeA: transposeB, transposeB: true, dtype: 'f32' })
    : matmul(g, b, { transposeB: !transposeB, dtype: 'f32' });
  return sumOverBatches(product, a.shape);
}

/** B' has the gradient A'^T G. Where all batches share B, the sum over them is part of the product if it can be. */
function gradB(a: Tensor, b: Tensor, g: Tensor, { transposeA, transposeB }: Matmul): Tensor {
  let [left, right] = [a, g];
  if (b.shape.length === 2 && !transposeA) {
    left = reshape(a, [-1, a.shape.at(-1)!]);
    right = reshape(g, [-1, g.shape.at(-1)!]);
  }
  const product = transposeB
    ? matmul(right, left, { transposeA: true, transposeB: transposeA, dtype: 'f32' })
    : matmul(left, right, { transposeA: !transposeA, dtype: 'f32' });
  return sumOverBatches(product, b.shape);
}

function sumOverBatches(gradient: Tensor, shape: Shape): Tensor {
  const extra = gradient.shape.length - shape.length;
  return extra === 0
    ? gradient
    : sum(
        gradient,
        Array.from({ length: extra }, (_, axis) => axis),
      );
}

export const matmulOps: Op[] = [matmulOp];

export interface MatmulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Of the result. Default: f16 if an operand is. */
  readonly dtype?: FloatType;
}

/**
 * The product of [..,M,K] and [..,K,N], which is [..,M,N]. A transposed operand is stored as [..,K,M] or [..,N,K].
 * The dimensions before the last two must be equal, or one operand a single matrix that all batches share.
 */
export function matmul(a: TensorLike, b: TensorLike, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false, dtype } = options;
  return apply1(matmulOp, [a, b], { transposeA, transposeB, ...(dtype ? { dtype } : {}) });
}
