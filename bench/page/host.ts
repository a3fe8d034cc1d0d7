/** A browser as the host of a run. */
import type { Host } from '../harness/session.js';

declare global {
  interface Window {
    /** CPU time of all of the browser's processes in milliseconds, which only whoever drives the browser can tell. */
    browserCpuMilliseconds?: () => Promise<number | null>;
  }
}

export const browserHost: Host = {
  kind: 'browser',
  clock: {
    now: () => performance.now(),
    cpu: async () => (await window.browserCpuMilliseconds?.()) ?? null,
  },
  describe: () => ({
    runtime: navigator.userAgent,
    system: /\(([^;)]*)/.exec(navigator.userAgent)?.[1] ?? 'unknown',
    processor: `${navigator.hardwareConcurrency} threads`,
  }),
  loadAverage: () => null,
};
