/** Lists of samples, in the format of the SegSort and DeepLab releases: `image label` a line. */
import { DataError } from './errors.js';

export interface ListEntry {
  /** Path of the image, relative to the root of the data set. */
  readonly image: string;
  /** Path of the label image; null in lists for prediction. */
  readonly label: string | null;
  /** Line of the list, counted from 1. */
  readonly line: number;
}

export interface ImageList {
  /** Name of the list, for messages. */
  readonly file: string;
  readonly entries: readonly ListEntry[];
}

/**
 * Parses a list: an image path and, unless the list is for prediction, a label path, separated by blanks. Paths are
 * relative to the root of the data set; a leading slash, which some released lists have, is dropped. Blank lines are
 * skipped.
 *
 * @param file name of the list, for messages
 * @throws DataError naming list and line, and where the list holds no sample
 */
export function parseList(text: string, file: string): ImageList {
  const entries: ListEntry[] = [];
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    const fields = line.split(/[ \t]+/).filter((field) => field !== '');
    if (fields.length === 0) continue;
    if (fields.length > 2)
      throw new DataError(
        file,
        `line ${index + 1} has ${fields.length} fields, expected \`image label\` (paths must not contain blanks): ${line}`,
      );
    const [image, label] = fields.map((field) => field.replace(/^\/+/, ''));
    if (image === '' || label === '') throw new DataError(file, `line ${index + 1} has an empty path: ${line}`);
    entries.push({ image: image!, label: label ?? null, line: index + 1 });
  }
  if (entries.length === 0) throw new DataError(file, 'lists no images; each line is `image label`');
  return { file, entries };
}

export function formatList(entries: readonly Pick<ListEntry, 'image' | 'label'>[]): string {
  return entries.map(({ image, label }) => `${label === null ? image : `${image} ${label}`}\n`).join('');
}
