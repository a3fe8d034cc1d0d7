/** What all peers' prepared cases have in common: results are kept until they exist, and those of the last run to be read. */
import type { Prepared } from '../harness/types.js';

/** How a library computes a case. `R` is what it calls its results. */
export interface Computing<R> {
  /** Starts the computation. */
  compute(): R | Promise<R>;
  /** Resolves when the results of all these runs exist on the device. */
  settle(runs: readonly R[]): Promise<void>;
  read(results: R): Promise<ArrayLike<number>[]>;
  free(results: R): void;
  note?(): string;
  /** Frees operands and what was compiled. */
  dispose(): void;
}

/** So many bytes of results are kept at most before they are waited for. */
const MOST_KEPT = 2 ** 30;

/**
 * The case of a library, of which a run takes up to `bytes`. Nothing is freed before it exists: a lazy library never computes
 * what is freed before.
 */
export function prepared<R>(computing: Computing<R>, bytes: number): Prepared {
  const kept: R[] = [];
  const drop = () => {
    for (const results of kept.splice(0)) computing.free(results);
  };
  const atOnce = Math.max(1, Math.floor(MOST_KEPT / bytes));
  const runMany = async (count: number) => {
    for (let done = 0; done < count; done += atOnce) {
      drop();
      for (let i = done; i < Math.min(done + atOnce, count); i++) kept.push(await computing.compute());
      await computing.settle(kept);
    }
  };
  return {
    run: () => runMany(1),
    runMany,
    async read() {
      const last = kept.at(-1);
      if (!last) throw new Error('nothing was run yet');
      return computing.read(last);
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
