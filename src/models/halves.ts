/** Mixed precision: a network computes with copies of its weights that are stored as f16. */
import { scope, type Tensor } from '../tensor/graph.js';
import { cast } from '../tensor/ops/cast.js';
import { view } from '../tensor/ops/shape.js';
import type { FlatGroup } from '../tensor/resident.js';
import { canBeHalf } from '../tensor/types.js';
import { Parameter } from './parameter.js';

/**
 * Appends f16 copies of weights to the step being traced, a kernel a group. The parameters themselves stay f32: updates are
 * small beside what they change ("Mixed Precision Training", Micikevicius et al., 2018, section 3.1). Left out are vectors,
 * which cost nothing, and weights whose shapes can't be f16.
 */
export function halveWeights(groups: readonly FlatGroup[]): Map<Parameter, Tensor> {
  const halves = new Map<Parameter, Tensor>();
  for (const { flat, layout, entries } of groups) {
    const weights = [...entries.entries()].filter(([, entry]) => isWeights(entry) && canBeHalf(entry.shape));
    if (weights.length === 0) continue;
    const copy = scope('weights', () => cast(flat, 'f16'));
    for (const [i, entry] of weights) halves.set(entry as Parameter, view(copy, layout.offsets[i]!, entry.shape));
  }
  return halves;
}

const isWeights = (entry: unknown) => entry instanceof Parameter && entry.role === 'weights';
