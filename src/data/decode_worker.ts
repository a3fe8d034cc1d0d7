/** Entry of the decoding workers: a module of its own, bundled beside the library. */
import { serveWorker } from '../platform/workers.js';
import { decodeSample } from './decode.js';
import type { DecodeReply, DecodeRequest } from './decoder.js';
import { DataError, messageOf } from './errors.js';
import { inspectSample } from './inspect.js';

/** What a worker does with a message. */
function answerDecodeRequest({ id, files, rules }: DecodeRequest): {
  reply: DecodeReply;
  transfer: ArrayBuffer[];
} {
  try {
    if (rules) return { reply: { id, result: inspectSample(files, rules) }, transfer: [] };
    const result = decodeSample(files);
    const { pixels, ids } = result;
    return { reply: { id, result }, transfer: ids ? [pixels.buffer, ids.buffer] : [pixels.buffer] };
  } catch (error) {
    const { file, reason } = error instanceof DataError ? error : { file: files.image.file, reason: messageOf(error) };
    return { reply: { id, error: { file, reason } }, transfer: [] };
  }
}

serveWorker(answerDecodeRequest);
