/**
 * Choices found by measuring: a table from what is computed to how. It holds for one adapter and driver.
 */
import type { AdapterFacts } from './op.js';

/** Names of candidates by key, such as `tiled conv2d 1764x256x2304` and `64x64/2`. */
export type TuningTable = Readonly<Record<string, string>>;

/** What tuning may decide of a kernel: a key, and the candidates, of which the first is taken if nothing is known. */
export interface Tuning {
  readonly key: string;
  readonly candidates: readonly string[];
}

/** The candidate that the adapter's table names; else, or where it is none of them, the first. */
export function tuned<C extends { readonly name: string }>(
  adapter: AdapterFacts,
  key: string,
  candidates: readonly C[],
): C {
  const name = adapter.tuning?.[key];
  return candidates.find((candidate) => candidate.name === name) ?? candidates[0]!;
}
