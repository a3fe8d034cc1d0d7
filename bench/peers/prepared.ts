/** What all peers' prepared cases have in common: results of the last run are kept, those before it are freed. */
import type { Prepared } from '../harness/types.js';

/** How a library computes a case. `R` is what it calls its results. */
export interface Computing<R> {
  /** Starts the computation. */
  compute(): R | Promise<R>;
  /** Resolves when the results exist on the device. */
  settle(results: R): Promise<void>;
  read(results: R): Promise<ArrayLike<number>[]>;
  free(results: R): void;
  note?(): string;
  /** Frees operands and what was compiled. */
  dispose(): void;
}

export function prepared<R>(computing: Computing<R>): Prepared {
  let last: { readonly results: R } | null = null;
  const drop = () => {
    if (last) computing.free(last.results);
    last = null;
  };
  const runMany = async (count: number) => {
    for (let i = 0; i < count; i++) {
      drop();
      last = { results: await computing.compute() };
    }
    if (last) await computing.settle(last.results);
  };
  return {
    run: () => runMany(1),
    runMany,
    async read() {
      if (!last) throw new Error('nothing was run yet');
      return computing.read(last.results);
    },
    ...(computing.note ? { note: () => computing.note!() } : {}),
    dispose() {
      drop();
      computing.dispose();
    },
  };
}

/** What `load` resolves with, loaded when it is first asked for. A failure is final. */
export function once<T>(load: () => Promise<T>): { (): Promise<T>; readonly started: () => Promise<T> | null } {
  let loading: Promise<T> | null = null;
  const get = () => {
    loading ??= load();
    return loading;
  };
  return Object.assign(get, { started: () => loading });
}
