/** What a configuration says is to be learnt, and the network that learns it. */
import { IGNORE_LABEL } from '../../data/image.js';
import { buildNetwork, type Network } from '../../models/network.js';
import { affinityObjective } from '../../segsort/objectives/affinity.js';
import type { Objective } from '../../segsort/objectives/objective.js';
import { segsortObjective } from '../../segsort/objectives/segsort.js';
import { softmaxObjective } from '../../segsort/objectives/softmax.js';
import { unsupervisedObjective } from '../../segsort/objectives/unsupervised.js';
import type { ObjectiveName, RunConfig } from './schema.js';

/** Whether the network's output is an embedding, and images are segmented by retrieval; otherwise it is logits. */
export const learnsEmbedding = (objective: ObjectiveName): boolean =>
  objective === 'segsort' || objective === 'segsort-unsupervised';

/**
 * The network of a run, without weights.
 *
 * @throws Error where backbone, head and output stride don't go together
 */
export function networkOf({ network, training, data }: Pick<RunConfig, 'network' | 'training' | 'data'>): Network {
  return networkWith(network, learnsEmbedding(training.objective) ? network.embedding : data.classes.length);
}

/** The same, with so many channels in its output. */
export function networkWith({ backbone, head, outputStride }: RunConfig['network'], outputs: number): Network {
  return buildNetwork({
    backbone,
    outputs,
    ...(head === null ? {} : { head }),
    ...(outputStride === null ? {} : { outputStride }),
  });
}

export function objectiveOf({ training, segments, affinity, data }: RunConfig): Objective {
  const labels = { classes: data.classes.length, ignore: IGNORE_LABEL };
  switch (training.objective) {
    case 'segsort':
      return segsortObjective({ ...segments, ...labels });
    case 'segsort-unsupervised':
      return unsupervisedObjective(segments);
    case 'softmax':
      return softmaxObjective(labels);
    case 'affinity':
    case 'aaf':
      return affinityObjective({ ...affinity, ...labels, adaptive: training.objective === 'aaf' });
  }
}
