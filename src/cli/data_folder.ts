/** Data sets on disk, as the command is told of them: a folder, lists in it, and the names of the classes. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DESCRIPTIONS, isDescriptionName, VOC2012 } from '../data/builtin_descriptions.js';
import { Dataset, type DatasetOptions } from '../data/dataset.js';
import { classNames, type DataDescription, datasetOptions } from '../data/description.js';
import { openDescription } from '../data/description_file.js';
import { folderFiles } from '../platform/files.node.js';
import { UsageError } from './errors.js';
import { exists, readJson } from './run_folder.js';

/**
 * Opens a list: a path in the data folder, or any other path. Labels mean what the folder's description says;
 * `options` count more.
 *
 * @throws UsageError where there is no such list; DataError where it lists nothing, or the description is wrong
 */
export async function openList(
  root: string,
  list: string,
  role: string,
  options: DatasetOptions = {},
): Promise<Dataset> {
  if (!(await exists(root)))
    throw new UsageError(`there is no folder ${root}; --data names the folder of the data set`);
  const inside = resolve(root, list);
  const candidates = inside === resolve(list) ? [inside] : [inside, resolve(list)];
  const source = folderFiles(root);
  for (const path of candidates) {
    if (!(await exists(path))) continue;
    const description = await openDescription(source);
    return Dataset.open(source, path, { ...(description ? datasetOptions(description) : {}), ...options });
  }
  throw new UsageError(`there is no ${role} ${list}: neither ${candidates.join(' nor ')} exists`);
}

/** @throws UsageError where no image of the list has labels; `use` says what they are needed for */
export function requireLabels({ list }: Dataset, use: string): void {
  if (list.entries.every(({ label }) => label === null))
    throw new UsageError(`${list.file} has no labels${use}; its lines would be \`image label.png\``);
}

/**
 * The list of a data folder for some purpose, such as `train`, `train+` or `val`: the one that its description names, or that
 * has the usual name; null where there is none.
 */
export async function findList(root: string, purpose: string): Promise<string | null> {
  const described = (await findDescription(root))?.lists[purpose];
  if (described) return described;
  const usual = ['', 'ImageSets/Segmentation/', 'lists/'].map((folder) => `${folder}${purpose}.txt`);
  for (const name of usual) if (await exists(resolve(root, name))) return name;
  return null;
}

/** What the folder says of itself, in its `dataset.json` or `classes.json`; null where it says nothing. */
export async function findDescription(root: string): Promise<DataDescription | null> {
  return openDescription(folderFiles(root));
}

/**
 * Names of the classes: `given` is a known data set, a number of classes, or a file with them; else the folder's
 * `dataset.json` or `classes.json` counts; null where none says anything.
 */
export async function findClasses(root: string, given: string | undefined): Promise<string[] | null> {
  if (given !== undefined && /^\d+$/.test(given)) {
    const count = Number(given);
    if (count < 2 || count > 255) throw new UsageError(`--classes: must be from 2 to 255, or a file; got ${given}`);
    if (count === VOC2012.classes.length) return classNames(VOC2012);
    return Array.from({ length: count }, (_, index) => (index === 0 ? 'background' : `class ${index}`));
  }
  if (given !== undefined) return isDescriptionName(given) ? classNames(DESCRIPTIONS[given]) : readClasses(given);
  const description = await findDescription(root);
  return description && description.classes.length > 0 ? classNames(description) : null;
}

/** Names a line, or JSON: a list of names, or an object that has one under `classes`. */
async function readClasses(file: string): Promise<string[]> {
  if (!(await exists(file))) throw new UsageError(`--classes: there is no file ${file}`);
  if (!file.endsWith('.json')) {
    const lines = (await readFile(file, 'utf8')).split(/\r?\n/).map((line) => line.trim());
    return lines.filter((line) => line !== '');
  }
  const contents = await readJson(file);
  const names = Array.isArray(contents) ? contents : (contents as { classes?: unknown } | null)?.classes;
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    throw new UsageError(`--classes: ${file} must be a list of class names, or have one under "classes"`);
  return names;
}
