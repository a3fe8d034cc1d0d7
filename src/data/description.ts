/** What a data set is: its classes and their colours, what its label files hold, where its lists lie. */
import type { DatasetOptions } from './dataset.js';
import { DataError } from './errors.js';
import { IGNORE_LABEL, type LabelImage, vocPalette } from './image.js';
import type { LabelReading } from './label_reading.js';
import { parseRegionRule } from './region_rule.js';

export type Rgb = readonly [number, number, number];

export interface ClassDescription {
  readonly name: string;
  readonly colour: Rgb;
  /** Its values in label files; predictions are written as the first. */
  readonly values: readonly number[];
  /** Whether it is countable: a class of objects, not of stuff. */
  readonly thing: boolean;
}

export interface DataDescription {
  readonly name: string;
  /** Empty where the data set has no classes. The index is what networks learn and predict. */
  readonly classes: readonly ClassDescription[];
  /** Values of label files that stand for no class; never empty. */
  readonly ignore: readonly number[];
  /** Lists by what they are for: `train`, `val`, `test`, ...; paths in the data set. */
  readonly lists: Readonly<Record<string, string>>;
  readonly instances: LabelReading['instances'];
  readonly labels: LabelReading['labels'];
  /** Where region masks lie, as `parseRegionRule` takes it; null where there are none. */
  readonly regions: string | null;
}

export const classNames = ({ classes }: DataDescription): string[] => classes.map(({ name }) => name);

/** By class, whether it is countable. */
export const thingClasses = ({ classes }: DataDescription): boolean[] => classes.map(({ thing }) => thing);

/** The class of what is none of the others, which overlays leave as it is; null where every pixel is of some class. */
export function backgroundOf({ classes }: DataDescription): number | null {
  const index = classes.findIndex(({ name }) => name.toLowerCase() === 'background');
  return index < 0 ? null : index;
}

/**
 * How a `Dataset` reads the files of such a data set. Where values are classes as they are, they are not looked at, so
 * that a run may tell apart other classes than the description names.
 */
export function datasetOptions({ classes, ignore, instances, labels, regions }: DataDescription): DatasetOptions {
  const table = new Int16Array(256).fill(-1);
  for (const each of ignore) table[each] = IGNORE_LABEL;
  for (const [index, { values }] of classes.entries()) for (const each of values) table[each] = index;
  const plain =
    ignore.join() === `${IGNORE_LABEL}` && classes.every(({ values }, index) => values.join() === `${index}`);
  return {
    reading: { classes: plain ? null : table, instances, labels },
    regions: regions === null ? null : parseRegionRule(regions),
  };
}

/** 256 colours for classes as they are predicted; those past the last class are VOC's for ignored pixels. */
export function paletteOf({ classes }: DataDescription): [number, number, number][] {
  const ignored = vocPalette()[IGNORE_LABEL]!;
  return Array.from({ length: 256 }, (_, index) => [...(classes[index]?.colour ?? ignored)]);
}

/**
 * Predicted classes as the data set's own label files hold them, as benchmarks want submissions.
 *
 * @throws DataError naming the file, where it holds a class that there is not
 */
export function encodeLabels({ classes, ignore }: DataDescription, labels: LabelImage, file: string): LabelImage {
  const data = labels.data.map((label, pixel) => {
    const encoded = label === IGNORE_LABEL ? ignore[0] : classes[label]?.values[0];
    if (encoded !== undefined) return encoded;
    const [row, column] = [Math.floor(pixel / labels.width), pixel % labels.width];
    throw new DataError(
      file,
      `holds class ${label} at row ${row}, column ${column}; there are ${classes.length} classes`,
    );
  });
  return { width: labels.width, height: labels.height, data };
}
