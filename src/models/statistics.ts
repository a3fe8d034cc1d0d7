/** Running statistics of batch norm: `decay * old + (1 - decay) * batch`, a whole network at a time. */
import { assign, type Tensor } from '../tensor/graph.js';
import { add, mulScalar, where } from '../tensor/ops/elementwise.js';
import { pack } from '../tensor/ops/pack.js';
import type { FlatGroup } from '../tensor/resident.js';
import type { Pass } from './layers.js';
import type { Parameter } from './parameter.js';

/**
 * Appends the update to the step being traced. Each group holds the statistics of one decay. A pass that normalised by the
 * running statistics leaves them as they are (the release's `use_global_status`), and so does one where `finite`, an f32
 * scalar, is 0.
 */
export function updateStatistics(groups: Iterable<FlatGroup>, pass: Pass, finite: Tensor | null = null): void {
  if (!pass.batchStatistics) return;
  for (const group of groups) {
    const entries = group.entries as readonly Parameter[];
    const batch = entries.map((entry): Tensor => {
      const observed = pass.observed.get(entry);
      if (!observed) throw new Error(`${entry.name} was not used in this pass`);
      return observed;
    });
    const { decay } = entries[0]!;
    const moved = add(mulScalar(group.flat, decay), mulScalar(pack(batch, group.layout), 1 - decay));
    assign(group.flat, finite ? where(finite, moved, group.flat) : moved);
  }
}
