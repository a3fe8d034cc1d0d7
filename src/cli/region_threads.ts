/** Dividing photos into regions, on threads: a second or two of work each. */
import { availableParallelism } from 'node:os';
import { oversegment } from '../contours/oversegmentation.js';
import type { RgbImage } from '../data/image.js';
import { startModuleWorker, type WorkerHandle } from '../platform/workers.js';

interface RegionRequest {
  readonly image: RgbImage;
  readonly regions: number;
}

type RegionReply = { readonly ids: Uint16Array<ArrayBuffer> } | { readonly error: string };

/** Divides one photo at a time. */
export interface RegionMaker extends AsyncDisposable {
  /** An id a pixel, row-major, from 0. */
  divide(image: RgbImage, regions: number): Promise<Uint16Array<ArrayBuffer>>;
}

/** What a thread does with a message. */
export function answerRegionRequest({ image, regions }: RegionRequest): {
  reply: RegionReply;
  transfer: ArrayBuffer[];
} {
  try {
    const ids = divideInline(image, regions);
    return { reply: { ids }, transfer: [ids.buffer] };
  } catch (error) {
    return { reply: { error: error instanceof Error ? error.message : String(error) }, transfer: [] };
  }
}

const divideInline = (image: RgbImage, regions: number): Uint16Array<ArrayBuffer> =>
  Uint16Array.from(oversegment(image).regions(regions).data);

const runsFromSource = /\.ts(\?|$)/.test(import.meta.url);

/**
 * As many as the machine has threads for, or `workers` of them; one on this thread for 0, and where the program runs
 * from its source.
 */
export function startRegionMakers(workers: number | null, jobs: number): Promise<RegionMaker[]> {
  const wanted = workers ?? Math.max(1, availableParallelism() - 1);
  if (wanted === 0 || runsFromSource)
    return Promise.resolve([
      { divide: async (image, regions) => divideInline(image, regions), [Symbol.asyncDispose]: async () => {} },
    ]);
  return Promise.all(Array.from({ length: Math.min(wanted, jobs) }, startThread));
}

async function startThread(): Promise<RegionMaker> {
  let waiting: { resolve(ids: Uint16Array<ArrayBuffer>): void; reject(error: Error): void } | null = null;
  let broken: Error | null = null;
  const handle: WorkerHandle = await startModuleWorker(
    new URL('./region_worker.js', import.meta.url),
    () => {
      throw new Error('region masks are made on threads of Node');
    },
    {
      message(data) {
        const reply = data as RegionReply;
        if ('ids' in reply) waiting?.resolve(reply.ids);
        else waiting?.reject(new Error(reply.error));
      },
      failure(error) {
        broken = error;
        waiting?.reject(error);
      },
    },
  );
  return {
    divide: (image, regions) =>
      new Promise((resolve, reject) => {
        if (broken) return reject(broken);
        waiting = { resolve, reject };
        const data = image.data.slice();
        handle.post({ image: { ...image, data }, regions } satisfies RegionRequest, [data.buffer]);
      }),
    [Symbol.asyncDispose]: () => handle.terminate(),
  };
}
