/** Opening a checkpoint by the name a user gives it. */
import { openTensorFile } from '../checkpoints/open.js';
import type { TensorFile } from '../checkpoints/tensor_file.js';
import { tensorFlowIndexName } from '../checkpoints/tensorflow.js';
import { openFile } from '../platform/files.node.js';
import { exists } from './run_folder.js';

/**
 * Opens a checkpoint of any format. TensorFlow's newer ones go by what their files' names begin with (`model.ckpt-30000`),
 * or by any of these files.
 *
 * @throws CheckpointFormatError or FileError naming the file
 */
export async function openCheckpoint(path: string): Promise<TensorFile> {
  const index = tensorFlowIndexName(path);
  const isPart = index !== `${path}.index`;
  const file = await openFile((isPart || !(await exists(path))) && (await exists(index)) ? index : path);
  try {
    return await openTensorFile(file);
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
}
