/**
 * Softmax cross entropy with an affinity field loss, fixed or adaptive (Ke et al., ECCV 2018): baselines that know of
 * neighbouring pixels.
 */
import { scope, type Tensor } from '../../tensor/graph.js';
import { add, exp, mul, mulScalar } from '../../tensor/ops/elementwise.js';
import { softmax } from '../../tensor/ops/normalize.js';
import { FlatGroup, Resident } from '../../tensor/resident.js';
import type { Runtime } from '../../tensor/runtime.js';
import {
  AFFINITY_SIZES,
  type AffinityOptions,
  type AffinityTerms,
  adaptiveAffinityLoss,
  affinityLoss,
  type SizeWeights,
} from '../affinity_loss.js';
import type { LabelOptions } from '../prototypes.js';
import {
  classifyPixels,
  labelsOfOutput,
  largestStray,
  refuseStrayLabel,
  requireLogits,
  withoutLabelledPixels,
} from './labels.js';
import { type Objective, type PreparedObjective, stateless } from './objective.js';

export interface AffinityObjectiveOptions extends LabelOptions, AffinityOptions {
  /** Whether classes learn which patch sizes to dwell on; otherwise patches are 3x3. */
  readonly adaptive: boolean;
  /** Factor of the term at edges of the labels. Reference: 1. */
  readonly edgeWeight: number;
  /** Factor of the other term. Reference: 1. */
  readonly notEdgeWeight: number;
}

/**
 * The network's output is logits, one for each class. The affinity terms fade as 10^-progress (the release; not in
 * the paper). Reports `accuracy`, and the parts of the loss: `crossEntropy`, and `affinity` with its factors. Under
 * accumulation all are weighted by valid pixels, though the affinity terms are means over pairs.
 */
export function affinityObjective(options: AffinityObjectiveOptions): Objective {
  const name = options.adaptive ? 'adaptive-affinity' : 'affinity';
  const step = (terms: (probabilities: Tensor, labels: Tensor) => AffinityTerms): PreparedObjective['trace'] => {
    return (inputs) =>
      scope('loss', () => {
        const labels = labelsOfOutput(inputs);
        const { crossEntropy, validPixels, accuracy } = classifyPixels(inputs.output, labels, options);
        const { edge, notEdge } = terms(softmax(inputs.output), labels);
        const weighted = add(mulScalar(edge, options.edgeWeight), mulScalar(notEdge, options.notEdgeWeight));
        const affinity = mul(weighted, exp(mulScalar(inputs.progress, -Math.LN10)));
        const figures = { accuracy, crossEntropy, affinity, 'stray label': largestStray(labels, options) };
        return { loss: add(crossEntropy, affinity), validPixels, figures };
      });
  };
  return {
    name,
    wantsRegions: false,
    ignore: options.ignore,
    figures: { means: ['accuracy', 'crossEntropy', 'affinity'], sums: [], largest: ['stray label'] },
    withoutPixels: withoutLabelledPixels(options),
    check: (largest) => refuseStrayLabel(largest['stray label']!),
    prepare(runtime, { channels }) {
      requireLogits(name, channels, options);
      if (!options.adaptive)
        return stateless(step((probabilities, labels) => affinityLoss(probabilities, labels, options)));
      return adaptive(runtime, options.classes, (weights) =>
        step((probabilities, labels) => adaptiveAffinityLoss(probabilities, labels, weights, options)),
      );
    },
  };
}

/** Keeps the weights of the patch sizes: all alike at first, then learnt to make the loss large. */
function adaptive(
  runtime: Runtime,
  classes: number,
  trace: (weights: SizeWeights) => PreparedObjective['trace'],
): PreparedObjective {
  const table = (name: string) => new Resident(name, { shape: [classes, AFFINITY_SIZES.length], dtype: 'f32' });
  const weights = { edge: table('affinity/edge_weights'), notEdge: table('affinity/not_edge_weights') };
  const group = new FlatGroup('affinity', [weights.edge, weights.notEdge]);
  runtime.allocate(group);
  return {
    residents: group.entries,
    learnt: [{ parameters: group, rateFactor: -1, weightDecay: 0 }],
    trace: trace(weights),
    [Symbol.dispose]: () => group[Symbol.dispose](),
  };
}
