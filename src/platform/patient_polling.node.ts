/**
 * Dawn's binding asks whether work is done in a loop of `setImmediate`, for as long as anything is awaited: 80,000 times a
 * second, a core kept busy. On two cores that takes SwiftShader's threads a third of their time (matrix products took 1.75
 * times as long); beside a real GPU it starves the threads that load data. So Dawn's questions, and nothing else, wait for
 * a timer once an answer has been due for a while.
 */

/** A wait shorter than this, in milliseconds, is answered as soon as it can be. */
const EAGER = 1;
/** Milliseconds between later questions. */
const PAUSE = 1;

let installed = false;

/** Replaces the global `setImmediate`, which the binding looks up each time. */
export function pollPatiently(): void {
  if (installed) return;
  installed = true;
  const immediately = globalThis.setImmediate;
  let begin = 0;
  let asking = false;
  const schedule = (callback: (...args: unknown[]) => void, ...args: unknown[]) => {
    if (!isNative(callback)) return immediately(callback, ...args);
    const now = performance.now();
    // One that is not asked for by another is of a new wait.
    if (!asking) begin = now;
    const ask = () => {
      asking = true;
      try {
        callback(...args);
      } finally {
        asking = false;
      }
    };
    return now - begin < EAGER ? immediately(ask) : setTimeout(ask, PAUSE);
  };
  // With `util.promisify`'s custom form.
  globalThis.setImmediate = Object.defineProperties(
    schedule,
    Object.getOwnPropertyDescriptors(immediately),
  ) as unknown as typeof setImmediate;
}

/** Whether a function is an addon's, without a name, as Dawn's are. */
function isNative(callback: unknown): boolean {
  if (typeof callback !== 'function' || callback.name !== '') return false;
  return Function.prototype.toString.call(callback).endsWith('{ [native code] }');
}
