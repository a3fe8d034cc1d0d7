/**
 * The images of a training run: its list, with region masks where they are learnt from, checked before the first step.
 */
import type { Dataset } from '../../data/dataset.js';
import { classNames, type DataDescription, datasetOptions } from '../../data/description.js';
import { parseRegionRule, type RegionRule } from '../../data/region_rule.js';
import type { RunConfig } from '../config/schema.js';
import { findDescription, openList, requireLabels } from '../data_folder.js';
import { UsageError } from '../errors.js';
import { photoRegions } from './region_masks.js';

/**
 * The training images of a run, or of a stage of one. Region masks come along if the objective wants them; those that
 * are to be made from the photos are made now, if they are not there yet.
 *
 * @throws UsageError where there is no such list, its images have no labels or region masks to learn from, or the classes are not the data set's
 */
export async function openTrainingSet(config: RunConfig): Promise<Dataset> {
  const { data, training } = config;
  const description = await findDescription(data.root);
  if (description) checkClasses(description, data.classes, data.root);
  const open = (regions: RegionRule | null) => openList(data.root, data.train, 'training list', { regions });
  if (training.objective !== 'segsort-unsupervised') {
    const labelled = await open(null);
    requireLabels(labelled, ' to learn from');
    return labelled;
  }
  const where = data.regions ?? description?.regions ?? 'photo';
  if (where === 'photo') return open(await photoRegions(await open(null), { ...data, workers: config.run.workers }));
  const dataset = await open(parseRegionRule(where));
  await checkRegions(dataset, where);
  return dataset;
}

/**
 * Where labels are mapped by the data set's description, it says which classes there are.
 *
 * @throws UsageError where the run has others
 */
export function checkClasses(description: DataDescription, classes: readonly string[], root: string): void {
  const names = classNames(description);
  if (datasetOptions(description).reading?.classes == null || names.join('\n') === classes.join('\n')) return;
  const shown = (list: readonly string[]) =>
    `${list.length} (${list.slice(0, 4).join(', ')}${list.length > 4 ? ', ...' : ''})`;
  throw new UsageError(
    `the run has ${shown(classes)} classes, and the dataset.json in ${root} gives label values the meaning of ${shown(names)}: leave --classes out to use these, or change dataset.json`,
  );
}

/** Masks that are missing are better found out now than in the middle of an epoch. */
async function checkRegions(dataset: Dataset, where: string): Promise<void> {
  const { regions } = dataset.pathsOf(0);
  if (regions === null) return;
  await dataset.source.readHead(regions, 8).catch((cause: unknown) => {
    throw new UsageError(
      `there is no region mask ${regions} in ${dataset.source.root}, where ${where} says that the first image has one: name others with --regions, or have them made with --regions photo`,
      { cause },
    );
  });
}
