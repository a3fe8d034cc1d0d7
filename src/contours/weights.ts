/** What the contour detector learnt. Printed by `node scripts/run_bench.mjs train_contours`; see docs/contours.md. */
import type { WeightedCue } from './cues.js';

export interface Weights {
  /** Log-odds of a contour from local cues alone. */
  readonly local: { readonly bias: number; readonly cues: readonly WeightedCue[] };
  /** Log-odds from the local ones and from the spectral gradient, saturated. */
  readonly global: { readonly bias: number; readonly local: number; readonly spectral: number };
}

export const WEIGHTS: Weights = {
  local: {
    bias: -8.423,
    cues: [
      { channel: 'l', octave: 0, radius: 3, weight: 2.381 },
      { channel: 'texture', octave: 0, radius: 3, weight: 1.463 },
      { channel: 'a', octave: 1, radius: 5, weight: 2.336 },
      { channel: 'b', octave: 1, radius: 5, weight: 1.58 },
      { channel: 'texture', octave: 1, radius: 5, weight: 2.1 },
      { channel: 'l', octave: 2, radius: 5, weight: 1.389 },
      { channel: 'texture', octave: 2, radius: 5, weight: 1.974 },
    ],
  },
  global: { bias: -1.068, local: 0.842, spectral: 1.405 },
};
