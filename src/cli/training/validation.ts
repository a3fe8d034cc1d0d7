/** Scores on held-out images in the middle of a run, by the parameters as they are. */
import type { Dataset } from '../../data/dataset.js';
import type { PrototypeTable } from '../../segsort/prototype_table.js';
import type { Trainer } from '../../segsort/trainer.js';
import type { RunConfig } from '../config/config.js';
import { learnsEmbedding } from '../config/objective.js';
import { openList, requireLabels } from '../data_folder.js';
import type { ValidationLine } from '../run_folder.js';
import { scoreDataset } from '../segmenting/scoring.js';
import {
  extractTable,
  firstOf,
  openLiveSegmenter,
  type Segmented,
  WITHOUT_REGIONS,
  type Work,
} from '../segmenting/segmentation.js';
import type { Session } from '../session.js';

/** What is looked at: the same images every time. */
export interface ValidationSets {
  readonly heldOut: Dataset;
  /** Whose segments are retrieved; null where pixels are classified one by one. */
  readonly prototypes: Dataset | null;
}

/**
 * The first so many held-out images, and training images for the prototypes.
 *
 * @returns null where the run does not validate
 * @throws UsageError where one of the lists is not there, or has no labels
 */
export async function openValidation({ data, training, run }: RunConfig): Promise<ValidationSets | null> {
  if (run.validateEvery === null || data.validation === null) return null;
  const first = async (list: string, role: string, count: number) => {
    const dataset = firstOf(await openList(data.root, list, role, WITHOUT_REGIONS), count);
    requireLabels(dataset, ', which validation needs (--validate-every none: there is none)');
    return dataset;
  };
  return {
    heldOut: await first(data.validation, 'validation list', run.validateImages),
    prototypes: learnsEmbedding(training.objective)
      ? await first(data.train, 'training list', run.validatePrototypes)
      : null,
  };
}

/** Segments the held-out images with the network that is being trained. `visit` sees every image. */
export async function validate(
  session: Session,
  config: RunConfig,
  trainer: Trainer,
  { heldOut, prototypes }: ValidationSets,
  visit: (image: Segmented) => void,
): Promise<Omit<ValidationLine, 'step'>> {
  const work: Work = { session, config, prefix: 'validation: ' };
  const datasets = prototypes ? [heldOut, prototypes] : [heldOut];
  // Every labelled image has a prototype, so that there are as many.
  const neighbours = Math.min(config.retrieval.neighbours, prototypes?.length ?? 1);
  // Its memory is needed for training again.
  using segmenter = await openLiveSegmenter(work, trainer.network, datasets, neighbours);
  let table: PrototypeTable | null = null;
  if (prototypes) {
    table = await extractTable(work, segmenter, prototypes);
    segmenter.usePrototypes(table);
  }
  const { score, oracle, images } = await scoreDataset(work, segmenter, heldOut, visit);
  return {
    meanIou: score.meanIou,
    pixelAccuracy: score.pixelAccuracy,
    oracleMeanIou: oracle?.meanIou ?? null,
    images,
    prototypes: table?.size ?? null,
  };
}
