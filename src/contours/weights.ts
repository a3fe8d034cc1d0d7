/** What the contour detector learnt. Written by `node scripts/run_bench.mjs train_contours`; see docs/contours.md. */
import type { WeightedCue } from './cues.js';

export interface Weights {
  /** Log-odds of a contour from local cues alone. */
  readonly local: { readonly bias: number; readonly cues: readonly WeightedCue[] };
  /** Log-odds from the local ones and from the spectral gradient, saturated. */
  readonly global: { readonly bias: number; readonly local: number; readonly spectral: number };
}

export const WEIGHTS: Weights = {
  local: {
    bias: -8.131,
    cues: [
      { channel: 'l', octave: 0, radius: 3, weight: 2.525 },
      { channel: 'texture', octave: 0, radius: 3, weight: 1.277 },
      { channel: 'a', octave: 1, radius: 5, weight: 1.923 },
      { channel: 'b', octave: 1, radius: 5, weight: 2.542 },
      { channel: 'texture', octave: 1, radius: 5, weight: 1.437 },
      { channel: 'l', octave: 2, radius: 5, weight: 1.806 },
      { channel: 'texture', octave: 2, radius: 5, weight: 1.457 },
    ],
  },
  global: { bias: -1.567, local: 0.843, spectral: 2.061 },
};
