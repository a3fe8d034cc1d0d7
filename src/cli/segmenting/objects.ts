/** The flags of panoptic segmentation, shared by `predict` and `evaluate`. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ObjectOptions } from '../../segsort/panoptic.js';
import type { PrototypeTable } from '../../segsort/prototype_table.js';
import type { RunConfig } from '../config/config.js';
import { UsageError } from '../errors.js';
import { descriptionOf, thingsOf } from './description.js';

export interface ObjectFlags {
  readonly panoptic?: boolean;
  readonly objects: 'touching' | 'retrieved';
  readonly objectSimilarity: number;
  readonly leastObject: number;
}

const GROUP = 'Objects:';

export function addObjectFlags(command: Command, help: string): Command {
  return command
    .addOption(new Option('--panoptic', help).helpGroup(GROUP))
    .addOption(
      new Option('--objects <which>', 'one object is what touches, or what retrieves one training object')
        .choices(['touching', 'retrieved'])
        .default('touching')
        .helpGroup(GROUP),
    )
    .addOption(
      new Option('--object-similarity <x>', 'least cosine of touching clusters of one object; -1: any')
        .default(-1)
        .argParser(numberFrom(-1, 1))
        .helpGroup(GROUP),
    )
    .addOption(
      new Option('--least-object <pixels>', 'leave out objects of fewer pixels')
        .default(0)
        .argParser(numberFrom(0, Number.POSITIVE_INFINITY))
        .helpGroup(GROUP),
    );
}

const numberFrom = (least: number, most: number) => (text: string) => {
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most))
    throw new InvalidArgumentError(
      most === Number.POSITIVE_INFINITY
        ? `It must be a number of at least ${least}.`
        : `It must be a number from ${least} to ${most}.`,
    );
  return value;
};

/**
 * How objects are put together; null where they were not asked for.
 *
 * @throws UsageError where the classes of the run are not known to have objects, or the prototypes no instances
 */
export async function objectsOf(
  { panoptic = false, objects, objectSimilarity, leastObject }: ObjectFlags,
  config: Pick<RunConfig, 'data' | 'retrieval'>,
  table: PrototypeTable | null,
): Promise<ObjectOptions | null> {
  if (!panoptic) return null;
  const things = thingsOf(await descriptionOf(config));
  if (things.length === 0)
    throw new UsageError(
      `--panoptic: no class of ${config.data.root} is a thing; say which are with "thing": true in its dataset.json`,
    );
  if (objects === 'retrieved' && !table?.instances)
    throw new UsageError(
      '--objects retrieved: the prototypes have no instances; extract them with `segsort prototypes RUN --panoptic`',
    );
  return {
    things,
    objects,
    similarity: objectSimilarity,
    // The flag counts pixels of the image, `panopticOf` those of the segmentation.
    leastPixels: leastObject / config.retrieval.stride ** 2,
    ...(table ? { table } : {}),
  };
}
