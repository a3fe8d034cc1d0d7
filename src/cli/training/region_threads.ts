/** Dividing photos into regions, on threads: a second or two of work each. */
import { availableParallelism } from 'node:os';
import { type Merge, RegionHierarchy } from '../../contours/hierarchy.js';
import { oversegment } from '../../contours/oversegmentation.js';
import type { RgbImage } from '../../data/image.js';
import { startModuleWorker, type WorkerHandle } from '../../platform/workers.js';

interface RegionRequest {
  readonly image: RgbImage;
}

type RegionReply =
  | {
      readonly finest: Int32Array<ArrayBuffer>;
      readonly leaves: number;
      readonly merges: readonly Merge[];
    }
  | { readonly error: string };

/** Divides one photo at a time. */
export interface RegionMaker extends AsyncDisposable {
  /** The regions of a photo, from the finest to the whole. */
  hierarchy(image: RgbImage): Promise<RegionHierarchy>;
}

/** An id a pixel, row-major, from 0. */
export async function divide(maker: RegionMaker, image: RgbImage, regions: number): Promise<Uint16Array<ArrayBuffer>> {
  return Uint16Array.from((await maker.hierarchy(image)).regions(regions).data);
}

/** What a thread does with a message. */
export function answerRegionRequest({ image }: RegionRequest): {
  reply: RegionReply;
  transfer: ArrayBuffer[];
} {
  try {
    const { finest, leaves, merges } = oversegment(image);
    const own = finest.slice();
    return { reply: { finest: own, leaves, merges }, transfer: [own.buffer] };
  } catch (error) {
    return { reply: { error: error instanceof Error ? error.message : String(error) }, transfer: [] };
  }
}

const runsFromSource = /\.ts(\?|$)/.test(import.meta.url);

/**
 * As many as the machine has threads for, or `workers` of them; one on this thread for 0, and where the program runs
 * from its source.
 */
export function startRegionMakers(workers: number | null, jobs: number): Promise<RegionMaker[]> {
  const wanted = workers ?? Math.max(1, availableParallelism() - 1);
  if (wanted === 0 || runsFromSource)
    return Promise.resolve([{ hierarchy: async (image) => oversegment(image), [Symbol.asyncDispose]: async () => {} }]);
  return Promise.all(Array.from({ length: Math.min(wanted, jobs) }, startThread));
}

async function startThread(): Promise<RegionMaker> {
  let waiting: { resolve(reply: Exclude<RegionReply, { error: string }>): void; reject(error: Error): void } | null =
    null;
  let broken: Error | null = null;
  const handle: WorkerHandle = await startModuleWorker(
    new URL('./region_worker.js', import.meta.url),
    () => {
      throw new Error('region masks are made on threads of Node');
    },
    {
      message(data) {
        const reply = data as RegionReply;
        if ('error' in reply) waiting?.reject(new Error(reply.error));
        else waiting?.resolve(reply);
      },
      failure(error) {
        broken = error;
        waiting?.reject(error);
      },
    },
  );
  return {
    async hierarchy({ width, height, data }) {
      const { finest, leaves, merges } = await new Promise<Exclude<RegionReply, { error: string }>>(
        (resolve, reject) => {
          if (broken) return reject(broken);
          waiting = { resolve, reject };
          const own = data.slice();
          handle.post({ image: { width, height, data: own } } satisfies RegionRequest, [own.buffer]);
        },
      );
      return new RegionHierarchy(width, height, finest, leaves, merges);
    },
    [Symbol.asyncDispose]: () => handle.terminate(),
  };
}
