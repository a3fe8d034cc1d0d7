/**
 * Affinity field losses (Ke, Hwang, Liu & Yu, "Adaptive Affinity Fields for Semantic Segmentation", ECCV 2018):
 * pixels next to each other are to be predicted alike where their labels agree, and differently where they don't.
 * Baselines that SegSort is compared with; they are added to softmax cross entropy.
 */
import { constant, scalar, scope, type Tensor, type TensorLike } from '../tensor/graph.js';
import { OpError } from '../tensor/op.js';
import { abs, add, affine, div, equal, maximum, mul, oneMinus, relu, sub } from '../tensor/ops/elementwise.js';
import { oneHot } from '../tensor/ops/gather.js';
import { concat, pad, slice } from '../tensor/ops/layout.js';
import { matmul } from '../tensor/ops/matmul.js';
import { softmax, validLabels } from '../tensor/ops/normalize.js';
import { sum } from '../tensor/ops/reduce.js';
import { reshape } from '../tensor/ops/shape.js';
import { sameShape, showShape } from '../tensor/types.js';
import { bernoulliKl } from './ops/bernoulli_kl.js';

export interface AffinityOptions {
  /** Label of pixels that belong to no class. Reference: 255. */
  readonly ignore: number;
  /** Divergence from which a pair counts as told apart. Reference: 3. */
  readonly margin: number;
}

export interface AffinityTerms {
  /** f32 scalar: mean of max(0, margin - KL) over the pairs and classes at an edge of the labels; 0 where there is none. */
  readonly edge: Tensor;
  /** f32 scalar: mean of KL over the other pairs and classes. */
  readonly notEdge: Tensor;
}

/** Half sizes of the patches whose eight corners a pixel is paired with in the adaptive loss: 3x3, 5x5 and 7x7. */
export const AFFINITY_SIZES = [1, 2, 3] as const;

/** Probabilities are clipped to this from below. */
const EPSILON = 1e-4;

/**
 * The affinity field loss (section 3.2 of the paper) of 3x3 patches. Every pixel is paired with its eight neighbours;
 * for each class, a pair is at an edge if one of the two is of the class and the other is not, and KL is that of the
 * two's probabilities of the class (neighbour from centre). Pairs with an ignored pixel don't count. Gradients flow
 * into both.
 *
 * @param probabilities f32 [N,h,w,C], the softmax of the logits
 * @param labels i32 [N,h,w]: 0 to C - 1, or `ignore`
 */
export function affinityLoss(probabilities: Tensor, labels: Tensor, options: AffinityOptions): AffinityTerms {
  return scope('affinityLoss', () => patchTerms(new Neighbourhoods(probabilities, labels, options, 1), 1));
}

/** Logits f32 [C,3] of how much each class makes of each patch size, for pairs at edges and others. */
export interface SizeWeights {
  readonly edge: TensorLike;
  readonly notEdge: TensorLike;
}

/**
 * The adaptive affinity field loss (section 3.3): as `affinityLoss`, summed over patches of three sizes, where the
 * pairs of a pixel are weighted by what its class makes of the size: the softmax of `weights`. The network is to make
 * the loss small and the weights are to make it large, so each class dwells on the size it is worst at.
 */
export function adaptiveAffinityLoss(
  probabilities: Tensor,
  labels: Tensor,
  weights: SizeWeights,
  options: AffinityOptions,
): AffinityTerms {
  return scope('adaptiveAffinityLoss', () => {
    const classes = probabilities.shape[3]!;
    for (const [name, table] of [
      ['edge', weights.edge],
      ['not-edge', weights.notEdge],
    ] as const)
      if (!sameShape(table.shape, [classes, AFFINITY_SIZES.length]))
        throw new OpError(
          'adaptiveAffinityLoss',
          `${name} weights must be [${classes},${AFFINITY_SIZES.length}], got ${showShape(table.shape)}`,
        );
    const field = new Neighbourhoods(probabilities, labels, options, AFFINITY_SIZES[AFFINITY_SIZES.length - 1]!);
    const ofPixels = field.lookUp(concat([softmax(weights.edge), softmax(weights.notEdge)], 1));
    const terms = AFFINITY_SIZES.map((size, column) =>
      patchTerms(field, size, {
        edge: field.map(channel(ofPixels, column), 0),
        notEdge: field.map(channel(ofPixels, column + AFFINITY_SIZES.length), 0),
      }),
    );
    return {
      edge: total(terms.map(({ edge }) => edge)),
      notEdge: total(terms.map(({ notEdge }) => notEdge)),
    };
  });
}

/** A map [N,h,w,D] at a pixel and at its neighbour `dy` rows below and `dx` columns to the right. */
type Paired = (dy: number, dx: number) => readonly [here: Tensor, there: Tensor];

/** The maps of a batch, and what lies where a neighbour is. */
class Neighbourhoods {
  readonly options: AffinityOptions;
  readonly classes: number;
  /** f32 [N,h,w,C]. */
  readonly probabilities: Paired;
  /** i32 [N,h,w,1]. */
  readonly labels: Paired;
  readonly #labels: Tensor;
  readonly #reach: number;

  constructor(probabilities: Tensor, labels: Tensor, options: AffinityOptions, reach: number) {
    const { shape, dtype } = probabilities;
    if (shape.length !== 4 || dtype !== 'f32' || labels.dtype !== 'i32' || !sameShape(labels.shape, shape.slice(0, 3)))
      throw new OpError(
        'affinityLoss',
        `expects probabilities f32[N,h,w,C] and labels i32[N,h,w], got ${dtype}${showShape(shape)} and ${labels.dtype}${showShape(labels.shape)}`,
      );
    this.options = options;
    this.classes = shape[3]!;
    this.#reach = reach;
    this.#labels = reshape(labels, [...labels.shape, 1]);
    this.probabilities = this.map(probabilities, 0);
    this.labels = this.map(this.#labels, -1);
  }

  /** `outside` is what lies beyond the border of a map. */
  map(x: Tensor, outside: number): Paired {
    const reach = this.#reach;
    const padded = pad(
      x,
      [
        [0, 0],
        [0, reach],
        [reach, reach],
        [0, 0],
      ],
      outside,
    );
    return (dy, dx) => [x, slice(padded, [0, dy, reach + dx, 0], x.shape)];
  }

  /** What each pixel's class has in a table [C,D]: [N,h,w,D]; zeros for ignored pixels. */
  lookUp(table: Tensor): Tensor {
    const [images, height, width] = this.#labels.shape as [number, number, number, number];
    const counted = mul(oneHot(reshape(this.#labels, [images * height * width]), this.classes), this.valid());
    return reshape(matmul(counted, table), [images, height, width, table.shape[1]!]);
  }

  valid(): Tensor {
    return validLabels(reshape(this.#labels, [-1, 1]), { classes: this.classes, ignoreLabel: this.options.ignore });
  }
}

/**
 * The terms of one patch size. Of the eight corners four are looked at, from both ends: the other four are the same
 * pairs. `weights` are maps [N,h,w,1] that the pairs of a pixel, as the centre, are multiplied by.
 */
function patchTerms(
  { probabilities, labels, classes, options }: Neighbourhoods,
  size: number,
  weights?: { readonly edge: Paired; readonly notEdge: Paired },
): AffinityTerms {
  const range = constant(
    [classes],
    Int32Array.from({ length: classes }, (_, i) => i),
    'i32',
  );
  const edges: Tensor[] = [];
  const others: Tensor[] = [];
  const pairs: Tensor[] = [];
  const pairsApart: Tensor[] = [];
  for (const [dy, dx] of [
    [0, size],
    [size, -size],
    [size, 0],
    [size, size],
  ] as const) {
    const [p, q] = probabilities(dy, dx);
    const [label, otherLabel] = labels(dy, dx);
    const counts = { classes, ignoreLabel: options.ignore };
    const both = mul(validLabels(label, counts), validLabels(otherLabel, counts));
    pairs.push(both);
    pairsApart.push(mul(both, oneMinus(equal(label, otherLabel))));
    const apart = abs(sub(equal(label, range), equal(otherLabel, range)));
    // The pixel as the centre, and as the neighbour.
    const kl = [bernoulliKl(q, p, { epsilon: EPSILON }), bernoulliKl(p, q, { epsilon: EPSILON })] as const;
    const ofCentre = (values: readonly [Tensor, Tensor], weight?: Paired) => {
      const [here, there] = weight?.(dy, dx) ?? [];
      return here && there ? add(mul(values[0], here), mul(values[1], there)) : add(...values);
    };
    const missing = [relu(affine(kl[0], -1, options.margin)), relu(affine(kl[1], -1, options.margin))] as const;
    edges.push(sum(mul(ofCentre(missing, weights?.edge), mul(apart, both))));
    others.push(sum(mul(ofCentre(kl, weights?.notEdge), mul(oneMinus(apart), both))));
  }
  // Each pair counts from both ends; one with two labels is at an edge for those two classes.
  const edgeCount = affine(sum(total(pairsApart)), 4);
  const otherCount = sub(affine(sum(total(pairs)), 2 * classes), edgeCount);
  const mean = (terms: readonly Tensor[], count: Tensor) => div(total(terms), maximum(count, scalar(1)));
  return { edge: mean(edges, edgeCount), notEdge: mean(others, otherCount) };
}

const total = (terms: readonly Tensor[]): Tensor => terms.reduce((sum, term) => add(sum, term));

const channel = (x: Tensor, index: number): Tensor => slice(x, [0, 0, 0, index], [...x.shape.slice(0, 3), 1]);
