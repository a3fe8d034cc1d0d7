/** What a data set is: its classes and their colours, what its label files hold, where its lists lie (`dataset.json`). */
import { z } from 'zod';
import { FileError, type FileSource } from '../platform/files.js';
import type { DatasetOptions } from './dataset.js';
import { DataError, messageOf } from './errors.js';
import { IGNORE_LABEL, type LabelImage, vocPalette } from './image.js';
import { INSTANCE_ENCODINGS, type LabelReading } from './label_reading.js';
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

/** The file of a description in the folder of a data set. */
export const DESCRIPTION_FILE = 'dataset.json';
/** The older, simpler file: class names alone, as `{"classes": [...]}`. */
const CLASSES_FILE = 'classes.json';

const value = z.int().min(0).max(255);
const oneOrMore = z.preprocess((given) => (Array.isArray(given) ? given : [given]), z.array(value).min(1));
const hexColour = z.string().regex(/^#[0-9a-f]{6}$/i, 'must be a colour such as "#804080"');
const classSchema = z.preprocess(
  (given) => (typeof given === 'string' ? { name: given } : given),
  z.strictObject({
    name: z.string().min(1),
    colour: hexColour.optional(),
    values: oneOrMore.optional(),
    thing: z.boolean().default(false),
  }),
);
const regionSchema = z.string().superRefine((text, context) => {
  try {
    parseRegionRule(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});
const schema = z
  .strictObject({
    name: z.string().min(1).optional(),
    classes: z.array(classSchema).max(255),
    ignore: oneOrMore.default([IGNORE_LABEL]),
    lists: z.record(z.string(), z.string().min(1)).default({}),
    instances: z.enum(INSTANCE_ENCODINGS).default('index'),
    labels: z.enum(['classes', 'ucm2']).default('classes'),
    regions: regionSchema.nullable().default(null),
  })
  .superRefine(({ classes, ignore }, context) => {
    const complain = (path: PropertyKey[], message: string) => context.addIssue({ code: 'custom', path, message });
    const names = new Map<string, number>();
    const holders = new Map(ignore.map((each) => [each, 'ignore']));
    for (const [index, { name, values = [index] }] of classes.entries()) {
      if (names.has(name))
        complain(['classes', index, 'name'], `"${name}" is the name of class ${names.get(name)} too`);
      names.set(name, index);
      for (const each of values) {
        const holder = holders.get(each);
        if (holder) complain(['classes', index, 'values'], `the value ${each} belongs to ${holder} too`);
        holders.set(each, `class ${index}`);
      }
    }
    const listed = classes.filter(({ values }) => values).length;
    if (listed > 0 && listed < classes.length)
      complain(['classes'], `${listed} of ${classes.length} classes have values; either all have them, or none`);
  });

/**
 * Checks a description.
 *
 * @param file name of its file, for messages
 * @throws DataError naming every field that is wrong
 */
export function parseDescription(contents: unknown, file: string): DataDescription {
  const result = schema.safeParse(contents);
  if (!result.success) {
    const lines = result.error.issues.map(({ path, message }) => `${pathText(path) || 'the file'}: ${message}`);
    throw new DataError(file, lines.length === 1 ? lines[0]! : `\n  ${lines.join('\n  ')}`);
  }
  const { name, classes, ...rest } = result.data;
  const palette = vocPalette();
  return {
    name: name ?? 'data',
    classes: classes.map(({ name, colour, values, thing }, index) => ({
      name,
      colour: colour ? rgbOf(colour) : palette[index]!,
      values: values ?? [index],
      thing,
    })),
    ...rest,
  };
}

/** `classes[2].name` */
const pathText = (path: readonly PropertyKey[]): string =>
  path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('');

function rgbOf(hex: string): Rgb {
  const word = Number.parseInt(hex.slice(1), 16);
  return [word >> 16, (word >> 8) & 255, word & 255];
}

const hexOf = (colour: Rgb): string => `#${colour.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;

/**
 * The description of a data set, from its `dataset.json`, or its `classes.json`; null where it has neither.
 *
 * @throws DataError naming the file and what is wrong in it
 */
export async function openDescription(source: FileSource): Promise<DataDescription | null> {
  for (const file of [DESCRIPTION_FILE, CLASSES_FILE]) {
    const bytes = await source.read(file).catch((error: unknown) => {
      if (error instanceof FileError && error.missing) return null;
      throw error instanceof FileError ? new DataError(file, error.reason, { cause: error }) : error;
    });
    if (bytes)
      return parseDescription(file === CLASSES_FILE ? namesOnly(parseJson(bytes, file)) : parseJson(bytes, file), file);
  }
  return null;
}

/** Of the older file, a list of names or an object that has one, what a description knows. */
function namesOnly(contents: unknown): unknown {
  if (Array.isArray(contents)) return { classes: contents };
  if (typeof contents !== 'object' || contents === null) return contents;
  const { classes, ignore } = contents as { classes?: unknown; ignore?: unknown };
  return ignore === undefined ? { classes } : { classes, ignore };
}

function parseJson(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new DataError(file, `is not JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** The text of a `dataset.json`, a class a line; `parseDescription` takes it back unchanged. */
export function formatDescription(description: DataDescription): string {
  const { name, classes, ...rest } = description;
  // Line breaks inside of strings are escaped, so all that are left are those of the layout.
  const line = (field: unknown): string => JSON.stringify(field, null, 1).replace(/\n */g, ' ');
  const rows = classes.map(({ name, colour, values, thing }) =>
    line({ name, colour: hexOf(colour), values, ...(thing ? { thing } : {}) }),
  );
  const fields = Object.entries(rest).map(([key, field]) => `  "${key}": ${line(field)}`);
  const list = rows.length === 0 ? '[]' : `[\n${rows.map((row) => `    ${row}`).join(',\n')}\n  ]`;
  return `{\n${[`  "name": ${JSON.stringify(name)}`, `  "classes": ${list}`, ...fields].join(',\n')}\n}\n`;
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
