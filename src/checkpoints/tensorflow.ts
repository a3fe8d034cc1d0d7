/** TensorFlow's checkpoints, of both formats: single files (V1), and an index with data beside it (V2). */
import type { RandomAccessFile } from '../platform/files.js';
import { Table } from './sstable.js';
import { CheckpointFormatError, type TensorFile } from './tensor_file.js';
import { isTensorFlowV1, tensorFlowV1 } from './tensorflow_v1.js';
import { tensorFlowV2 } from './tensorflow_v2.js';

/**
 * Opens a checkpoint of either format. Reads what lists its tensors; their elements are read when asked for, V2's from
 * the files beside this one.
 *
 * @param file a V1 checkpoint, or the `.index` file of a V2 checkpoint
 * @throws CheckpointFormatError where it is no such file, or is damaged; FileError where it cannot be read
 */
export async function openTensorFlow(file: RandomAccessFile): Promise<TensorFile> {
  const table = await Table.open(file);
  const first = await table.get('');
  if (!first) throw new CheckpointFormatError(file.name, {}, 'is a table, but none of TensorFlow: it has no header');
  return isTensorFlowV1(first) ? tensorFlowV1(table, first) : tensorFlowV2(table, first);
}

/**
 * The file to open of a V2 checkpoint, which is called by what its files' names begin with.
 *
 * @param path that prefix, such as `model.ckpt`, or one of the files: `model.ckpt.index`, `.data-00000-of-00001`, `.meta`
 */
export function tensorFlowIndexName(path: string): string {
  return `${path.replace(/\.(index|meta|data-\d{5}-of-\d{5})$/, '')}.index`;
}
