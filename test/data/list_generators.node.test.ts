/** Lists generated from folders laid out as VOC, Cityscapes, CamVid and BSDS500 are. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cityscapesLists } from '../../src/data/cityscapes_lists.node.js';
import { openDescription, parseDescription } from '../../src/data/description_file.js';
import { bsdsLists, camvidLists, folderLists } from '../../src/data/folder_lists.node.js';
import { type GeneratedLists, writeLists } from '../../src/data/list_folder.node.js';
import { formatList } from '../../src/data/lists.js';
import { vocLists } from '../../src/data/voc_lists.node.js';
import { folderFiles } from '../../src/platform/files.node.js';

let base = '';
let root = '';
let count = 0;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'segsort-lists-'));
});
beforeEach(() => {
  root = join(base, `${count++}`);
});
afterAll(() => rm(base, { recursive: true, force: true }));

/** Files with these contents; without, empty ones. */
async function put(...files: (string | [string, string])[]): Promise<void> {
  for (const file of files) {
    const [path, text] = typeof file === 'string' ? [file, ''] : file;
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}
const textOf = ({ lists }: GeneratedLists, name: string) =>
  formatList(lists.get(name) ?? [])
    .trimEnd()
    .split('\n');
const lines = (...names: string[]) => `${names.join('\n')}\n`;
const each = (folder: string, names: string[], ending: string) => names.map((name) => `${folder}/${name}${ending}`);

describe('VOC 2012', () => {
  const sets = 'ImageSets/Segmentation';

  it('in the layout of the release gives its five lists', async () => {
    await put(
      [`VOC2012/${sets}/train.txt`, lines('t2', 't1')],
      [`VOC2012/${sets}/val.txt`, lines('v1')],
      [`VOC2012-test/${sets}/test.txt`, lines('x1', 'x2')],
      ...each('VOC2012/JPEGImages', ['t1', 't2', 'v1', 's1', 's2', 's3'], '.jpg'),
      ...each('VOC2012-test/JPEGImages', ['x1', 'x2'], '.jpg'),
      ...each('VOC2012/segcls', ['t1', 't2', 'v1'], '.png'),
      ...each('VOC2012/SegmentationClass', ['t1', 't2', 'v1'], '.png'),
      // SBD has masks of VOC's images too: neither those to train nor those to validate on are taken from it.
      ...each('sbd/dataset/clsimg', ['t1', 'v1', 's1', 's2', 's3'], '.png'),
      ['sbd/dataset/train.txt', lines('v1', 's3')],
      ['sbd/dataset/val.txt', lines('s2', 's1', 't1')],
    );
    const generated = await vocLists(root);
    const train = [
      'VOC2012/JPEGImages/t2.jpg VOC2012/segcls/t2.png',
      'VOC2012/JPEGImages/t1.jpg VOC2012/segcls/t1.png',
    ];
    const val = ['VOC2012/JPEGImages/v1.jpg VOC2012/segcls/v1.png'];
    expect(textOf(generated, 'train')).toEqual(train);
    expect(textOf(generated, 'val')).toEqual(val);
    expect(textOf(generated, 'trainval')).toEqual([...train, ...val]);
    const sbd = (name: string) => `VOC2012/JPEGImages/${name}.jpg sbd/dataset/clsimg/${name}.png`;
    expect(textOf(generated, 'train+')).toEqual([...train, sbd('s3'), sbd('s1'), sbd('s2')]);
    expect(textOf(generated, 'test')).toEqual(each('VOC2012-test/JPEGImages', ['x1', 'x2'], '.jpg'));
    expect([generated.missing, generated.notes]).toEqual([[], []]);
    expect(generated.description.lists).toEqual({
      train: 'train.txt',
      val: 'val.txt',
      trainval: 'trainval.txt',
      'train+': 'train+.txt',
      test: 'test.txt',
    });
  });

  it('as it is unpacked, with SegmentationClassAug and instances, from VOC2012 itself', async () => {
    await put(
      [`${sets}/train.txt`, lines('t1')],
      [`${sets}/val.txt`, lines('v1', 'gone')],
      ...each('JPEGImages', ['t1', 'v1', 's1'], '.jpg'),
      ...each('SegmentationClass', ['t1', 'v1'], '.png'),
      ...each('SegmentationObject', ['t1', 'v1'], '.png'),
      ...each('SegmentationClassAug', ['t1', 'v1', 's1'], '.png'),
    );
    const generated = await vocLists(root, { instances: true });
    const train = 'JPEGImages/t1.jpg SegmentationClass/t1.png SegmentationObject/t1.png';
    expect(textOf(generated, 'train+')).toEqual([train, 'JPEGImages/s1.jpg SegmentationClassAug/s1.png']);
    expect(textOf(generated, 'val')).toEqual(['JPEGImages/v1.jpg SegmentationClass/v1.png SegmentationObject/v1.png']);
    expect(generated.missing).toEqual(['JPEGImages/gone']);
    expect(generated.notes).toEqual(['no test: there is no ImageSets/Segmentation/test.txt']);
  });

  it('says what is not there', async () => {
    await put('VOC2012/JPEGImages/a.jpg');
    await expect(vocLists(root)).rejects.toThrow(/^VOC2012\/ImageSets\/Segmentation\/(train|val)\.txt: no such file/);
    await put([`VOC2012/${sets}/train.txt`, 'a\n'], [`VOC2012/${sets}/val.txt`, '']);
    await expect(vocLists(root)).rejects.toThrow('VOC2012/SegmentationClass: no such folder');
    await put('VOC2012/SegmentationClass/a.png');
    const { notes, lists } = await vocLists(root);
    expect(notes[0]).toBe(
      'no train+: there is neither sbd/dataset/clsimg nor VOC2012/SegmentationClassAug, the masks of SBD',
    );
    expect([...lists.keys()]).toEqual(['train', 'val', 'trainval']);
  });
});

describe('Cityscapes', () => {
  beforeEach(() =>
    put(
      ...['train/ulm/ulm_000001_000019', 'train/aachen/aachen_000000_000019', 'val/lindau/lindau_0_0'].flatMap(
        (name) => [
          `leftImg8bit/${name}_leftImg8bit.png`,
          ...['labelIds', 'labelTrainIds', 'instanceIds', 'color'].map((kind) => `gtFine/${name}_gtFine_${kind}.png`),
        ],
      ),
      'leftImg8bit/test/berlin/berlin_0_0_leftImg8bit.png',
      'gtFine/test/berlin/berlin_0_0_gtFine_labelIds.png',
      'leftImg8bit/train_extra/bayreuth/b_0_leftImg8bit.png',
      'gtCoarse/train_extra/bayreuth/b_0_gtCoarse_labelIds.png',
      'leftImg8bit/train/.DS_Store',
    ),
  );

  it('gives images with label ids, city by city, and test images without', async () => {
    const generated = await cityscapesLists(root);
    expect(textOf(generated, 'train')).toEqual([
      'leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png',
      'leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png gtFine/train/ulm/ulm_000001_000019_gtFine_labelIds.png',
    ]);
    expect(textOf(generated, 'test')).toEqual(['leftImg8bit/test/berlin/berlin_0_0_leftImg8bit.png']);
    expect(textOf(generated, 'train_extra')).toEqual([
      'leftImg8bit/train_extra/bayreuth/b_0_leftImg8bit.png gtCoarse/train_extra/bayreuth/b_0_gtCoarse_labelIds.png',
    ]);
    expect(generated.description).toMatchObject({ name: 'Cityscapes', instances: 'cityscapes' });
  });

  it('gives train ids and instances where asked to, and names what lacks labels', async () => {
    await rm(join(root, 'gtFine/train/ulm'), { recursive: true });
    const generated = await cityscapesLists(root, { instances: true, trainIds: true });
    expect(textOf(generated, 'val')).toEqual([
      'leftImg8bit/val/lindau/lindau_0_0_leftImg8bit.png gtFine/val/lindau/lindau_0_0_gtFine_labelTrainIds.png gtFine/val/lindau/lindau_0_0_gtFine_instanceIds.png',
    ]);
    expect(generated.missing).toEqual(['gtFine/train/ulm/ulm_000001_000019', 'gtCoarse/train_extra/bayreuth/b_0']);
    expect(generated.description.classes[18]!.values).toEqual([18]);
  });

  it('is not looked for where it is not', async () => {
    await expect(cityscapesLists(base)).rejects.toThrow('leftImg8bit: no such folder');
  });
});

describe('folders of equal names', () => {
  it('of CamVid', async () => {
    await put(
      'train/b.png',
      'train/a.png',
      'trainannot/a.png',
      'trainannot/b.png',
      'val/c.png',
      'valannot/c.png',
      'test/d.png',
    );
    const generated = await camvidLists(root);
    expect(textOf(generated, 'train')).toEqual(['train/a.png trainannot/a.png', 'train/b.png trainannot/b.png']);
    expect(textOf(generated, 'test')).toEqual(['test/d.png']);
    expect(generated.description.ignore).toEqual([255, 11]);
    await expect(camvidLists(base)).rejects.toThrow('train: no such folder');
  });

  it('of BSDS500, with its splits or without', async () => {
    await put('images/100.jpg', 'images/Thumbs.db', 'ucm2/100.png');
    expect(textOf(await bsdsLists(root), 'all')).toEqual(['images/100.jpg ucm2/100.png']);
    await put('images/train/7.jpg', 'ucm2/train/7.png', 'images/test/8.jpg');
    const generated = await bsdsLists(root);
    expect(textOf(generated, 'train')).toEqual(['images/train/7.jpg ucm2/train/7.png']);
    expect(textOf(generated, 'test')).toEqual(['images/test/8.jpg']);
    expect(generated.description.labels).toBe('ucm2');
  });

  it("of one's own", async () => {
    await put('x/a.JPG', 'x/b.jpeg', 'y/a.png', 'z/a.png', 'empty/readme.md');
    const own = parseDescription({ name: 'own', classes: ['ground', 'cat'] }, 'dataset.json');
    const pair = { list: 'train', images: 'x', labels: 'y', instances: 'z' };
    const generated = await folderLists(root, own, [pair]);
    expect(textOf(generated, 'train')).toEqual(['x/a.JPG y/a.png z/a.png']);
    expect(generated.missing).toEqual(['y/b']);
    await expect(folderLists(root, own, [{ ...pair, images: 'empty' }])).rejects.toThrow('empty: holds no images');
    await expect(folderLists(root, own, [{ ...pair, labels: 'w' }])).rejects.toThrow('w: no such folder in');
  });
});

it('refuses files of one name, and names that lists cannot hold', async () => {
  const own = parseDescription({ name: 'own', classes: ['ground', 'cat'] }, 'dataset.json');
  const pair = { list: 'train', images: 'x', labels: null };
  await put('x/a.jpg', 'x/a.png', 'y/IMG 001.jpg');
  await expect(folderLists(root, own, [pair])).rejects.toThrow('x: has both a.jpg and a.png');
  const generated = await folderLists(root, own, [{ ...pair, images: 'y' }]);
  await expect(writeLists(root, generated)).rejects.toThrow('y/IMG 001.jpg: has a blank in its path');
});

describe('writeLists', () => {
  it('writes lists and description, never over others unless told to', async () => {
    await put('train/a.png', 'trainannot/a.png');
    const generated = await camvidLists(root);
    expect(await writeLists(root, generated)).toEqual(['dataset.json', 'train.txt']);
    expect(await readFile(join(root, 'train.txt'), 'utf8')).toBe('train/a.png trainannot/a.png\n');
    expect(await openDescription(folderFiles(root))).toEqual(generated.description);
    expect(await writeLists(root, generated)).toEqual([]);
    await writeFile(join(root, 'train.txt'), 'mine\n');
    await rm(join(root, 'dataset.json'));
    await expect(writeLists(root, generated)).rejects.toThrow('has train.txt already, with other contents');
    await expect(readFile(join(root, 'dataset.json'))).rejects.toThrow('ENOENT');
    expect(await writeLists(root, generated, { force: true })).toEqual(['dataset.json', 'train.txt']);
  });
});
