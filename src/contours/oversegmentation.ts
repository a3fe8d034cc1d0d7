/** From a photograph to a hierarchy of regions. */
import type { RgbImage } from '../data/image.js';
import { traceArcs } from './arcs.js';
import { detectContours, type OrientedContours } from './detector.js';
import { DIRECTIONS, ORIENTATIONS } from './exact.js';
import type { RegionHierarchy } from './hierarchy.js';
import { mergeRegions } from './merging.js';
import { strongestOrientation } from './thinning.js';
import { joinShallow, watershed } from './watershed.js';
import { WEIGHTS } from './weights.js';

/** Basins that are less deep than this share of the height of their lowest pass are no regions of their own. */
const SHALLOW = 0.35;

/**
 * What the regions of a photo depend on, for keys of what is kept on disk. The number is to be raised whenever the code gives
 * other regions than before.
 */
export const OVERSEGMENTATION = JSON.stringify({ method: 1, shallow: SHALLOW, weights: WEIGHTS });

/** The hierarchy of regions of a photograph, from nothing but the photograph. */
export function oversegment(image: RgbImage): RegionHierarchy {
  return regionHierarchy(detectContours(image));
}

/**
 * The oriented watershed transform and the ultrametric contour map (Arbelaez et al., TPAMI 2011, section 4). The basins of the strongest
 * orientation are the finest regions. A border between them is as strong as the contours along *its own* direction, so
 * that basins which meet where no contour runs are merged early.
 */
export function regionHierarchy({ width, height, planes }: OrientedContours, shallow = SHALLOW): RegionHierarchy {
  const { strength } = strongestOrientation(planes);
  const basins = joinShallow(watershed(strength, width, height), strength, shallow);
  const arcs = traceArcs(basins);
  const strengths = new Float32Array(arcs.inside.length);
  for (let i = 0; i < strengths.length; i++) {
    const { lower, upper, share } = orientationOf(arcs.dx[i]!, arcs.dy[i]!);
    const at = (pixel: number) => (1 - share) * planes[lower]![pixel]! + share * planes[upper]![pixel]!;
    strengths[i] = Math.max(at(arcs.inside[i]!), at(arcs.outside[i]!));
  }
  return mergeRegions(basins, arcs.inside, arcs.outside, strengths);
}

/** The two orientations that a direction lies between, and how far on the way from the first to the second. */
export function orientationOf(dx: number, dy: number): { lower: number; upper: number; share: number } {
  const [x, y] = dy < 0 || (dy === 0 && dx < 0) ? [-dx, -dy] : [dx, dy];
  let lower = 0;
  while (lower + 1 < ORIENTATIONS && DIRECTIONS[lower + 1]!.x * y - DIRECTIONS[lower + 1]!.y * x >= 0) lower++;
  const from = DIRECTIONS[lower]!;
  const to = DIRECTIONS[lower + 1]!;
  // Sines of the angles to either side; for steps of pi / 8 their ratio is near that of the angles.
  const before = from.x * y - from.y * x;
  const after = to.y * x - to.x * y;
  const share = before + after > 0 ? before / (before + after) : 0;
  return { lower, upper: (lower + 1) % ORIENTATIONS, share };
}
