/** Starting a run from the weights of a file. */
import type { Network } from '../../models/network.js';
import { type RestoreReport, restoreWeights } from '../../models/weights.js';
import { openCheckpoint } from '../checkpoint_file.js';
import type { Session } from '../session.js';

/**
 * Loads weights of any known format into a network's parameters, which have memory already, and says what became of every
 * tensor on standard error.
 *
 * @param head false: the head keeps its initial values
 * @throws WeightsError where the file's weights are not the network's
 */
export async function loadWeights(
  { runtime }: Session,
  network: Network,
  path: string,
  { head }: { readonly head: boolean },
): Promise<RestoreReport> {
  await using file = await openCheckpoint(path);
  const report = await restoreWeights(runtime, network, file, { head });
  console.error(describeReport(report));
  return report;
}

/** The report in a few lines. */
export function describeReport({ file, title, loaded, skipped, unused }: RestoreReport): string {
  const lines = [`weights of ${file} (${title}): ${loaded.length} tensors loaded`];
  if (skipped.length > 0) lines.push(`  ${skipped.length} parameters of the head start anew: ${listed(skipped)}`);
  if (unused.length > 0) lines.push(`  ${unused.length} tensors of the file have no place here: ${listed(unused)}`);
  return lines.join('\n');
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown}, ...` : shown;
}
