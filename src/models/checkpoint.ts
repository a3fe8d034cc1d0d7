/** Checkpoints: every resident of a run by name, as safetensors, with what a run needs to go on in the metadata. */
import { fromHostTensor, toHostTensor } from '../checkpoints/host_tensors.js';
import { parseSafetensors } from '../checkpoints/safetensors.js';
import { serializeSafetensors } from '../checkpoints/safetensors_writer.js';
import type { StoredTensor } from '../checkpoints/tensor_file.js';
import type { Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { sameShape, showShape } from '../tensor/types.js';

export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/** The bytes of a safetensors file with the values of `residents`, after all steps submitted so far. */
export async function serializeCheckpoint(
  runtime: Runtime,
  residents: readonly Resident[],
  metadata: Readonly<Record<string, string>>,
): Promise<Uint8Array<ArrayBuffer>> {
  const tensors = new Map<string, StoredTensor>();
  for (const resident of residents) {
    if (tensors.has(resident.name)) throw new CheckpointError(`two values are named ${resident.name}`);
    tensors.set(resident.name, fromHostTensor(await runtime.read(resident)));
  }
  return serializeSafetensors(tensors, metadata);
}

/**
 * Writes a checkpoint's values into `residents` and returns its metadata. Nothing is written unless every resident is
 * there in its shape; `unexpected: 'ignore'` allows values that belong to none of them (momenta, say, at inference).
 * @throws CheckpointError that lists what is missing, misshaped or unexpected.
 */
export function restoreCheckpoint(
  runtime: Runtime,
  bytes: Uint8Array<ArrayBuffer>,
  file: string,
  residents: readonly Resident[],
  { unexpected }: { readonly unexpected: 'error' | 'ignore' },
): Readonly<Record<string, string>> {
  const { tensors, metadata } = parseSafetensors(bytes, file);
  const problems: string[] = [];
  for (const { name, shape, dtype } of residents) {
    const found = tensors.get(name);
    if (!found) problems.push(`${name} ${showShape(shape)} is missing`);
    else if (!sameShape(found.shape, shape))
      problems.push(`${name} is ${showShape(found.shape)}, the network has ${showShape(shape)}`);
    else if (found.dtype.toLowerCase() !== dtype)
      problems.push(`${name} is ${found.dtype}, expected ${dtype.toUpperCase()}`);
  }
  if (unexpected === 'error') {
    const known = new Set(residents.map(({ name }) => name));
    for (const name of tensors.keys()) if (!known.has(name)) problems.push(`${name} is not part of this run`);
  }
  if (problems.length > 0) {
    const shown = problems.slice(0, 8).map((problem) => `\n  ${problem}`);
    const more = problems.length > shown.length ? `\n  and ${problems.length - shown.length} more` : '';
    throw new CheckpointError(`${file} does not fit this network:${shown.join('')}${more}`);
  }
  for (const resident of residents) {
    runtime.write(resident, toHostTensor(tensors.get(resident.name)!, file, resident.name));
  }
  return metadata;
}
