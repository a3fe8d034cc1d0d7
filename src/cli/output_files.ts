/** What commands write: never over what they read, nor unasked over what others have made. */
import { realpath } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { DataError } from '../data/errors.js';
import { type RegionRule, regionPath } from '../data/region_rule.js';
import { isWithin } from '../platform/files.node.js';
import { UsageError } from './errors.js';
import { exists } from './run_folder.js';

/** Where the files of a data set are, links followed, and what they are. */
async function filesOf({ source, list }: Dataset, regions: RegionRule | null): Promise<Map<string, string>> {
  const files = list.entries.flatMap((entry): [string | null | undefined, string][] => [
    [regions && regionOf(regions, entry, list.file), 'a region mask'],
    [entry.instances, 'an instance map'],
    [entry.label, 'a label file'],
    [entry.image, 'an image'],
  ]);
  const placed = files.map(async ([file, role]): Promise<[string, string][]> => {
    return file ? [[await place(resolve(source.root, file)), role]] : [];
  });
  return new Map((await Promise.all(placed)).flat());
}

/** Null where the rule does not fit the entry, which has no mask then. */
function regionOf(...[rule, entry, list]: Parameters<typeof regionPath>): string | null {
  try {
    return regionPath(rule, entry, list);
  } catch (error) {
    if (error instanceof DataError) return null;
    throw error;
  }
}

/** A file by one name, whatever links lead to it. */
const place = (path: string): Promise<string> => realpath(path).catch(() => path);

/**
 * Makes sure that files can be written without a loss.
 *
 * @param files paths in `folder`, of different images
 * @throws UsageError for one that would lie outside the folder, is a file of the data set, or is named twice
 */
export async function requireApart(
  files: readonly string[],
  folder: string,
  dataset: Dataset,
  regions: RegionRule | null = null,
): Promise<void> {
  const taken = await filesOf(dataset, regions);
  const seen = new Set<string>();
  for (const file of files) {
    const path = resolve(folder, file);
    if (seen.has(path))
      throw new UsageError(`${dataset.list.file}: two images would share the file ${path}; rename one`);
    seen.add(path);
    if (!isWithin(folder, path))
      throw new UsageError(
        `${dataset.list.file}: results are named after the images, and ${path} would lie outside ${folder}; name images below the folder of the data set`,
      );
    const role = taken.get(await place(path));
    if (role) throw new UsageError(`${path} is ${role} of the data set; name another folder with --out`);
  }
}

/**
 * Makes sure that no file is there yet.
 *
 * @param remedy what else can be done than naming another folder; begins with a comma
 * @throws UsageError naming the first ones that are
 */
export async function requireNew(files: readonly string[], folder: string, remedy = ''): Promise<void> {
  const there: string[] = [];
  for (const file of files) {
    const path = resolve(folder, file);
    if (await exists(path)) there.push(relative(resolve(folder), path));
  }
  if (there.length === 0) return;
  const shown = `${there.slice(0, 3).join(', ')}${there.length > 3 ? `, ... (${there.length} files)` : ''}`;
  throw new UsageError(`${folder} has ${shown} already; name another folder with --out${remedy}`);
}

/** For commands that have the flag. */
export const OR_FORCE = ', or write over them with --force';
