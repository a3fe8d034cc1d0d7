/** Oriented gradients: how much the two halves of a disc differ. */
import { DIRECTIONS, ORIENTATIONS } from './exact.js';
import { mirrored } from './filters.js';
import type { CellHistograms } from './histograms.js';

const WEDGES = 2 * ORIENTATIONS;

/** A place in the disc: its offset, and its two wedges, which are the same unless it lies on the ray between them. */
interface Spot {
  readonly dy: number;
  readonly dx: number;
  readonly wedges: readonly [number, number];
}

function spotsOf(radius: number): Spot[] {
  const spots: Spot[] = [];
  for (let dy = -radius; dy <= radius; dy++)
    for (let dx = -radius; dx <= radius; dx++) {
      if ((dx === 0 && dy === 0) || dx * dx + dy * dy > radius * radius) continue;
      const sides = DIRECTIONS.map(({ x, y }) => x * dy - y * dx);
      const wedge = sides.findIndex((side, k) => side >= 0 && sides[(k + 1) % WEDGES]! < 0);
      spots.push({ dy, dx, wedges: [wedge, sides[wedge] === 0 ? (wedge + WEDGES - 1) % WEDGES : wedge] });
    }
  return spots;
}

/**
 * For every cell and orientation the chi-square distance, from 0 to 1, between the histograms of the two halves of a
 * disc cut along the orientation (Martin, Fowlkes and Malik, TPAMI 2004, section 3). The halves are put together from 16
 * wedges, which are counted once for all orientations; places on a cut count half on each side.
 *
 * @param radius in cells
 * @returns one plane for each orientation
 */
export function halfDiscGradients(cells: CellHistograms, radius: number): Float32Array[] {
  const { width, height, bins, first, entries } = cells;
  const planes = Array.from({ length: ORIENTATIONS }, () => new Float32Array(width * height));
  const spots = spotsOf(radius);
  const stride = width + 2 * radius;
  const cellAt = new Int32Array(stride * (height + 2 * radius));
  for (let y = 0; y < height + 2 * radius; y++)
    for (let x = 0; x < stride; x++)
      cellAt[y * stride + x] = mirrored(y - radius, height) * width + mirrored(x - radius, width);
  const offsets = Int32Array.from(spots, ({ dy, dx }) => (dy + radius) * stride + dx + radius);
  const wedge = Int32Array.from(spots, ({ wedges }) => wedges[0]);
  const other = Int32Array.from(spots, ({ wedges }) => wedges[1]);

  const counts = new Int32Array(bins * WEDGES);
  const totals = new Int32Array(bins);
  const distances = new Float64Array(ORIENTATIONS);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      counts.fill(0);
      totals.fill(0);
      for (let s = 0; s < offsets.length; s++) {
        const cell = cellAt[y * stride + x + offsets[s]!]!;
        const a = wedge[s]!;
        const b = other[s]!;
        for (let e = first[cell]!; e < first[cell + 1]!; e++) {
          const bin = entries[e]! & 0xff;
          const amount = entries[e]! >> 8;
          totals[bin]! += amount;
          counts[bin * WEDGES + a]! += amount;
          counts[bin * WEDGES + b]! += amount;
        }
      }
      distances.fill(0);
      let area = 0;
      for (let bin = 0; bin < bins; bin++) {
        // Everything was counted twice.
        const total = 2 * totals[bin]!;
        if (total === 0) continue;
        area += total;
        const at = bin * WEDGES;
        let half = 0;
        for (let k = 0; k < ORIENTATIONS; k++) half += counts[at + k]!;
        for (let k = 0; k < ORIENTATIONS; k++) {
          const difference = 2 * half - total;
          distances[k]! += (difference * difference) / total;
          half += counts[at + k + ORIENTATIONS]! - counts[at + k]!;
        }
      }
      for (let k = 0; k < ORIENTATIONS; k++) planes[k]![y * width + x] = distances[k]! / area;
    }
  return planes;
}
