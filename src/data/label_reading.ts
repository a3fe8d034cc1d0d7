/** What the values of label, instance and region files mean. */
import { DataError } from './errors.js';
import { type IdImage, IGNORE_LABEL, type LabelImage, NO_ID } from './image.js';

/**
 * How instances are numbered in their files:
 * - `index` (VOC's SegmentationObject): a number an object, 0 and 255 for none;
 * - `cityscapes` (its instanceIds): `class * 1000 + number` for an object, the class alone for what is none;
 * - `panoptic` (DeepLab's and SegSort's panoptic labels): `class * 256 + number`, number 0 for what is no object.
 */
export type InstanceEncoding = 'index' | 'cityscapes' | 'panoptic';

export const INSTANCE_ENCODINGS: readonly [InstanceEncoding, ...InstanceEncoding[]] = [
  'index',
  'cityscapes',
  'panoptic',
];

/** Plain data, so that workers can be sent it. */
export interface LabelReading {
  /**
   * By value of a label file, 0 to 255: its class, 255 where it is ignored, or -1 where no label file may hold it.
   * Null: values are classes.
   */
  readonly classes: Int16Array | null;
  readonly instances: InstanceEncoding;
  /**
   * What the second column of a list names: `classes`, label images; or `ucm2`, ultrametric contour maps at twice the
   * size of the image (2h+1 by 2w+1, as gPb-owt-ucm writes them), so that the images have no labels.
   */
  readonly labels: 'classes' | 'ucm2';
}

/** Values are classes, 255 ignored, instances are numbered as VOC does. */
export const PLAIN_LABELS: LabelReading = { classes: null, instances: 'index', labels: 'classes' };

/**
 * Classes of the values of a label file.
 *
 * @throws DataError naming the file, the first value that no label file may hold, and its pixel
 */
export function readClasses(values: LabelImage, { classes }: LabelReading, file: string): Uint8Array {
  if (!classes) return values.data;
  const { width, data } = values;
  const read = new Uint8Array(data.length);
  for (let pixel = 0; pixel < data.length; pixel++) {
    const value = data[pixel]!;
    const label = classes[value]!;
    if (label < 0)
      throw new DataError(
        file,
        `holds ${value} at row ${Math.floor(pixel / width)}, column ${pixel % width}, which is neither a class nor ignored`,
      );
    read[pixel] = label;
  }
  return read;
}

/** The values of an instance file where they are objects, unchanged, and `NO_ID` elsewhere. */
export function readInstances(values: IdImage, encoding: InstanceEncoding): Uint16Array {
  return values.data.map((value) => (isInstance(value, encoding) ? value : NO_ID));
}

/** Whether a value of an instance file stands for one object. */
export function isInstance(value: number, encoding: InstanceEncoding): boolean {
  if (encoding === 'cityscapes') return value >= 1000;
  if (encoding === 'panoptic') return value % 256 !== 0 && value >> 8 !== IGNORE_LABEL;
  return value !== 0 && value !== IGNORE_LABEL;
}

/** Value of the label file that an instance file implies; null where instances say nothing of classes. */
export function classValueOf(value: number, encoding: InstanceEncoding): number | null {
  if (encoding === 'cityscapes') return value >= 1000 ? Math.floor(value / 1000) : value;
  return encoding === 'panoptic' ? value >> 8 : null;
}

/**
 * The label values in a file of 16 bits, which says class and object at once.
 *
 * @throws DataError naming the file, where the encoding says nothing of classes, or a class is above 255
 */
export function classValues(values: IdImage, encoding: InstanceEncoding, file: string): LabelImage {
  const { width, height, data } = values;
  const labels = new Uint8Array(data.length);
  for (let pixel = 0; pixel < data.length; pixel++) {
    const label = classValueOf(data[pixel]!, encoding);
    if (label === null || label > 255)
      throw new DataError(
        file,
        label === null
          ? 'has 16-bit labels; save them as 8-bit grey PNG (classes 0 to 254, 255 to ignore), or name the encoding of instances that they follow (cityscapes, panoptic)'
          : `holds ${data[pixel]} at row ${Math.floor(pixel / width)}, column ${pixel % width}: class ${label} is above 255`,
      );
    labels[pixel] = label;
  }
  return { width, height, data: labels };
}
