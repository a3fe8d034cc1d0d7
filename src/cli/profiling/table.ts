/** A profile as text: kernels by whatever they are grouped by, parts, host, memory. */
import { timesByPart } from '../../segsort/step_parts.js';
import { megabytes } from '../../tensor/storage.js';
import { formatTable } from '../table.js';
import type { KernelProfile, StepProfile } from './profile.js';

const SHOWN = 40;

/** What makes kernels one line. */
export const GROUPINGS = {
  kernel: ({ op, variant, shapes }: KernelProfile) => `${op}:${variant}  ${shapes}`,
  op: ({ op, variant }: KernelProfile) => `${op}:${variant}`,
  layer: ({ layer }: KernelProfile) => layer,
} as const satisfies Record<string, (kernel: KernelProfile) => string>;
export type Grouping = keyof typeof GROUPINGS;

/** What some kernels take together. */
export interface GroupTime {
  readonly name: string;
  readonly calls: number;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Kernels added up, the slowest group first. */
export function groupKernels(kernels: readonly KernelProfile[], by: Grouping): GroupTime[] {
  const groups = new Map<string, GroupTime>();
  for (const kernel of kernels) {
    const name = GROUPINGS[by](kernel);
    const { calls, milliseconds, flops, bytes } = groups.get(name) ?? { calls: 0, milliseconds: 0, flops: 0, bytes: 0 };
    groups.set(name, {
      name,
      calls: calls + 1,
      milliseconds: milliseconds + kernel.milliseconds,
      flops: flops + kernel.flops,
      bytes: bytes + kernel.bytes,
    });
  }
  return [...groups.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}

export function describeProfile(profile: StepProfile, by: Grouping, unit: string): string {
  const { kernels, timestamps, repeats } = profile;
  const sum = (pick: (kernel: KernelProfile) => number) => kernels.reduce((total, kernel) => total + pick(kernel), 0);
  const busy = sum(({ milliseconds }) => milliseconds);
  const flops = sum((kernel) => kernel.flops);
  const how = timestamps ? "by the GPU's timestamps" : 'each submitted and waited for';
  const total = `a ${unit}: ${kernels.length} kernels in ${busy.toFixed(2)} ms of ${profile.milliseconds.toFixed(2)} ms on the GPU (medians of ${repeats}, ${how}), ${(flops / 1e9).toFixed(2)} GFLOP, ${perSecond(flops, busy)} GFLOP/s`;
  return [kernelTable(kernels, by, busy), partTable(kernels), hostTable(profile), memoryLines(profile), total].join(
    '\n\n',
  );
}

function kernelTable(kernels: readonly KernelProfile[], by: Grouping, total: number): string {
  const groups = groupKernels(kernels, by);
  const rows = groups
    .slice(0, SHOWN)
    .map(({ name, calls, milliseconds, flops, bytes }) => [
      name,
      String(calls),
      milliseconds.toFixed(3),
      share(milliseconds, total),
      perSecond(flops, milliseconds),
      perSecond(bytes, milliseconds),
      bytes > 0 ? (flops / bytes).toFixed(1) : '-',
    ]);
  const rest = groups.length > SHOWN ? `\nand ${groups.length - SHOWN} more` : '';
  return `${formatTable([by, 'calls', 'ms', '%', 'GFLOP/s', 'GB/s', 'FLOP/B'], rows)}${rest}`;
}

/** What goes to the network, to clustering, to the loss; forward and backward. */
function partTable(kernels: readonly KernelProfile[]): string {
  const rows = timesByPart(kernels).map(({ part, kernels, milliseconds, share }) => [
    part,
    String(kernels),
    milliseconds.toFixed(3),
    (100 * share).toFixed(1),
  ]);
  return formatTable(['part', 'kernels', 'ms', '%'], rows);
}

function hostTable({ host, kernels }: StepProfile): string {
  const commands = kernels.reduce((sum, kernel) => sum + kernel.commands, 0);
  const rows = host.map(({ name, milliseconds, waits }) => [
    name,
    milliseconds.toFixed(3),
    waits ? '-' : ((1000 * milliseconds) / commands).toFixed(2),
  ]);
  return formatTable(['host', 'ms', `us a command of ${commands}`], rows);
}

function memoryLines({ memory, residentBytes }: StepProfile): string {
  const plans = memory.map(
    ({ name, slots, plannedBytes, liveBytes, at }) =>
      `${name}: ${slots} slots of ${megabytes(plannedBytes)}, of which ${megabytes(liveBytes)} must be alive at once (${at})`,
  );
  return [...plans, `parameters and state: ${megabytes(residentBytes)}`].join('\n');
}

const share = (milliseconds: number, total: number): string =>
  total > 0 ? ((100 * milliseconds) / total).toFixed(1) : '-';

const perSecond = (amount: number, milliseconds: number): string =>
  milliseconds > 0 ? (amount / milliseconds / 1e6).toFixed(2) : '-';
