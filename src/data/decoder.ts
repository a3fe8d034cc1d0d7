/** Decoding on a pool of workers, or on the calling thread. */
import { type StartWorker, startModuleWorker, type WorkerHandle } from '../platform/workers.js';
import type { NamedFile, PackedImage, SampleFiles } from './decode.js';
import { DataError, messageOf } from './errors.js';
import type { Inspection, InspectionRules } from './inspect.js';

export interface Decoder extends AsyncDisposable {
  /** Decodes a sample. The bytes of its files are given away. */
  decode(files: SampleFiles): Promise<PackedImage>;
  /** Looks a sample over. The bytes of its files are given away. */
  inspect(files: SampleFiles, rules: InspectionRules): Promise<Inspection>;
}

export interface DecodeRequest {
  readonly id: number;
  readonly files: SampleFiles;
  /** Looks the sample over by these rules, instead of decoding it. */
  readonly rules: InspectionRules | null;
}

export type DecodeReply =
  | { readonly id: number; readonly result: PackedImage | Inspection }
  | { readonly id: number; readonly error: { readonly file: string | null; readonly reason: string } };

/** Starts the worker that lies beside the bundled library, as `decode_worker.js`. */
export const startDecodeWorker: StartWorker = (events) =>
  startModuleWorker(
    new URL('./decode_worker.js', import.meta.url),
    () => new Worker(new URL('./decode_worker.js', import.meta.url), { type: 'module' }),
    events,
  );

/** Decodes on the calling thread. The image codecs are loaded with the first sample: pages whose workers decode do without. */
export function inlineDecoder(): Decoder {
  return {
    decode: async (files) => (await import('./decode.js')).decodeSample(files),
    inspect: async (files, rules) => (await import('./inspect.js')).inspectSample(files, rules),
    [Symbol.asyncDispose]: async () => {},
  };
}

interface PoolWorker {
  readonly handle: WorkerHandle;
  readonly waiting: Map<number, { resolve(result: PackedImage | Inspection): void; reject(error: Error): void }>;
}

/** Decodes on `count` workers; each sample goes to the one with the least to do. */
export async function workerDecoder(count: number, start: StartWorker = startDecodeWorker): Promise<Decoder> {
  const workers: PoolWorker[] = [];
  let broken: DataError | null = null;
  let nextId = 0;

  const stop = async (reason: DataError) => {
    broken ??= reason;
    for (const { waiting } of workers) {
      for (const { reject } of waiting.values()) reject(broken);
      waiting.clear();
    }
    await Promise.all(workers.map(({ handle }) => handle.terminate()));
  };

  const add = async () => {
    const waiting: PoolWorker['waiting'] = new Map();
    const handle = await start({
      message(data) {
        const reply = data as DecodeReply;
        const request = waiting.get(reply.id);
        waiting.delete(reply.id);
        if (waiting.size === 0) handle.keepAlive(false);
        if ('result' in reply) request?.resolve(reply.result);
        else request?.reject(new DataError(reply.error.file, reply.error.reason));
      },
      failure: (error) => {
        void stop(new DataError(null, `a decoding worker failed: ${error.message}`, { cause: error }));
      },
    });
    handle.keepAlive(false);
    workers.push({ handle, waiting });
  };
  // All are waited for, so that none that starts later is left behind.
  const started = await Promise.allSettled(Array.from({ length: count }, add));
  const refused = started.find((each) => each.status === 'rejected');
  if (refused) {
    const { reason } = refused;
    const failure = new DataError(null, `decoding workers cannot be started: ${messageOf(reason)}`, { cause: reason });
    await stop(failure);
    throw failure;
  }

  const ask = <R extends PackedImage | Inspection>(files: SampleFiles, rules: InspectionRules | null): Promise<R> => {
    if (broken) return Promise.reject(broken);
    const { handle, waiting } = workers.reduce((a, b) => (b.waiting.size < a.waiting.size ? b : a));
    return new Promise<R>((resolve, reject) => {
      const id = nextId++;
      const own = {
        image: ownFile(files.image),
        label: files.label && ownFile(files.label),
        instances: files.instances && ownFile(files.instances),
        regions: files.regions && ownFile(files.regions),
      };
      waiting.set(id, { resolve: (result) => resolve(result as R), reject });
      handle.keepAlive(true);
      const request: DecodeRequest = { id, files: { ...files, ...own }, rules };
      handle.post(
        request,
        Object.values(own).flatMap((file) => (file ? [file.bytes.buffer] : [])),
      );
    });
  };

  return {
    decode: (files) => ask<PackedImage>(files, null),
    inspect: (files, rules) => ask<Inspection>(files, rules),
    [Symbol.asyncDispose]: () => stop(new DataError(null, 'the decoder was disposed of')),
  };
}

/** A transfer takes the whole buffer along, so bytes that are part of a larger one are copied first. */
function ownFile({ file, bytes }: NamedFile): NamedFile {
  return { file, bytes: bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice() };
}
