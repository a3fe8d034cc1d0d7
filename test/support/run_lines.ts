/** What a run has written down of its steps. */
import type { MetricsLine, RunFolder, ValidationLine } from '../../src/cli/run_folder.js';

/** The metrics up to a step, in order. */
export const readMetrics = (run: RunFolder, lastStep?: number): Promise<MetricsLine[]> =>
  run.readLines<MetricsLine>('metrics.jsonl', lastStep);

/** The scores on held-out images up to a step, in order. */
export const readValidation = (run: RunFolder, lastStep?: number): Promise<ValidationLine[]> =>
  run.readLines<ValidationLine>('validation.jsonl', lastStep);
