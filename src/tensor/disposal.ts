/** Building what holds memory on the GPU, in parts. (`DisposableStack` would need a newer Node.) */

/**
 * What `build` returns. If it throws, what it had given to `keep` by then is disposed of, the last first.
 */
export function disposeOnError<T>(build: (keep: <D extends Disposable>(made: D) => D) => T): T {
  const made: Disposable[] = [];
  try {
    return build((each) => {
      made.push(each);
      return each;
    });
  } catch (error) {
    for (const each of made.reverse()) each[Symbol.dispose]();
    throw error;
  }
}
