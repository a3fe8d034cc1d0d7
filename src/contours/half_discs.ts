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
 * @param cells of at most 32 bins
 * @param radius in cells
 * @returns one plane for each orientation
 */
export function halfDiscGradients(cells: CellHistograms, radius: number): Float32Array[] {
  const { width, height, bins, first, entries } = cells;
  if (bins > 32) throw new RangeError(`halfDiscGradients: ${bins} bins; at most 32`);
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
  const distances = new Float64Array(ORIENTATIONS);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      // Few of the bins occur in a disc: a bit for each that does.
      let present = 0;
      const corner = y * stride + x;
      for (let s = 0; s < offsets.length; s++) {
        const cell = cellAt[corner + offsets[s]!]!;
        const a = wedge[s]!;
        const b = other[s]!;
        const end = first[cell + 1]!;
        for (let e = first[cell]!; e < end; e++) {
          const entry = entries[e]!;
          const bin = entry & 0xff;
          const amount = entry >> 8;
          present |= 1 << bin;
          counts[bin * WEDGES + a]! += amount;
          counts[bin * WEDGES + b]! += amount;
        }
      }
      distances.fill(0);
      let area = 0;
      for (; present !== 0; present &= present - 1) {
        const at = (31 - Math.clz32(present & -present)) * WEDGES;
        let half = 0;
        let rest = 0;
        for (let k = at; k < at + ORIENTATIONS; k++) {
          half += counts[k]!;
          rest += counts[k + ORIENTATIONS]!;
        }
        const total = half + rest;
        area += total;
        const weight = 1 / total;
        let difference = half - rest;
        for (let k = 0; k < ORIENTATIONS; k++) {
          distances[k]! += difference * difference * weight;
          difference += 2 * (counts[at + k + ORIENTATIONS]! - counts[at + k]!);
          counts[at + k] = 0;
          counts[at + k + ORIENTATIONS] = 0;
        }
      }
      const pixel = y * width + x;
      for (let k = 0; k < ORIENTATIONS; k++) planes[k]![pixel] = distances[k]! / area;
    }
  return planes;
}
