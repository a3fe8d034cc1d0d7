/** Scores on held-out images in the middle of a run, by the parameters as they are. */
import { Dataset } from '../data/dataset.js';
import { IGNORE_LABEL } from '../data/image.js';
import type { PrototypeTable } from '../segsort/prototype_table.js';
import { Segmenter } from '../segsort/segmenter.js';
import type { Trainer } from '../segsort/trainer.js';
import type { RunConfig } from './config.js';
import { openList } from './data_folder.js';
import { learnsEmbedding } from './objective.js';
import type { ValidationLine } from './run_folder.js';
import { scoreDataset } from './scoring.js';
import { extractTable, type Segmented, type Work } from './segmentation.js';
import type { Session } from './session.js';

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
 */
export async function openValidation({ data, training, run }: RunConfig): Promise<ValidationSets | null> {
  if (run.validateEvery === null || data.validation === null) return null;
  const first = async (list: string, role: string, count: number) => {
    const { source, list: all, options } = await openList(data.root, list, role, { regions: null });
    return new Dataset(source, { file: all.file, entries: all.entries.slice(0, count) }, options);
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
  // Its memory is needed for training again.
  using segmenter = await liveSegmenter(session, config, trainer, { heldOut, prototypes });
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

/** A segmenter on the parameters of a trainer, for images up to the largest. */
async function liveSegmenter(
  { runtime }: Session,
  { data, segments, retrieval, training }: RunConfig,
  { network }: Trainer,
  { heldOut, prototypes }: ValidationSets,
): Promise<Segmenter> {
  const sizes = await Promise.all([heldOut, prototypes ?? heldOut].map((dataset) => dataset.largestSize()));
  const side = (extents: readonly number[]) =>
    Math.ceil(Math.max(...extents) / network.inputMultiple) * network.inputMultiple;
  return new Segmenter(runtime, network, {
    canvas: [side(sizes.map(({ height }) => height)), side(sizes.map(({ width }) => width))],
    cells: segments.cells,
    kmeansIterations: segments.kmeansIterations,
    // Every labelled image has a prototype, so that there are as many.
    neighbours: Math.min(retrieval.neighbours, prototypes?.length ?? 1),
    stride: retrieval.stride,
    classes: data.classes.length,
    ignore: IGNORE_LABEL,
    mean: data.mean,
    classifier: learnsEmbedding(training.objective) ? 'retrieval' : 'softmax',
    parameters: 'shared',
  });
}
