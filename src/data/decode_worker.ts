/** Entry of the decoding workers: a module of its own, bundled beside the library. */
import { serveWorker } from '../platform/workers.js';
import { answerDecodeRequest } from './decoder.js';

serveWorker(answerDecodeRequest);
