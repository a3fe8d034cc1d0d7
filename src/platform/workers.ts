/** Worker threads, the same in Node (worker_threads) and in the browser (Web Workers). */

export interface WorkerHandle {
  post(message: unknown, transfer: ArrayBuffer[]): void;
  /** Whether a waiting Node process stays alive for this worker. Browsers have no such notion. */
  keepAlive(active: boolean): void;
  /** Resolves when the worker is gone. */
  terminate(): Promise<void>;
}

export interface WorkerEvents {
  message(data: unknown): void;
  /** The worker could not be started, or died. */
  failure(error: Error): void;
}

export type StartWorker = (events: WorkerEvents) => Promise<WorkerHandle>;

const inNode = typeof process !== 'undefined' && process.versions?.node !== undefined;

/**
 * Starts a module as a worker.
 *
 * @param url the module, for Node
 * @param webWorker creates the Web Worker. Bundlers look for `new Worker(new URL('...', import.meta.url))` in one
 *   expression, so it has to be written where the module's name is known
 */
export async function startModuleWorker(
  url: URL,
  webWorker: () => Worker,
  events: WorkerEvents,
): Promise<WorkerHandle> {
  return inNode ? startThread(url, events) : startWebWorker(webWorker(), events);
}

export interface WorkerAnswer {
  readonly reply: unknown;
  readonly transfer: ArrayBuffer[];
}

/** Inside a worker: answers every message with what `handle` makes of it, which must not throw. */
export function serveWorker(handle: (message: any) => WorkerAnswer | Promise<WorkerAnswer>): void {
  if (inNode) {
    // Node holds messages back until someone listens, so nothing is lost while the module is imported.
    void threads().then(({ parentPort }) => {
      if (!parentPort) throw new Error('this module is the entry of a worker thread and cannot run by itself');
      parentPort.on('message', async (message) => {
        const { reply, transfer } = await handle(message);
        parentPort.postMessage(reply, transfer);
      });
    });
  } else {
    const scope = globalThis as unknown as Worker;
    scope.onmessage = async ({ data }) => {
      const { reply, transfer } = await handle(data);
      scope.postMessage(reply, transfer);
    };
  }
}

/** Imported under a computed name, so that bundlers for the browser leave it alone. */
function threads(): Promise<typeof import('node:worker_threads')> {
  const name = 'node:worker_threads';
  return import(/* @vite-ignore */ name);
}

async function startThread(url: URL, events: WorkerEvents): Promise<WorkerHandle> {
  const { Worker } = await threads();
  const worker = new Worker(url);
  let terminated = false;
  worker.on('message', events.message);
  worker.on('error', events.failure);
  worker.on('exit', (code) => {
    if (!terminated) events.failure(new Error(`worker ${url.href} exited with code ${code}`));
  });
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    keepAlive: (active) => (active ? worker.ref() : worker.unref()),
    async terminate() {
      terminated = true;
      await worker.terminate();
    },
  };
}

function startWebWorker(worker: Worker, events: WorkerEvents): WorkerHandle {
  worker.onmessage = ({ data }) => events.message(data);
  worker.onmessageerror = () => events.failure(new Error('a message of the worker could not be read'));
  worker.onerror = (event) => {
    event.preventDefault();
    events.failure(new Error(event.message || 'the worker could not be loaded'));
  };
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    keepAlive: () => {},
    async terminate() {
      worker.terminate();
    },
  };
}
