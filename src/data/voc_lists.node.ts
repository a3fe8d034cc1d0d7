/** The lists of PASCAL VOC 2012, as the SegSort release has them: train, train+, val, trainval, test. */
import { join } from 'node:path';
import { VOC2012 } from './builtin_descriptions.js';
import { DataError } from './errors.js';
import {
  firstFolder,
  type GeneratedLists,
  isFolder,
  type NewEntry,
  namesIn,
  openShelf,
  pairUp,
  withLists,
} from './list_folder.node.js';

const IMAGE_SETS = 'ImageSets/Segmentation';

export interface VocOptions {
  /** Names the instance maps in a third column, where there are any (VOC's own images; SBD's have none). */
  readonly instances?: boolean;
}

/**
 * Lists of a folder that holds `VOC2012/` (such as VOCdevkit), or of the folder VOC2012 itself. `train+` is VOC's own
 * training images followed by those of SBD that are in neither of VOC's lists: first SBD's training images and then
 * its validation images where SBD's own lists tell them apart. Masks of VOC are taken from `segcls/` (grey) or
 * `SegmentationClass/` (palette), those of SBD from `sbd/dataset/clsimg/` or `VOC2012/SegmentationClassAug/`.
 *
 * @throws DataError naming the folder or list that is missing
 */
export async function vocLists(root: string, { instances = false }: VocOptions = {}): Promise<GeneratedLists> {
  const inside = await isFolder(join(root, 'VOC2012'));
  const within = (base: string, path: string) => (base === '' ? path : `${base}/${path}`);
  const own = inside ? 'VOC2012' : '';
  const voc = (path: string) => within(own, path);
  const sets = async (base: string, name: string) => namesIn(join(root, within(base, `${IMAGE_SETS}/${name}.txt`)));
  const [train, val] = await Promise.all(
    ['train', 'val'].map(async (name) => {
      const names = await sets(own, name);
      if (!names)
        throw new DataError(voc(`${IMAGE_SETS}/${name}.txt`), `no such file in ${root}; is it the folder of VOC 2012?`);
      return names;
    }),
  );
  const classFolder = await firstFolder(root, [voc('segcls'), voc('SegmentationClass')]);
  if (!classFolder) throw new DataError(voc('SegmentationClass'), `no such folder in ${root}, and no segcls beside it`);

  const images = await openShelf(root, voc('JPEGImages'), ['.jpg']);
  const labels = await openShelf(root, classFolder, ['.png']);
  const objectFolder = instances ? await firstFolder(root, [voc('SegmentationObject')]) : null;
  const objects = objectFolder ? await openShelf(root, objectFolder, ['.png']) : null;
  const missing: string[] = [];
  const notes: string[] = [];
  const pair = (names: readonly string[]) => pairUp(names, { images, labels, instances: objects }, missing);
  const lists = new Map<string, NewEntry[]>([
    ['train', pair(train!)],
    ['val', pair(val!)],
  ]);
  lists.set('trainval', [...lists.get('train')!, ...lists.get('val')!]);
  if (instances && !objects) notes.push(`no instance maps: there is no ${voc('SegmentationObject')}`);

  const augmented = await firstFolder(root, ['sbd/dataset/clsimg', voc('SegmentationClassAug')]);
  if (augmented) {
    const masks = await openShelf(root, augmented, ['.png']);
    const known = new Set([...train!, ...val!]);
    const added = (await sbdOrder(root, [...masks.files.keys()])).filter((name) => !known.has(name));
    lists.set('train+', [...lists.get('train')!, ...pairUp(added, { images, labels: masks }, missing)]);
  } else
    notes.push(`no train+: there is neither sbd/dataset/clsimg nor ${voc('SegmentationClassAug')}, the masks of SBD`);

  // The test images come as an archive of their own, unpacked beside the others or over them.
  for (const base of inside ? ['VOC2012-test', own] : [own]) {
    const test = await sets(base, 'test');
    if (!test) continue;
    const testImages = await openShelf(root, within(base, 'JPEGImages'), ['.jpg']);
    lists.set('test', pairUp(test, { images: testImages, labels: null }, missing));
    break;
  }
  if (!lists.has('test')) notes.push(`no test: there is no ${IMAGE_SETS}/test.txt`);
  return { description: withLists(VOC2012, lists), lists, missing, notes };
}

/** The names with masks: those of SBD's own list `train`, where it is there, those of its `val`, then the rest; each by name. */
async function sbdOrder(root: string, names: readonly string[]): Promise<string[]> {
  const there = new Set(names);
  const ordered = new Set<string>();
  for (const list of ['train', 'val'])
    for (const name of ((await namesIn(join(root, 'sbd/dataset', `${list}.txt`))) ?? []).sort())
      if (there.has(name)) ordered.add(name);
  for (const name of names) ordered.add(name);
  return [...ordered];
}
