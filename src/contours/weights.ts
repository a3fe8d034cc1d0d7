export interface Weights {
  local: { bias: number; cues: number[] };
  global: { bias: number; local: number; spectral: number };
}
export const WEIGHTS: Weights = {
  local: { bias: -7.411, cues: [2.063, 1.293, 0.603, 1.45, 2.853, -0.834, 1.652, 0.996, 0.886, 1.41] },
  global: { bias: -0.763, local: 0.852, spectral: 0.363 },
};
