/** What makes a run of benchmarks a failure. */
import { ENGINE } from './engine.js';
import type { BenchResults } from './results.js';

/** Whether the engine was wrong, failed or refused in any case. That others were is told, and does not count. */
export function engineFails({ rows }: Pick<BenchResults, 'rows'>): boolean {
  return rows.some(({ entries }) =>
    entries.some(({ contender, status }) => contender === ENGINE && status !== 'measured'),
  );
}
