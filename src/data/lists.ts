/** Lists of samples, in the format of the SegSort and DeepLab releases: `image label` a line, or `image label instances`. */
import { DataError } from './errors.js';

export interface ListEntry {
  /** Path of the image, relative to the root of the data set. */
  readonly image: string;
  /** Path of the label image; null in lists for prediction. */
  readonly label: string | null;
  /** Path of the instance map, where the list has one. */
  readonly instances?: string;
  /** Line of the list, counted from 1. */
  readonly line: number;
}

export interface ImageList {
  /** Name of the list, for messages. */
  readonly file: string;
  readonly entries: readonly ListEntry[];
}

/**
 * Parses a list: an image path, unless the list is for prediction a label path, and perhaps the path of an instance
 * map, separated by blanks. Paths are relative to the root of the data set; a leading slash, which some released lists
 * have, is dropped. Blank lines are skipped.
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
    const [image, label, instances] = fields.map((field) => field.replace(/^\/+/, ''));
    // Three fields are more often a path with a blank in it than a list with instances; those are PNG.
    if (fields.length > 3 || (instances !== undefined && !(endsInPng(label!) && endsInPng(instances))))
      throw new DataError(
        file,
        `line ${index + 1} has ${fields.length} fields, expected \`image label\` or \`image label.png instances.png\` (paths must not contain blanks): ${line}`,
      );
    if (image === '' || label === '') throw new DataError(file, `line ${index + 1} has an empty path: ${line}`);
    entries.push({
      image: image!,
      label: label ?? null,
      ...(instances === undefined ? {} : { instances }),
      line: index + 1,
    });
  }
  if (entries.length === 0) throw new DataError(file, 'lists no images; each line is `image label`');
  return { file, entries };
}

const endsInPng = (path: string): boolean => /\.png$/i.test(path);

/**
 * A list as `parseList` reads it.
 *
 * @throws DataError for a path with a blank in it, at which its line would be divided
 */
export function formatList(entries: readonly Omit<ListEntry, 'line'>[]): string {
  const lines = entries.map(({ image, label, instances }) => {
    const paths = [image, label, instances].filter((path) => path != null);
    const divided = paths.find((path) => /[ \t\r\n]/.test(path));
    if (divided !== undefined)
      throw new DataError(divided, 'has a blank in its path, which lists cannot hold; rename it');
    return `${paths.join(' ')}\n`;
  });
  return lines.join('');
}
