/** Reading and writing a few elements of each row, at columns that differ from row to row. */
import sourcePut from '../../shaders/put_along.wgsl';
import sourceTake from '../../shaders/take_along.wgsl';
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import { input, linearGrid, type Op, OpError, output } from '../op.js';
import { type DType, ndarray, type Shape, sameShape, showShape, sizeOf, type TensorType } from '../types.js';
import { sampleIntegers, sampleValues } from './sample_values.js';

function checkColumns(op: string, x: TensorType, columns: TensorType, dtypes: readonly DType[]): void {
  if (!dtypes.includes(x.dtype) || columns.dtype !== 'i32')
    throw new OpError(
      op,
      `expects ${dtypes.join(' or ')} and i32, got ${x.dtype}${showShape(x.shape)} and ${columns.dtype}${showShape(columns.shape)}`,
    );
}

const lastOf = (shape: Shape) => shape[shape.length - 1]!;

export const takeAlongOp: Op<null> = {
  name: 'takeAlong',
  infer([x, columns]) {
    checkColumns('takeAlong', x!, columns!, ['f32', 'i32']);
    if (columns!.shape.length < 1 || !sameShape(x!.shape.slice(0, -1), columns!.shape.slice(0, -1)))
      throw new OpError(
        'takeAlong',
        `rows of ${showShape(x!.shape)} and of columns ${showShape(columns!.shape)} differ`,
      );
    return [{ shape: columns!.shape, dtype: x!.dtype }];
  },
  grad: ({ inputs: [x, columns], grads }) => [
    x!.dtype === 'f32' ? putAlong(grads[0]!, columns!, lastOf(x!.shape)) : null,
    null,
  ],
  reference([x, columns]) {
    const y = ndarray(columns!.shape, undefined, x!.dtype);
    const length = lastOf(x!.shape);
    for (const [i, column] of columns!.data.entries())
      if (column >= 0 && column < length)
        y.data[i] = x!.data[Math.floor(i / lastOf(columns!.shape)) * length + column]!;
    return [y];
  },
  samples: () => [
    { inputs: [sampleValues([3, 4, 6]), sampleIntegers([3, 4, 5], -1, 8)], params: null },
    { inputs: [sampleValues([7]), sampleIntegers([2], 0, 7)], params: null },
    { inputs: [sampleIntegers([3, 6], -9, 1e6), sampleIntegers([3, 5], -1, 8)], params: null, checkGrad: false },
  ],
  kernels: [
    {
      name: 'naive',
      commands({ inputs: [x, columns] }) {
        const count = sizeOf(columns!.shape);
        return [
          {
            source: sourceTake,
            constants: { T: x!.dtype },
            uniforms: { count, length: lastOf(x!.shape), k: lastOf(columns!.shape) },
            buffers: [input(0), input(1), output(0)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
  flops: () => 0,
};

/** Elements of f32 or i32 rows [...,C] at i32 columns [...,K], to [...,K]; zero for columns out of range. */
export function takeAlong(x: TensorLike, columns: TensorLike): Tensor {
  return apply1(takeAlongOp, [x, columns], null);
}

export const putAlongOp: Op<{ readonly length: number }> = {
  name: 'putAlong',
  infer([values, columns], { length }) {
    checkColumns('putAlong', values!, columns!, ['f32']);
    if (values!.shape.length < 1 || !sameShape(values!.shape, columns!.shape))
      throw new OpError(
        'putAlong',
        `values ${showShape(values!.shape)} and columns ${showShape(columns!.shape)} differ`,
      );
    if (!(Number.isInteger(length) && length > 0))
      throw new OpError('putAlong', `length must be a positive integer, got ${length}`);
    return [{ shape: [...values!.shape.slice(0, -1), length], dtype: 'f32' }];
  },
  grad: ({ inputs: [, columns], grads }) => [takeAlong(grads[0]!, columns!), null],
  reference([values, columns], { length }) {
    const y = ndarray([...values!.shape.slice(0, -1), length]);
    for (const [i, column] of columns!.data.entries())
      if (column >= 0 && column < length)
        y.data[Math.floor(i / lastOf(columns!.shape)) * length + column]! += values!.data[i]!;
    return [y];
  },
  samples: () => [
    { inputs: [sampleValues([3, 4, 5]), sampleIntegers([3, 4, 5], -1, 8)], params: { length: 7 } },
    { inputs: [sampleValues([2]), sampleIntegers([2], 0, 4)], params: { length: 4 } },
  ],
  kernels: [
    {
      name: 'naive',
      commands({ inputs: [values], params: { length } }) {
        const k = lastOf(values!.shape);
        const count = (sizeOf(values!.shape) / k) * length;
        return [
          {
            source: sourcePut,
            uniforms: { count, length, k },
            buffers: [input(0), input(1), output(0)],
            workgroups: linearGrid(count, 64),
          },
        ];
      },
    },
  ],
  flops: ([values], [y]) => sizeOf(y!.shape) * lastOf(values!.shape),
};

/** Rows [...,length] of zeros, with values [...,K] added at i32 columns [...,K]; columns out of range are skipped. */
export function putAlong(values: TensorLike, columns: TensorLike, length: number): Tensor {
  return apply1(putAlongOp, [values, columns], { length });
}

export const alongOps: Op[] = [takeAlongOp, putAlongOp];
