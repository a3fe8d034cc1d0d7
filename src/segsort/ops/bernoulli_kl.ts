/** Kullback-Leibler divergence of probabilities of a yes or no, elementwise: nothing between is stored. */
import { apply1, type Tensor, type TensorLike } from '../../tensor/graph.js';
import type { Op } from '../../tensor/op.js';
import { mul } from '../../tensor/ops/elementwise.js';
import { elementwise, spread } from '../../tensor/ops/elementwise_op.js';
import { ndarray } from '../../tensor/types.js';
import { floatLiteral } from '../../tensor/wgsl.js';

export interface BernoulliKl {
  /** Probabilities of yes and of no count as at least this, so that no divergence is infinite. */
  readonly epsilon: number;
}

const clipped = (x: string, epsilon: number) => `max(${x}, F(${floatLiteral(epsilon)}))`;
const ratio = (p: string, q: string, epsilon: number) => `(${clipped(p, epsilon)} / ${clipped(q, epsilon)})`;
const [NOT_A, NOT_B] = ['(F(1.0) - a)', '(F(1.0) - b)'];

const samples = [
  { inputs: [spread([5, 8], 0, 0.05, 0.95), spread([5, 8], 3, 0.05, 0.95)], epsilon: 1e-4 },
  { inputs: [spread([2, 3, 7], 1, 0.02, 0.98), spread([3, 1], 4, 0.1, 0.9)], epsilon: 1e-4 },
  {
    name: 'clipped',
    inputs: [ndarray([6], [0.03, 0.5, 0.97, 0.04, 0.96, 0.5]), ndarray([6], [0.5, 0.02, 0.4, 0.98, 0.99, 0.95])],
    epsilon: 0.1,
  },
  {
    name: 'certain',
    inputs: [ndarray([4], [1, 0, 1, 0]), ndarray([4], [0, 1, 1, 0])],
    epsilon: 1e-4,
    checkGrad: false,
  },
];

export const bernoulliKlOp: Op<BernoulliKl> = elementwise<BernoulliKl>({
  name: 'bernoulliKl',
  accepts: ['f32', 'f32'],
  gives: 'f32',
  wgsl({ epsilon }) {
    const side = (p: string, q: string) => `${clipped(p, epsilon)} * log(${ratio(p, q, epsilon)})`;
    return `${side('a', 'b')} + ${side(NOT_A, NOT_B)}`;
  },
  compute([a, b], { epsilon }) {
    const side = (p: number, q: number) => Math.max(p, epsilon) * Math.log(Math.max(p, epsilon) / Math.max(q, epsilon));
    return side(a!, b!) + side(1 - a!, 1 - b!);
  },
  grad: (g, { inputs, params: { epsilon } }) =>
    (['p', 'q'] as const).map((of) => mul(g, apply1(bernoulliKlGradOp, inputs, { epsilon, of }))),
  samples: () => samples.map(({ epsilon, ...sample }) => ({ ...sample, params: { epsilon } })),
});

/** The derivative of the divergence by p or by q; 0 on a side that is clipped. */
export const bernoulliKlGradOp: Op<BernoulliKl & { readonly of: 'p' | 'q' }> = elementwise<
  BernoulliKl & { readonly of: 'p' | 'q' }
>({
  name: 'bernoulliKlGrad',
  accepts: ['f32', 'f32'],
  gives: 'f32',
  wgsl({ epsilon, of }) {
    const side = (p: string, q: string) => {
      const slope = of === 'p' ? `log(${ratio(p, q, epsilon)}) + F(1.0)` : `-${ratio(p, q, epsilon)}`;
      return `select(F(0.0), ${slope}, ${of === 'p' ? p : q} > F(${floatLiteral(epsilon)}))`;
    };
    return `${side('a', 'b')} - ${side(NOT_A, NOT_B)}`;
  },
  compute([a, b], { epsilon, of }) {
    const side = (p: number, q: number) => {
      if ((of === 'p' ? p : q) <= epsilon) return 0;
      const quotient = Math.max(p, epsilon) / Math.max(q, epsilon);
      return of === 'p' ? Math.log(quotient) + 1 : -quotient;
    };
    return side(a!, b!) - side(1 - a!, 1 - b!);
  },
  samples: () =>
    samples.flatMap(({ epsilon, ...sample }) =>
      (['p', 'q'] as const).map((of) => ({ ...sample, params: { epsilon, of }, checkGrad: false })),
    ),
});

/**
 * KL(p || q) = p log(p / q) + (1 - p) log((1 - p) / (1 - q)) of probabilities p and q, f32 of shapes that broadcast; p, q
 * and what is missing to 1 are raised to `epsilon` first, and get no gradient where they are.
 */
export function bernoulliKl(p: TensorLike, q: TensorLike, params: BernoulliKl): Tensor {
  return apply1(bernoulliKlOp, [p, q], params);
}
