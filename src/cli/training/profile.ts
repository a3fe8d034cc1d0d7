/** The times of a step's kernels, added up by what they compute. */
import { timesByPart } from '../../segsort/step_parts.js';
import type { StepTime } from '../../tensor/replay.js';
import { formatTable } from '../table.js';

const SHOWN = 40;

/** The slowest kernels, those of the same variant and shapes in one line, and the parts of the step. */
export function profileTable(times: readonly StepTime[]): string {
  const groups = new Map<string, { count: number; milliseconds: number; flops: number; bytes: number }>();
  for (const { op, variant, shapes, milliseconds, flops, bytes } of times) {
    const key = `${op}:${variant}  ${shapes}`;
    const group = groups.get(key) ?? { count: 0, milliseconds: 0, flops: 0, bytes: 0 };
    groups.set(key, {
      count: group.count + 1,
      milliseconds: group.milliseconds + milliseconds,
      flops: group.flops + flops,
      bytes: group.bytes + bytes,
    });
  }
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const flops = times.reduce((sum, step) => sum + step.flops, 0);
  const slowest = [...groups].sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
  const rows = slowest
    .slice(0, SHOWN)
    .map(([kernel, group]) => [
      kernel,
      String(group.count),
      group.milliseconds.toFixed(3),
      `${((100 * group.milliseconds) / total).toFixed(1)}`,
      perSecond(group.flops, group.milliseconds),
      perSecond(group.bytes, group.milliseconds),
    ]);
  const rest = slowest.length > SHOWN ? `\nand ${slowest.length - SHOWN} more` : '';
  const table = formatTable(['kernel', 'times', 'ms', '%', 'GFLOP/s', 'GB/s'], rows);
  return `${table}${rest}\n\n${partsTable(times)}\n\n${times.length} kernels, ${total.toFixed(2)} ms, ${(flops / 1e9).toFixed(2)} GFLOP, ${perSecond(flops, total)} GFLOP/s`;
}

/** What the step spends on the network, on clustering, on the loss; forward and backward. */
function partsTable(times: readonly StepTime[]): string {
  const rows = timesByPart(times).map(({ part, kernels, milliseconds, share }) => [
    part,
    String(kernels),
    milliseconds.toFixed(3),
    (100 * share).toFixed(1),
  ]);
  return formatTable(['part', 'kernels', 'ms', '%'], rows);
}

const perSecond = (amount: number, milliseconds: number): string =>
  milliseconds > 0 ? (amount / milliseconds / 1e6).toFixed(2) : '-';
