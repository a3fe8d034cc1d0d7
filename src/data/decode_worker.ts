/** Entry of the decoding workers: a module of its own, bundled beside the library. */
import { serveWorker, type WorkerAnswer } from '../platform/workers.js';
import { decodeSample } from './decode.js';
import type { DecodeReply, DecodeRequest } from './decoder.js';
import { DataError, messageOf } from './errors.js';

serveWorker(async ({ id, files, rules }: DecodeRequest): Promise<WorkerAnswer & { readonly reply: DecodeReply }> => {
  try {
    if (rules) {
      // Only checks of whole data sets ask for it.
      const { inspectSample } = await import('./inspect.js');
      return { reply: { id, result: inspectSample(files, rules) }, transfer: [] };
    }
    const result = decodeSample(files);
    const { pixels, ids } = result;
    return { reply: { id, result }, transfer: ids ? [pixels.buffer, ids.buffer] : [pixels.buffer] };
  } catch (error) {
    const { file, reason } = error instanceof DataError ? error : { file: files.image.file, reason: messageOf(error) };
    return { reply: { id, error: { file, reason } }, transfer: [] };
  }
});
