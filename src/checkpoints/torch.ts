/**
 * PyTorch's checkpoints, what `torch.save` writes since 1.6: a zip archive of a pickle, `data.pkl`, which describes
 * the tensors, and of `data/<key>`, the storages whose elements they share (PyTorch's `torch/serialization.py`). Older
 * files are read in torch_legacy.ts. The pickle is read by a machine that runs nothing; see pickle.ts.
 */
import type { RandomAccessFile } from '../platform/files.js';
import { unpickle } from './pickle.js';
import { PickleError } from './pickle_bytes.js';
import { CheckpointFormatError, type TensorFile } from './tensor_file.js';
import { TORCH_GLOBALS, type TorchStorage, torchStorage } from './torch_objects.js';
import { namedTensors } from './torch_state.js';
import { torchTensors, withFormatErrors } from './torch_tensors.js';
import type { ZipEntry } from './zip.js';

/** The entry of a zip archive that makes it one of PyTorch's. */
export function pickleOf(entries: ReadonlyMap<string, ZipEntry>): ZipEntry | undefined {
  return [...entries.values()].find(({ name }) => /^([^/]+\/)?data\.pkl$/.test(name));
}

/**
 * Opens a checkpoint of PyTorch, whose tensors are then read one by one.
 *
 * Tensors are named by the keys that lead to them, joined by dots; what lies under `state_dict`, `model_state_dict` or
 * `model` is named without that. A tensor that was saved alone is `tensor`.
 *
 * @param entries of the archive that the file is
 * @throws CheckpointFormatError where it is damaged, or names anything that is no part of a state dict
 */
export async function openTorchZip(
  file: RandomAccessFile,
  entries: ReadonlyMap<string, ZipEntry>,
): Promise<TensorFile> {
  const pickle = pickleOf(entries);
  if (!pickle) throw new CheckpointFormatError(file.name, { offset: 0 }, 'is a zip archive without a data.pkl');
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  if (entries.has(`${folder}constants.pkl`))
    throw new CheckpointFormatError(
      file.name,
      { offset: await pickle.position() },
      'is a TorchScript program: load it in PyTorch and save its state_dict()',
    );
  await requireLittleEndian(file, entries.get(`${folder}byteorder`));

  const bytes = await pickle.read(0, pickle.size);
  const start = await pickle.position();
  const storages = new Map<string, ZipEntry>();
  const persistent = (id: unknown): TorchStorage => {
    const storage = torchStorage(id);
    const name = `${folder}data/${storage.key}`;
    const entry = entries.get(name);
    if (!entry) throw new PickleError(`has its elements in ${name}, which is missing`);
    if (entry.size !== storage.bytes)
      throw new PickleError(`has ${storage.bytes} bytes of elements in ${name}, which holds ${entry.size}`);
    storages.set(storage.key, entry);
    return storage;
  };
  const state = withFormatErrors(file.name, start, () => {
    const { value } = unpickle(bytes, 0, { globals: TORCH_GLOBALS, persistent });
    return namedTensors(value, bytes.length);
  });
  return torchTensors(file, state, ({ key }, offset, length) => storages.get(key)!.read(offset, length));
}

async function requireLittleEndian(file: RandomAccessFile, entry: ZipEntry | undefined): Promise<void> {
  if (!entry) return;
  const order = new TextDecoder().decode(await entry.read(0, Math.min(entry.size, 16)));
  if (order !== 'little')
    throw new CheckpointFormatError(
      file.name,
      { offset: await entry.position() },
      `its numbers are ${JSON.stringify(order)}-endian; save it again on a little-endian machine`,
    );
}
