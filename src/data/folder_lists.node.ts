/** Lists of folders whose images and labels have the same names: CamVid, BSDS500, and anybody's own. */
import { join } from 'node:path';
import { BSDS500, CAMVID } from './builtin_descriptions.js';
import type { DataDescription } from './description.js';
import { DataError } from './errors.js';
import {
  type GeneratedLists,
  IMAGE_ENDINGS,
  isFolder,
  type NewEntry,
  openShelf,
  pairUp,
  withLists,
} from './list_folder.node.js';

export interface FolderPair {
  /** Name of the list. */
  readonly list: string;
  readonly images: string;
  /** Null for images without labels. */
  readonly labels: string | null;
  readonly instances?: string | null;
}

/**
 * One list for each pair of folders, of all images in it by name.
 *
 * @throws DataError naming a folder that is missing, or holds no images
 */
export async function folderLists(
  root: string,
  description: DataDescription,
  pairs: readonly FolderPair[],
): Promise<GeneratedLists> {
  const lists = new Map<string, NewEntry[]>();
  const missing: string[] = [];
  for (const { list, images, labels, instances } of pairs) {
    const pictures = await openShelf(root, images, IMAGE_ENDINGS);
    if (pictures.files.size === 0) throw new DataError(images, `holds no images (${IMAGE_ENDINGS.join(', ')})`);
    const pairing = {
      images: pictures,
      labels: labels === null ? null : await openShelf(root, labels, ['.png']),
      instances: instances ? await openShelf(root, instances, ['.png']) : null,
    };
    lists.set(list, pairUp(pictures.files.keys(), pairing, missing));
  }
  return { description: withLists(description, lists), lists, missing, notes: [] };
}

const SPLITS = ['train', 'val', 'test'] as const;

/** Lists of CamVid as SegNet distributes it: `train/` and `trainannot/`, and so on. */
export async function camvidLists(root: string): Promise<GeneratedLists> {
  const pairs: FolderPair[] = [];
  for (const split of SPLITS)
    if (await isFolder(join(root, split)))
      pairs.push({
        list: split,
        images: split,
        labels: (await isFolder(join(root, `${split}annot`))) ? `${split}annot` : null,
      });
  if (pairs.length === 0)
    throw new DataError('train', `no such folder in ${root}; is it the folder of CamVid, with train and trainannot?`);
  return folderLists(root, CAMVID, pairs);
}

/**
 * Lists of BSDS500: `images/train/` and so on with `ucm2/train/`, or `images/` with `ucm2/` alone, as one list `all`.
 */
export async function bsdsLists(root: string): Promise<GeneratedLists> {
  const found: FolderPair[] = [];
  for (const split of [...SPLITS, '']) {
    const [images, labels] = ['images', 'ucm2'].map((folder) => (split === '' ? folder : `${folder}/${split}`));
    if (split === '' && found.length > 0) break;
    if (!(await isFolder(join(root, images!)))) continue;
    found.push({
      list: split || 'all',
      images: images!,
      labels: (await isFolder(join(root, labels!))) ? labels! : null,
    });
  }
  if (found.length === 0) throw new DataError('images', `no such folder in ${root}; is it the folder of BSDS500?`);
  return folderLists(root, BSDS500, found);
}
