/** What the generators of lists share: looking into folders, pairing files, writing lists and description. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../platform/files.node.js';
import type { DataDescription } from './description.js';
import { DESCRIPTION_FILE, formatDescription } from './description_file.js';
import { DataError } from './errors.js';
import { formatList, type ListEntry } from './lists.js';

export type NewEntry = Omit<ListEntry, 'line'>;

/** Lists by name, without `.txt`, and the description that belongs to them. */
export interface GeneratedLists {
  readonly description: DataDescription;
  readonly lists: ReadonlyMap<string, readonly NewEntry[]>;
  /** Files that a list should name, but that are not there; their samples are left out. */
  readonly missing: readonly string[];
  /** What was not generated, and why. */
  readonly notes: readonly string[];
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

/** The first of these folders, relative to the root, that there is. */
export async function firstFolder(root: string, candidates: readonly string[]): Promise<string | null> {
  for (const candidate of candidates) if (await isFolder(join(root, candidate))) return candidate;
  return null;
}

/**
 * Names in a folder that end in one of `endings`, by their name without it, in order.
 *
 * @throws DataError where there is no such folder, or two files in it have one name
 */
export async function filesIn(root: string, folder: string, endings: readonly string[]): Promise<Map<string, string>> {
  const names = await readdir(join(root, folder)).catch((error: NodeJS.ErrnoException) => {
    throw new DataError(folder, error.code === 'ENOENT' ? `no such folder in ${root}` : error.message, {
      cause: error,
    });
  });
  const found = new Map<string, string>();
  for (const name of names.sort()) {
    const ending = endings.find((each) => name.toLowerCase().endsWith(each.toLowerCase()));
    if (!ending) continue;
    const stem = name.slice(0, -ending.length);
    const other = found.get(stem);
    if (other !== undefined)
      throw new DataError(
        folder,
        `has both ${other} and ${name}, and files are paired by their names without ending; move one into another folder`,
      );
    found.set(stem, name);
  }
  return found;
}

export const IMAGE_ENDINGS = ['.jpg', '.jpeg', '.png'] as const;

/** Names a line, as VOC's image sets are; null where there is no such file. Whatever follows a name is dropped. */
export async function namesIn(path: string): Promise<string[] | null> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return null;
  const lines = text.split(/\r?\n/).map((line) => line.trim().split(/\s+/)[0]!);
  return lines.filter((name) => name !== '');
}

/** A folder and the files in it by name. */
export interface Shelf {
  readonly folder: string;
  readonly files: ReadonlyMap<string, string>;
}

export async function openShelf(root: string, folder: string, endings: readonly string[]): Promise<Shelf> {
  return { folder, files: await filesIn(root, folder, endings) };
}

export interface Pairing {
  readonly images: Shelf;
  /** Null for lists without labels. */
  readonly labels: Shelf | null;
  /** Files that not every image has. */
  readonly instances?: Shelf | null;
}

/** Entries of these names, in their order; what is missing is added to `missing`. */
export function pairUp(names: Iterable<string>, { images, labels, instances }: Pairing, missing: string[]): NewEntry[] {
  const entries: NewEntry[] = [];
  const path = ({ folder, files }: Shelf, name: string): string | null => {
    const file = files.get(name);
    return file === undefined ? null : folder === '' ? file : `${folder}/${file}`;
  };
  for (const name of names) {
    const image = path(images, name);
    const label = labels && path(labels, name);
    const object = instances ? path(instances, name) : null;
    if (image === null) missing.push(`${images.folder}/${name}`);
    else if (labels && label === null) missing.push(`${labels.folder}/${name}`);
    else entries.push({ image, label, ...(object === null ? {} : { instances: object }) });
  }
  return entries;
}

/** The description with the names of the lists that hold anything. */
export function withLists(description: DataDescription, lists: GeneratedLists['lists']): DataDescription {
  const named = [...lists].filter(([, entries]) => entries.length > 0).map(([name]) => [name, `${name}.txt`]);
  return { ...description, lists: Object.fromEntries(named) };
}

export interface WriteOptions {
  /** Writes over lists that are there and differ. */
  readonly force?: boolean;
  /** Writes over a description that is there and differs, because the generated one was made from it. */
  readonly update?: boolean;
}

/**
 * Writes lists and `dataset.json` into a folder; what is there already and the same is left alone. Returns the names
 * of the files written.
 *
 * @throws DataError naming what is there already and differs, unless that was allowed; then nothing was written
 */
export async function writeLists(
  folder: string,
  generated: GeneratedLists,
  { force = false, update = false }: WriteOptions = {},
): Promise<string[]> {
  const files = new Map([[DESCRIPTION_FILE, formatDescription(generated.description)]]);
  for (const [name, entries] of generated.lists) if (entries.length > 0) files.set(`${name}.txt`, formatList(entries));
  const current = async (name: string) => readFile(join(folder, name), 'utf8').catch(() => null);
  const differing: string[] = [];
  const fresh: [string, string][] = [];
  for (const [name, text] of files) {
    const old = await current(name);
    if (old !== text) fresh.push([name, text]);
    if (old !== null && old !== text && !(update && name === DESCRIPTION_FILE)) differing.push(name);
  }
  if (differing.length > 0 && !force)
    throw new DataError(
      null,
      `${folder} has ${differing.join(', ')} already, with other contents; write into another folder with --out, or over them with --force`,
    );
  for (const [name, text] of fresh) await writeFileAtomic(join(folder, name), text);
  return fresh.map(([name]) => name);
}
