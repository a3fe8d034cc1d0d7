/** Entry of the threads that make region masks: a module of its own, bundled beside the command. */
import { serveWorker } from '../../platform/workers.js';
import { answerRegionRequest } from './region_threads.js';

serveWorker(answerRegionRequest);
