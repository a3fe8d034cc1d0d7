/** The images that a command is told to segment: files, folders, globs, a list. */
import { readdir, stat } from 'node:fs/promises';
import { dirname, extname, relative, resolve } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { Dataset } from '../../data/dataset.js';
import { DataError } from '../../data/errors.js';
import { parseRegionRule } from '../../data/region_rule.js';
import { folderFiles, isWithin } from '../../platform/files.node.js';
import type { RunConfig } from '../config/schema.js';
import { findDescription, openList } from '../data_folder.js';
import { UsageError } from '../errors.js';
import { OR_FORCE, requireApart, requireNew } from '../output_files.js';
import type { RunFolder } from '../run_folder.js';
import { entriesOf, WITHOUT_REGIONS } from './segmentation.js';

const ENDINGS = new Set(['.jpg', '.jpeg', '.png']);

/**
 * The images of a list, or those named on the command line, as a data set; with the list's labels and instances if `labels`
 * says so, else it does not matter whether there are any.
 *
 * @throws UsageError where nothing, or nothing that there is, was named
 */
export async function imagesOf(
  run: RunFolder,
  paths: readonly string[],
  list: string | undefined,
  { labels = false } = {},
): Promise<Dataset> {
  if ((list === undefined) === (paths.length === 0))
    throw new UsageError('name either images and folders, or a --list of images');
  if (list !== undefined) {
    return openList(run.config.data.root, list, 'list', { ...WITHOUT_REGIONS, labels });
  }
  const files = [...new Set((await Promise.all(paths.map(filesUnder))).flat())];
  const common = commonFolder(files);
  const entries = files.map((file, index) => ({ image: relative(common, file), label: null, line: index + 1 }));
  return new Dataset(folderFiles(common), { file: 'the command line', entries });
}

/** A file itself; of a folder, the images in it, by name; of a pattern, the files that match. */
async function filesUnder(path: string): Promise<string[]> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (!found && isDynamicPattern(path)) return filesLike(path);
  if (!found) throw new UsageError(`there is no image or folder ${path}`);
  if (!found.isDirectory()) return [resolve(path)];
  const names = (await readdir(path)).filter(looksLikeImage);
  if (names.length === 0) throw new UsageError(`${path} holds no images; they are known by .jpg, .jpeg and .png`);
  return names.sort().map((name) => resolve(path, name));
}

async function filesLike(pattern: string): Promise<string[]> {
  const files = await glob(pattern, { absolute: true, expandDirectories: false });
  const images = files.filter(looksLikeImage);
  if (images.length === 0) throw new UsageError(`no .jpg, .jpeg or .png matches ${pattern}`);
  return images.sort().map((file) => resolve(file));
}

const looksLikeImage = (name: string): boolean => ENDINGS.has(extname(name).toLowerCase());

/** The deepest folder that holds all files. */
function commonFolder(files: readonly string[]): string {
  let folder = dirname(files[0]!);
  const holds = (file: string) => isWithin(folder, file);
  while (!files.every(holds) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

export interface BadImage {
  readonly name: string;
  readonly message: string;
}

/** The images whose headers can be read, and the others. Null where there are none that can. */
export async function readableImages(dataset: Dataset): Promise<{ readable: Dataset | null; bad: BadImage[] }> {
  const bad: BadImage[] = [];
  const indices: number[] = [];
  for (let index = 0; index < dataset.length; index++)
    try {
      await dataset.sizeOf(index);
      indices.push(index);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      bad.push({ name: dataset.names[index]!, message: error.message });
    }
  if (bad.length === 0) return { readable: dataset, bad };
  return { readable: indices.length > 0 ? entriesOf(dataset, indices) : null, bad };
}

/** What was wrong with the images that were passed over, a line each. */
export function describeBadImages(bad: readonly BadImage[], of: number): string {
  const lines = bad.map(({ message }) => `\n  ${message}`);
  return `segsort: ${bad.length} of ${of} images could not be read:${lines.join('')}`;
}

export interface Outputs {
  /** Where to write. */
  readonly folder: string;
  /** What each image's name is followed by, such as `.png`. */
  readonly suffixes: readonly string[];
  /** Files beside those of the images. */
  readonly further?: readonly string[];
  /** Refuses to write over files of before. */
  readonly keep?: boolean;
}

/**
 * Names for the results of images, without ending: the image's own, with its ending where a file of another
 * would have the same name.
 *
 * @throws UsageError where a result would overwrite a file of the data set, lie outside the folder, or is kept
 */
export async function outputNames(
  dataset: Dataset,
  { data }: RunConfig,
  { folder, suffixes, further = [], keep = false }: Outputs,
): Promise<string[]> {
  const files = (name: string) => suffixes.map((suffix) => `${name}${suffix}`);
  const stems = dataset.names.map(withoutEnding);
  const counts = new Map<string, number>();
  for (const file of stems.flatMap(files)) counts.set(file, (counts.get(file) ?? 0) + 1);
  const names = stems.map((stem, index) =>
    files(stem).some((file) => counts.get(file)! > 1) ? dataset.names[index]! : stem,
  );
  const named = new Map(dataset.names.map((image, index) => [image, names[index]!]));
  const all = [...[...named.values()].flatMap(files), ...further];
  const listed = dataset.source.root === resolve(data.root);
  const where = listed ? (data.regions ?? (await findDescription(data.root))?.regions ?? 'photo') : 'photo';
  await requireApart(all, folder, dataset, where === 'photo' ? null : parseRegionRule(where));
  if (keep) await requireNew(all, folder, OR_FORCE);
  return names;
}

const withoutEnding = (path: string): string => path.slice(0, path.length - extname(path).length);
