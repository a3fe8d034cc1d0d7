/** The lists of Cityscapes: train, val, test, and train_extra where it is there. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CITYSCAPES, CITYSCAPES_TRAIN_IDS } from './builtin_descriptions.js';
import { DataError } from './errors.js';
import {
  filesIn,
  type GeneratedLists,
  isFolder,
  type NewEntry,
  openShelf,
  pairUp,
  type Shelf,
  withLists,
} from './list_folder.node.js';

export interface CityscapesOptions {
  /** Names the instance maps (`instanceIds`) in a third column. */
  readonly instances?: boolean;
  /** Names `labelTrainIds` files, which Cityscapes' scripts make, instead of `labelIds`. */
  readonly trainIds?: boolean;
}

/** Fine labels for what has them; the 20,000 images of `train_extra` have coarse ones alone. */
const SPLITS = [
  { split: 'train', labels: 'gtFine' },
  { split: 'val', labels: 'gtFine' },
  { split: 'test', labels: null },
  { split: 'train_extra', labels: 'gtCoarse' },
] as const;

/**
 * Lists of a folder that holds `leftImg8bit/` and `gtFine/`. The label files of `test` are blank, so that list has
 * none.
 *
 * @throws DataError naming the folder that is missing
 */
export async function cityscapesLists(root: string, options: CityscapesOptions = {}): Promise<GeneratedLists> {
  const { instances = false, trainIds = false } = options;
  if (!(await isFolder(join(root, 'leftImg8bit'))))
    throw new DataError('leftImg8bit', `no such folder in ${root}; is it the folder of Cityscapes?`);
  const lists = new Map<string, NewEntry[]>();
  const missing: string[] = [];
  const notes: string[] = [];
  for (const { split, labels } of SPLITS) {
    if (!(await isFolder(join(root, 'leftImg8bit', split)))) {
      if (split !== 'train_extra') notes.push(`no ${split}: there is no leftImg8bit/${split}`);
      continue;
    }
    const entries: NewEntry[] = [];
    for (const city of (await readdir(join(root, 'leftImg8bit', split))).sort()) {
      if (!(await isFolder(join(root, 'leftImg8bit', split, city)))) continue; // what a file manager leaves behind
      const images = await openShelf(root, `leftImg8bit/${split}/${city}`, ['_leftImg8bit.png']);
      const maps = async (kind: string): Promise<Shelf | null> => {
        if (labels === null) return null;
        const folder = `${labels}/${split}/${city}`;
        const there = await isFolder(join(root, folder));
        return { folder, files: there ? await filesIn(root, folder, [`_${labels}_${kind}.png`]) : new Map() };
      };
      const pairing = {
        images,
        labels: await maps(trainIds ? 'labelTrainIds' : 'labelIds'),
        instances: instances ? await maps('instanceIds') : null,
      };
      entries.push(...pairUp(images.files.keys(), pairing, missing));
    }
    lists.set(split, entries);
  }
  const description = trainIds ? CITYSCAPES_TRAIN_IDS : CITYSCAPES;
  return { description: withLists(description, lists), lists, missing, notes };
}
