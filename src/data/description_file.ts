/** Descriptions of data sets as files: `dataset.json`, and the older `classes.json`. */

import * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';
import { FileError, type FileSource } from '../platform/files.js';
import type { DataDescription, Rgb } from './description.js';
import { DataError, messageOf } from './errors.js';
import { IGNORE_LABEL, vocPalette } from './image.js';
import { INSTANCE_ENCODINGS } from './label_reading.js';
import { parseRegionRule } from './region_rule.js';

// The small interface has no messages of its own.
const english = en().localeError;

/** The file of a description in the folder of a data set. */
export const DESCRIPTION_FILE = 'dataset.json';
/** The older, simpler file: class names alone, as `{"classes": [...]}`. */
const CLASSES_FILE = 'classes.json';

// zod's small interface, for the sake of pages: its schemas are functions, of which bundlers keep those that are used.
const text = z.string().check(z.minLength(1));
const value = z.int().check(z.minimum(0), z.maximum(255));
const oneOrMore = z.pipe(
  z.transform((given) => (Array.isArray(given) ? given : [given])),
  z.array(value).check(z.minLength(1)),
);
const hexColour = z.string().check(z.regex(/^#[0-9a-f]{6}$/i, 'must be a colour such as "#804080"'));
const classSchema = z.pipe(
  z.transform((given) => (typeof given === 'string' ? { name: given } : given)),
  z.strictObject({
    name: text,
    colour: z.optional(hexColour),
    values: z.optional(oneOrMore),
    thing: z._default(z.boolean(), false),
  }),
);
const regionSchema = z.string().check(({ value, issues }) => {
  try {
    parseRegionRule(value);
  } catch (error) {
    issues.push({ code: 'custom', input: value, message: messageOf(error) });
  }
});
const schema = z
  .strictObject({
    name: z.optional(text),
    classes: z.array(classSchema).check(z.maxLength(255)),
    ignore: z._default(oneOrMore, [IGNORE_LABEL]),
    lists: z._default(z.record(z.string(), text), {}),
    instances: z._default(z.enum(INSTANCE_ENCODINGS), 'index'),
    labels: z._default(z.enum(['classes', 'ucm2']), 'classes'),
    regions: z._default(z.nullable(regionSchema), null),
  })
  .check(({ value: { classes, ignore }, issues }) => {
    const complain = (path: PropertyKey[], message: string) =>
      issues.push({ code: 'custom', input: classes, path, message });
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
  const result = schema.safeParse(contents, { error: english });
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
