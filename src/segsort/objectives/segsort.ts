/** SegSort from labels (Hwang et al., ICCV 2019): pixels are clustered, and drawn to segments of their label. */
import { scope, type Tensor } from '../../tensor/graph.js';
import { addScalar, neg, toFloat } from '../../tensor/ops/elementwise.js';
import { l2Normalize, validLabels } from '../../tensor/ops/normalize.js';
import { max, sum } from '../../tensor/ops/reduce.js';
import { clusterCount, clusterImages } from '../clustering.js';
import { type NcaLossOptions, segsortLoss } from '../loss.js';
import { MemoryBanks } from '../memory_banks.js';
import { checkCapacity } from '../ops/segments.js';
import type { LabelOptions } from '../prototypes.js';
import { labelsOfOutput, refuseStrayLabel, withoutLabelledPixels } from './labels.js';
import type { Objective } from './objective.js';

export interface SegsortOptions extends NcaLossOptions, LabelOptions {
  /** Initial cells of the clustering along y and x. */
  readonly cells: readonly [number, number];
  readonly kmeansIterations: number;
  /** Earlier batches whose prototypes are compared with. */
  readonly banks: number;
  /** Most segments an image may have. */
  readonly capacity: number;
}

/** The network's output is an embedding. Reports `segments`, the number of segments of the batch. */
export function segsortObjective(options: SegsortOptions): Objective {
  const { cells, kmeansIterations, banks, capacity, classes, ignore } = options;
  return {
    name: 'segsort',
    wantsRegions: false,
    ignore,
    figures: { means: [], sums: ['segments'], largest: ['segments of an image', 'stray label'] },
    withoutPixels: withoutLabelledPixels(options),
    check(largest) {
      checkCapacity([largest['segments of an image']!], capacity, () => 'an image since the last report');
      refuseStrayLabel(largest['stray label']!);
    },
    prepare(runtime, { images, channels }) {
      const memory = new MemoryBanks(runtime, { banks, rows: images * capacity, channels });
      return {
        residents: memory.residents,
        learnt: [],
        trace(inputs) {
          const labels = scope('input', () => labelsOfOutput(inputs));
          const embedding = scope('loss', () => l2Normalize(inputs.output));
          const { clusters } = scope('clustering', () => {
            const mask = validLabels(labels, { classes, ignoreLabel: ignore });
            return clusterImages({ embedding, unit: true, mask }, { cells, iterations: kmeansIterations });
          });
          return scope('loss', () => {
            const { loss, validPixels, segmentCounts, prototypes, prototypeLabels } = segsortLoss(
              { embedding, unit: true, labels, clusters, banks: memory.use() },
              { ...options, clusters: clusterCount(options) },
            );
            const counts = toFloat(segmentCounts);
            const figures = {
              segments: sum(counts),
              'segments of an image': max(counts),
              'stray label': addScalar(max(neg(counts)), -1),
            };
            const remember = (finite: Tensor | null) =>
              scope('loss', () => memory.update(prototypes, prototypeLabels, finite));
            return { loss, validPixels, figures, remember };
          });
        },
        [Symbol.dispose]: () => memory[Symbol.dispose](),
      };
    },
  };
}
