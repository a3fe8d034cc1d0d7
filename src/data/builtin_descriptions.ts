/** Data sets that are known by name. */
import type { ClassDescription, DataDescription, Rgb } from './description.js';
import { DIGIT_CLASSES } from './digits.js';
import { vocPalette } from './image.js';

const COMMON = { ignore: [255], lists: {}, instances: 'index', labels: 'classes', regions: null } as const;

/** Things on a background, which is the first, in VOC's colours. */
function thingsOn(names: readonly string[]): ClassDescription[] {
  const palette = vocPalette();
  return names.map((name, index) => ({ name, colour: palette[index]!, values: [index], thing: index > 0 }));
}

/** PASCAL VOC 2012 (Everingham et al., 2010): 20 things on a background, in VOC's own colours. */
export const VOC2012: DataDescription = {
  ...COMMON,
  name: 'PASCAL VOC 2012',
  classes: thingsOn([
    ...['background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow'],
    ...['diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor'],
  ]),
};

type Row = readonly [name: string, value: number, colour: Rgb];

const cityscapesStuff: readonly Row[] = [
  ['road', 7, [128, 64, 128]],
  ['sidewalk', 8, [244, 35, 232]],
  ['building', 11, [70, 70, 70]],
  ['wall', 12, [102, 102, 156]],
  ['fence', 13, [190, 153, 153]],
  ['pole', 17, [153, 153, 153]],
  ['traffic light', 19, [250, 170, 30]],
  ['traffic sign', 20, [220, 220, 0]],
  ['vegetation', 21, [107, 142, 35]],
  ['terrain', 22, [152, 251, 152]],
  ['sky', 23, [70, 130, 180]],
];
const cityscapesThings: readonly Row[] = [
  ['person', 24, [220, 20, 60]],
  ['rider', 25, [255, 0, 0]],
  ['car', 26, [0, 0, 142]],
  ['truck', 27, [0, 0, 70]],
  ['bus', 28, [0, 60, 100]],
  ['train', 31, [0, 80, 100]],
  ['motorcycle', 32, [0, 0, 230]],
  ['bicycle', 33, [119, 11, 32]],
];
const cityscapesClasses: readonly ClassDescription[] = [
  ...cityscapesStuff.map(([name, id, colour]) => ({ name, colour, values: [id], thing: false })),
  ...cityscapesThings.map(([name, id, colour]) => ({ name, colour, values: [id], thing: true })),
];
const cityscapesIds = new Set(cityscapesClasses.flatMap(({ values }) => values));

/**
 * Cityscapes (Cordts et al., 2016) as its `labelIds` files have it: 34 ids, of which 19 are evaluated, as classes in
 * the order of the train ids. Predictions are written as ids again; ignored pixels as 0, unlabeled.
 */
export const CITYSCAPES: DataDescription = {
  ...COMMON,
  name: 'Cityscapes',
  classes: cityscapesClasses,
  ignore: [...Array.from({ length: 34 }, (_, id) => id).filter((id) => !cityscapesIds.has(id)), 255],
  instances: 'cityscapes',
};

/** Cityscapes as its `labelTrainIds` files have it. */
export const CITYSCAPES_TRAIN_IDS: DataDescription = {
  ...CITYSCAPES,
  name: 'Cityscapes, train ids',
  classes: cityscapesClasses.map((each, index) => ({ ...each, values: [index] })),
  ignore: [255],
};

const camvidClasses: readonly (readonly [name: string, colour: Rgb])[] = [
  ['Sky', [128, 128, 128]],
  ['Building', [128, 0, 0]],
  ['Pole', [192, 192, 128]],
  ['Road', [128, 64, 128]],
  ['Pavement', [60, 40, 222]],
  ['Tree', [128, 128, 0]],
  ['SignSymbol', [192, 128, 128]],
  ['Fence', [64, 64, 128]],
  ['Car', [64, 0, 128]],
  ['Pedestrian', [64, 64, 0]],
  ['Bicyclist', [0, 128, 192]],
];
const camvidThings = new Set(['Car', 'Pedestrian', 'Bicyclist']);

/** CamVid (Brostow et al., 2009) with the 11 classes of SegNet (Badrinarayanan et al., 2017); its void is 11, or 255. */
export const CAMVID: DataDescription = {
  ...COMMON,
  name: 'CamVid',
  classes: camvidClasses.map(([name, colour], index) => ({
    name,
    colour,
    values: [index],
    thing: camvidThings.has(name),
  })),
  ignore: [255, 11],
};

/** BSDS500 (Arbelaez et al., 2011): no classes; beside each image its ultrametric contour map at twice the size. */
export const BSDS500: DataDescription = { ...COMMON, name: 'BSDS500', classes: [], labels: 'ucm2' };

/** The scenes of handwritten digits that the demo composes. */
export const DIGITS: DataDescription = { ...COMMON, name: 'digits', classes: thingsOn(DIGIT_CLASSES) };

export const DESCRIPTIONS = {
  voc2012: VOC2012,
  cityscapes: CITYSCAPES,
  'cityscapes-train-ids': CITYSCAPES_TRAIN_IDS,
  camvid: CAMVID,
  bsds500: BSDS500,
  digits: DIGITS,
} as const satisfies Record<string, DataDescription>;

export type DescriptionName = keyof typeof DESCRIPTIONS;

export const isDescriptionName = (name: string): name is DescriptionName => Object.hasOwn(DESCRIPTIONS, name);
