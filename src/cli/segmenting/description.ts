/** What is known of the classes of a run: their colours, and which of them are countable. */
import { DESCRIPTIONS } from '../../data/builtin_descriptions.js';
import { classNames, type DataDescription } from '../../data/description.js';
import { parseDescription } from '../../data/description_file.js';
import type { RunConfig } from '../config/config.js';
import { findDescription } from '../data_folder.js';

/**
 * The description of the data folder, or the known one, that has the classes of the run; failing that one made from their
 * names, in VOC's colours and without things.
 */
export async function descriptionOf({ data }: Pick<RunConfig, 'data'>): Promise<DataDescription> {
  const own = await findDescription(data.root);
  const fits = (each: DataDescription) => classNames(each).join('\n') === data.classes.join('\n');
  return (
    [own, ...Object.values(DESCRIPTIONS)].find((each) => each !== null && fits(each)) ??
    parseDescription({ name: 'data', classes: [...data.classes] }, 'the classes of the run')
  );
}

/** The classes that have objects, by index. */
export function thingsOf({ classes }: DataDescription): number[] {
  return classes.flatMap(({ thing }, index) => (thing ? [index] : []));
}
