/** A contour detector: local cues, joined with what divides the picture as a whole (gPb). */
import type { RgbImage } from '../data/image.js';
import { LocalCues } from './cues.js';
import { sigmoid } from './exact.js';
import { doubled } from './filters.js';
import { spectralGradients } from './spectral.js';
import { ridges, strongestOrientation } from './thinning.js';
import { WEIGHTS, type Weights } from './weights.js';

/** Contour strength in every direction. */
export interface OrientedContours {
  readonly width: number;
  readonly height: number;
  /** One plane for each orientation k pi / 8: the probability from 0 to 1 that a contour runs through the pixel that way. */
  readonly planes: readonly Float32Array[];
}

/** Spectral gradient at which half of its weight is reached. */
const SATURATION = 0.5;

/** Octave at which the spectral problem is solved: cells of 4 x 4 pixels. */
const SPECTRAL_OCTAVE = 2;

/** Detects the contours of a photograph. */
export function detectContours(image: RgbImage, weights: Weights = WEIGHTS): OrientedContours {
  const { width, height } = image;
  const cues = new LocalCues(image);
  const local = cues.combine(weights.local.cues);
  const spectral = globalGradients(local, cues.sizes, weights.local.bias);
  return { width, height, planes: joinCues(local, spectral, weights) };
}

/** Probabilities from the weighted sum of the local cues, without bias, and the spectral gradients. */
export function joinCues(
  local: readonly Float32Array[],
  spectral: readonly Float32Array[],
  weights: Weights,
): Float32Array[] {
  const { bias, local: share, spectral: weight } = weights.global;
  return local.map((plane, k) => {
    const gradient = spectral[k]!;
    return plane.map((sum, pixel) =>
      sigmoid(bias + share * (weights.local.bias + sum) + weight * saturated(gradient[pixel]!)),
    );
  });
}

/** A spectral gradient, which may be large, from 0 to 1. */
export function saturated(gradient: number): number {
  return gradient / (gradient + SATURATION);
}

/** Spectral gradients at the image's size, from the ridges of the local cues. */
export function globalGradients(
  local: readonly Float32Array[],
  sizes: readonly { readonly width: number; readonly height: number }[],
  bias: number,
): Float32Array[] {
  const { width, height } = sizes[0]!;
  const cells = sizes[SPECTRAL_OCTAVE]!;
  const strongest = strongestOrientation(local);
  const ridge = ridges(strongest, width, height);
  const thin = new Float32Array(cells.width * cells.height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const pixel = y * width + x;
      if (!ridge[pixel]) continue;
      const cell = (y >> SPECTRAL_OCTAVE) * cells.width + (x >> SPECTRAL_OCTAVE);
      const strength = sigmoid(bias + strongest.strength[pixel]!);
      if (strength > thin[cell]!) thin[cell] = strength;
    }
  return spectralGradients(thin, cells.width, cells.height).map((plane) => {
    let data = plane;
    for (let octave = SPECTRAL_OCTAVE; octave > 0; octave--)
      data = doubled({ ...sizes[octave]!, data }, sizes[octave - 1]!.width, sizes[octave - 1]!.height);
    return data;
  });
}
