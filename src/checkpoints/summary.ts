/** What `inspect` says of a tensor's values. */
import type { StoredTensor } from './tensor_file.js';
import { decoderOf } from './values.js';

/** Statistics over the finite values of a tensor; null where there are none. */
export interface Summary {
  readonly mean: number | null;
  /** Standard deviation of the population. */
  readonly deviation: number | null;
  readonly least: number | null;
  readonly most: number | null;
  /** Values that are NaN or infinite. */
  readonly nonFinite: number;
}

/** Two passes in float64; 64-bit integers beyond 2^53 are rounded. */
export function summarize({ dtype, data }: StoredTensor): Summary {
  const decode = decoderOf(dtype);
  let finite = 0;
  let sum = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < data.length; i++) {
    const value = decode(data[i]!);
    if (!Number.isFinite(value)) continue;
    finite++;
    sum += value;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const nonFinite = data.length - finite;
  if (finite === 0) return { mean: null, deviation: null, least: null, most: null, nonFinite };
  const mean = sum / finite;
  let squares = 0;
  for (let i = 0; i < data.length; i++) {
    const value = decode(data[i]!);
    if (Number.isFinite(value)) squares += (value - mean) ** 2;
  }
  return { mean, deviation: Math.sqrt(squares / finite), least, most, nonFinite };
}
