/** Opening a checkpoint of any format; its contents say which it is, not its name. */
import type { RandomAccessFile } from '../platform/files.js';
import { openNpz, openNumpy } from './numpy.js';
import { openSafetensors } from './safetensors.js';
import { isTable } from './sstable.js';
import { CheckpointFormatError, type TensorFile } from './tensor_file.js';
import { openTensorFlow } from './tensorflow.js';
import { openTorchZip, pickleOf } from './torch.js';
import { isLegacyTorch, openLegacyTorch } from './torch_legacy.js';
import { openZip } from './zip.js';

/**
 * Opens a checkpoint: safetensors, PyTorch's (zip, and the older format), TensorFlow's (V1 files; V2 by their `.index`),
 * `.npy` or `.npz`. Disposing of it closes the file.
 *
 * @throws CheckpointFormatError where it is none of them, or damaged; FileError where it cannot be read
 */
export async function openTensorFile(file: RandomAccessFile): Promise<TensorFile> {
  const head = await file.read(0, Math.min(264, file.size));
  const begins = (text: string, at = 0) => [...text].every((character, i) => head[at + i] === character.charCodeAt(0));
  if (begins('PK\x03\x04') || begins('PK\x05\x06')) return openArchive(file);
  if (begins('\x93NUMPY')) return openNumpy(file);
  if (await isLegacyTorch(file)) return openLegacyTorch(file);
  if (await isTable(file)) return openTensorFlow(file);
  // Behind the header's length, less than 4 GiB, stands a JSON object.
  if (begins('\0\0\0\0', 4) && begins('{', 8)) return openSafetensors(file);
  throw new CheckpointFormatError(file.name, { offset: 0 }, `is no checkpoint that is known: ${tried(file, begins)}`);
}

async function openArchive(file: RandomAccessFile): Promise<TensorFile> {
  const entries = await openZip(file);
  if (pickleOf(entries)) return openTorchZip(file, entries);
  const names = [...entries.keys()];
  if (names.some((name) => name.endsWith('.npy'))) return openNpz(file, entries);
  const shown = names.slice(0, 5).join(', ') || 'nothing';
  throw new CheckpointFormatError(
    file.name,
    { offset: 0 },
    `is a zip archive with neither data.pkl (PyTorch) nor .npy arrays (NumPy) in it, but ${shown}`,
  );
}

function tried(file: RandomAccessFile, begins: (text: string, at?: number) => boolean): string {
  if (file.size === 0) return 'it is empty';
  if (/\.(data-\d+-of-\d+|meta)$/.test(file.name))
    return 'this is a part of a TensorFlow checkpoint; name its .index file';
  if (begins('ustar', 257))
    return 'this is a tar archive; unpack it, or if PyTorch before 0.1.9 wrote it, load and save it there';
  if (begins('\x80')) return 'this is a pickle, but not one that torch.save wrote';
  if (begins('version https://git-lfs')) return 'this is a pointer of Git LFS; fetch the file itself with git lfs pull';
  return 'not a zip archive (PyTorch, .npz), .npy, older PyTorch, TensorFlow (V1, or .index of V2; known by their end, which a file cut short lacks), nor safetensors';
}
