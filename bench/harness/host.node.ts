/** Node as the host of a run. */
import { cpus, loadavg, release } from 'node:os';
import type { Host } from './session.js';

export const nodeHost: Host = {
  kind: 'node',
  clock: {
    now: () => performance.now(),
    async cpu() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
  },
  describe: () => ({
    runtime: `Node ${process.version}`,
    system: `${process.platform} ${release()} ${process.arch}`,
    processor: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${cpus().length} threads`,
  }),
  // On Windows it is always 0.
  loadAverage: () => (process.platform === 'win32' ? null : loadavg()[0]!),
};
