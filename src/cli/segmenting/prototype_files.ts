/** Reading prototypes: our table, or the pair of NumPy files that the reference writes. */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { toHostTensor } from '../../checkpoints/host_tensors.js';
import { openNumpy } from '../../checkpoints/numpy.js';
import { openFile } from '../../platform/files.node.js';
import { PrototypeTable } from '../../segsort/prototype_table.js';
import type { HostTensor } from '../../tensor/types.js';
import { UsageError } from '../errors.js';

export interface SearchedPrototypes {
  readonly table: PrototypeTable;
  /** The list of the images that they came from. */
  readonly list: string;
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
  if (found.endsWith('.npy')) return { table: await readPair(found), list };
  const { table, metadata } = PrototypeTable.parse(new Uint8Array(await readFile(found)), found);
  return { table, list: metadata.list ?? list };
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
