/** log(exp(a) + exp(b)), elementwise and without overflow. */
import { broadcastShape, forEachBroadcast } from '../../tensor/broadcast.js';
import { apply1, scalar, type Tensor, type TensorLike } from '../../tensor/graph.js';
import { type Op, OpError } from '../../tensor/op.js';
import { mul, sigmoid, sub } from '../../tensor/ops/elementwise.js';
import { sumTo } from '../../tensor/ops/reduce.js';
import { sampleValues } from '../../tensor/ops/sample_values.js';
import { type NdArray, ndarray, showShape } from '../../tensor/types.js';

type None = Record<string, never>;

export const logAddExpOp: Op<None> = {
  name: 'logAddExp',
  infer([a, b]) {
    const shape = broadcastShape([a!.shape, b!.shape]);
    if (!shape || a!.dtype !== 'f32' || b!.dtype !== 'f32')
      throw new OpError(
        'logAddExp',
        `${a!.dtype}${showShape(a!.shape)} and ${b!.dtype}${showShape(b!.shape)}: expects f32 of shapes that broadcast`,
      );
    return [{ shape, dtype: 'f32' }];
  },
  grad({ inputs: [a, b], grads: [grad] }) {
    return [sumTo(mul(grad!, sigmoid(sub(a!, b!))), a!.shape), sumTo(mul(grad!, sigmoid(sub(b!, a!))), b!.shape)];
  },
  reference([a, b]): NdArray[] {
    const result = ndarray(this.infer([a!, b!], {})[0]!.shape);
    forEachBroadcast(result.shape, [a!.shape, b!.shape], (position, [i, j]) => {
      const [x, y] = [a!.data[i!]!, b!.data[j!]!];
      result.data[position] = Math.max(x, y) + Math.log1p(Math.exp(-Math.abs(x - y)));
    });
    return [result];
  },
  samples() {
    const spread = (values: NdArray) => ({ ...values, data: values.data.map((value) => value * 12) });
    return [
      { inputs: [spread(sampleValues([3, 8], 0)), spread(sampleValues([3, 8], 1))], params: {} },
      { inputs: [spread(sampleValues([5, 3], 2)), ndarray([], [0])], params: {} },
      { name: 'far apart', inputs: [ndarray([3], [-120, 5, 90]), ndarray([3], [-3, -130, 90])], params: {} },
    ];
  },
  scalar: () => 'max(a, b) + log(F(1.0) + exp(-abs(a - b)))',
};

export function logAddExp(a: TensorLike, b: TensorLike): Tensor {
  return apply1(logAddExpOp, [a, b], {});
}

/** log(1 + exp(x)). */
export function softplus(x: TensorLike): Tensor {
  return logAddExp(x, scalar(0));
}
