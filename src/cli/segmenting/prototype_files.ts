/** Reading prototypes: our table, or the pair of NumPy files that the reference writes; and whose they are. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { toHostTensor } from '../../checkpoints/host_tensors.js';
import { openNumpy } from '../../checkpoints/numpy.js';
import { parseSafetensors } from '../../checkpoints/safetensors.js';
import { openFile } from '../../platform/files.node.js';
import { PrototypeTable } from '../../segsort/prototype_table.js';
import type { HostTensor } from '../../tensor/types.js';
import { UsageError } from '../errors.js';
import type { Weights } from './segmentation.js';

export interface SearchedPrototypes {
  readonly table: PrototypeTable;
  /** The list of the images that they came from. */
  readonly list: string;
  /** What the table says of itself; nothing for those of the reference. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a table says of how it was made. `list` is left out where it is the run's own. */
export function prototypeMetadata(
  classes: readonly string[],
  weights: NonNullable<Weights>,
  list?: string,
): Readonly<Record<string, string>> {
  return { classes: JSON.stringify(classes), ...checkpointOf(weights), ...(list === undefined ? {} : { list }) };
}

/** Tells a checkpoint from others, also from those that were later or earlier in its file. */
function checkpointOf({ bytes, file }: NonNullable<Weights>): { checkpoint_step: string; checkpoint_sha256: string } {
  const { step = 'unknown' } = parseSafetensors(bytes, file).metadata;
  return { checkpoint_step: step, checkpoint_sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Says by which weights a table was made where it was not by these; null where it was. */
export function otherWeights({ metadata }: SearchedPrototypes, weights: NonNullable<Weights>): string | null {
  const { checkpoint_step: step, checkpoint_sha256: digest } = metadata;
  const own = checkpointOf(weights);
  if (digest === own.checkpoint_sha256) return null;
  if (digest === undefined) return 'does not say which weights made it';
  const which = step === own.checkpoint_step ? `other weights of step ${step}` : `the weights of step ${step}`;
  return `was made by ${which}, and ${weights.file} holds those of step ${own.checkpoint_step}`;
}

/** @throws UsageError where a table is of other classes than a run, as far as it says */
export function requireClasses(
  { table, metadata }: SearchedPrototypes,
  classes: readonly string[],
  file: string,
): void {
  const other = (what: string) =>
    new UsageError(`${file} ${what}, and the run has ${classes.length} classes: it is of another data set`);
  const names = metadata.classes === undefined ? classes : parsedNames(metadata.classes);
  if (names?.length !== classes.length) throw other(`is of ${names?.length ?? 'unknown'} classes`);
  const wrong = table.labels.find((label) => label < 0 || label >= classes.length);
  if (wrong !== undefined) throw other(`holds the label ${wrong}`);
}

function parsedNames(text: string): readonly unknown[] | null {
  try {
    const names: unknown = JSON.parse(text);
    return Array.isArray(names) ? names : null;
  } catch {
    return null;
  }
}

const FEATURES = 'prototype_features.npy';

/**
 * Reads a `.safetensors` table; a `.npy` file of features with its labels beside it; or either in a folder.
 *
 * @param list where they came from if the file doesn't say
 * @throws UsageError where there is none; CheckpointFormatError where it is broken
 */
export async function readPrototypes(path: string, list: string): Promise<SearchedPrototypes> {
  const found = await fileAt(path);
  if (found.endsWith('.npy')) return { table: await readPair(found), list, metadata: {} };
  return parsePrototypes(new Uint8Array(await readFile(found)), found, list);
}

/** The same of a table in memory. */
export function parsePrototypes(bytes: Uint8Array<ArrayBuffer>, file: string, list: string): SearchedPrototypes {
  const { table, metadata } = PrototypeTable.parse(bytes, file);
  return { table, metadata, list: metadata.list ?? list };
}

async function fileAt(path: string): Promise<string> {
  const candidates = [path, join(path, 'prototypes.safetensors'), join(path, FEATURES)];
  for (const candidate of candidates) {
    const found = await stat(candidate).catch(() => null);
    if (found?.isFile()) return candidate;
  }
  throw new UsageError(
    `there are no prototypes at ${path}: it should be a file, or a folder with prototypes.safetensors or ${FEATURES}`,
  );
}

/** The reference's pair: features [M,D] and labels [M], without origins. */
async function readPair(file: string): Promise<PrototypeTable> {
  if (!basename(file).includes('features'))
    throw new UsageError(`${file}: name the file of features; that of labels is found beside it`);
  const labelFile = join(dirname(file), basename(file).replace('features', 'labels'));
  const features = await readArray(file);
  const labels = await readArray(labelFile);
  const [size, channels] = features.shape;
  if (features.dtype !== 'f32' || features.shape.length !== 2 || !channels)
    throw new UsageError(`${file}: must be floats [prototypes, channels], is ${features.dtype}[${features.shape}]`);
  if (labels.dtype !== 'i32' || labels.shape.length !== 1 || labels.shape[0] !== size)
    throw new UsageError(
      `${labelFile}: must be integers [${size}], one for each prototype, is ${labels.dtype}[${labels.shape}]`,
    );
  const table = new PrototypeTable(channels);
  for (let row = 0; row < size!; row++)
    table.push(features.data.subarray(row * channels, (row + 1) * channels), {
      label: labels.data[row]!,
      instance: null,
      origin: null,
    });
  return table;
}

async function readArray(path: string): Promise<HostTensor> {
  await using source = await openFile(path);
  await using file = await openNumpy(source);
  const [name] = file.entries.keys();
  return toHostTensor(await file.read(name!), path, name!);
}
