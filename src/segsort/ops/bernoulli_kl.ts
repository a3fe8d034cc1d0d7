/** Kullback-Leibler divergence of probabilities of a yes or no, elementwise: nothing between is stored. */
import { apply1, scalar, type Tensor, type TensorLike } from '../../tensor/graph.js';
import type { Op } from '../../tensor/op.js';
import { addScalar, div, greater, log, maximum, mul, oneMinus, sub } from '../../tensor/ops/elementwise.js';
import { elementwise, spread } from '../../tensor/ops/elementwise_op.js';
import { ndarray } from '../../tensor/types.js';
import { floatLiteral } from '../../tensor/wgsl.js';

export interface BernoulliKl {
  /** Probabilities of yes and of no count as at least this, so that no divergence is infinite. */
  readonly epsilon: number;
}

/** The gradient of one side, yes or no: 0 where it is clipped. */
function sideGradients(p: Tensor, q: Tensor, epsilon: number): { readonly p: Tensor; readonly q: Tensor } {
  const least = scalar(epsilon);
  const ratio = () => div(maximum(p, least), maximum(q, least));
  return {
    p: mul(greater(p, least), addScalar(log(ratio()), 1)),
    q: mul(greater(q, least), ratio()),
  };
}

export const bernoulliKlOp: Op<BernoulliKl> = elementwise<BernoulliKl>({
  name: 'bernoulliKl',
  accepts: ['f32', 'f32'],
  gives: 'f32',
  wgsl({ epsilon }) {
    const side = (p: string, q: string) => {
      const clipped = (x: string) => `max(${x}, F(${floatLiteral(epsilon)}))`;
      return `${clipped(p)} * log(${clipped(p)} / ${clipped(q)})`;
    };
    return `${side('a', 'b')} + ${side('F(1.0) - a', 'F(1.0) - b')}`;
  },
  compute([a, b], { epsilon }) {
    const side = (p: number, q: number) => Math.max(p, epsilon) * Math.log(Math.max(p, epsilon) / Math.max(q, epsilon));
    return side(a!, b!) + side(1 - a!, 1 - b!);
  },
  grad(g, { inputs: [p, q], params: { epsilon } }) {
    const yes = sideGradients(p!, q!, epsilon);
    const no = sideGradients(oneMinus(p!), oneMinus(q!), epsilon);
    return [mul(g, sub(yes.p, no.p)), mul(g, sub(no.q, yes.q))];
  },
  samples: () => [
    { inputs: [spread([5, 8], 0, 0.05, 0.95), spread([5, 8], 3, 0.05, 0.95)], params: { epsilon: 1e-4 } },
    { inputs: [spread([2, 3, 7], 1, 0.02, 0.98), spread([3, 1], 4, 0.1, 0.9)], params: { epsilon: 1e-4 } },
    {
      name: 'clipped',
      inputs: [ndarray([6], [0.03, 0.5, 0.97, 0.04, 0.96, 0.5]), ndarray([6], [0.5, 0.02, 0.4, 0.98, 0.99, 0.95])],
      params: { epsilon: 0.1 },
    },
    {
      name: 'certain, and wrong',
      inputs: [ndarray([4], [1, 0, 1, 0]), ndarray([4], [0, 1, 1, 0])],
      params: { epsilon: 1e-4 },
      checkGrad: false,
    },
  ],
});

/**
 * KL(p || q) = p log(p / q) + (1 - p) log((1 - p) / (1 - q)) of probabilities p and q, f32 of shapes that broadcast; p, q
 * and what is missing to 1 are raised to `epsilon` first, and get no gradient where they are.
 */
export function bernoulliKl(p: TensorLike, q: TensorLike, params: BernoulliKl): Tensor {
  return apply1(bernoulliKlOp, [p, q], params);
}
