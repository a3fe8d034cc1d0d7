/** Contours of the whole picture: gradients of the eigenvectors of normalised cuts. */
import { type Eigenvectors, leadingEigenvectors, type Product } from './eigenvectors.js';
import { DIRECTIONS, exp, ORIENTATIONS } from './exact.js';
import { filterColumns, filterRows, gaussian } from './filters.js';

/** In cells. */
const RADIUS = 5;
/** Contour strength at which the affinity across it has fallen to 1/e. */
const SIGMA = 0.1;
const SOLVER = { count: 16, steps: 32, above: 0.95, degree: 8 };

/** A step from one cell to another, and the cells in between. */
interface Link {
  readonly dy: number;
  readonly dx: number;
  /** Offsets of the cells on the line, its ends included. */
  readonly line: readonly { readonly dy: number; readonly dx: number }[];
}

/** Half of the cells within the radius: those below, and on the right in the same row. */
const LINKS: readonly Link[] = (() => {
  const links: Link[] = [];
  for (let dy = 0; dy <= RADIUS; dy++)
    for (let dx = dy === 0 ? 1 : -RADIUS; dx <= RADIUS; dx++) {
      if (dy * dy + dx * dx > RADIUS * RADIUS) continue;
      const length = Math.max(dy, Math.abs(dx));
      const line = Array.from({ length: length + 1 }, (_, i) => ({
        dy: Math.floor((dy * i) / length + 0.5),
        dx: Math.floor((dx * i) / length + 0.5),
      }));
      links.push({ dy, dx, line });
    }
  return links;
})();

/**
 * Affinities by the intervening contour cue: exp(-m / sigma), m being the strongest contour on the line between
 * two cells (Arbelaez et al., TPAMI 2011, equation 10); 1 of a cell to itself.
 *
 * @returns multiplication with D^-1/2 W D^-1/2, and the square roots of the degrees D
 */
export function normalisedAffinities(
  contours: Float32Array,
  width: number,
  height: number,
): { product: Product; roots: Float64Array } {
  const size = width * height;
  const roots = new Float64Array(size).fill(1);
  const links = LINKS.map(({ dy, dx, line }) => {
    const step = dy * width + dx;
    const between = Int32Array.from(line, (place) => place.dy * width + place.dx);
    // Zero where the other cell is outside, so that the loops over cells need no tests.
    const affinities = new Float32Array(size);
    for (let y = 0; y + dy < height; y++)
      for (let x = Math.max(0, -dx); x < Math.min(width, width - dx); x++) {
        const cell = y * width + x;
        let strongest = 0;
        for (let i = 0; i < between.length; i++) {
          const contour = contours[cell + between[i]!]!;
          if (contour > strongest) strongest = contour;
        }
        const affinity = exp(-strongest / SIGMA);
        affinities[cell] = affinity;
        roots[cell]! += affinity;
        roots[cell + step]! += affinity;
      }
    return { step, affinities };
  });
  for (let cell = 0; cell < size; cell++) roots[cell] = Math.sqrt(roots[cell]!);
  for (const { step, affinities } of links)
    for (let cell = 0; cell + step < size; cell++) affinities[cell]! /= roots[cell]! * roots[cell + step]!;
  const product: Product = (vector) => {
    const result = vector.map((value, cell) => value / (roots[cell]! * roots[cell]!));
    for (const { step, affinities } of links)
      for (let cell = 0; cell + step < size; cell++) {
        const affinity = affinities[cell]!;
        result[cell]! += affinity * vector[cell + step]!;
        result[cell + step]! += affinity * vector[cell]!;
      }
    return result;
  };
  return { product, roots };
}

/** The generalised eigenvectors of (D - W) v = lambda D v with the smallest positive eigenvalues, those first. */
export function cutVectors(contours: Float32Array, width: number, height: number): Eigenvectors {
  const { product, roots } = normalisedAffinities(contours, width, height);
  let norm = 0;
  for (const value of roots) norm += value * value;
  const known = roots.map((value) => value / Math.sqrt(norm));
  const { values, vectors } = leadingEigenvectors(product, roots.length, { ...SOLVER, known });
  return {
    values: values.map((value) => 1 - value),
    vectors: vectors.map((vector) => vector.map((value, i) => value / roots[i]!)),
  };
}

/**
 * Strength of contours that divide the whole picture (sPb): for every orientation the absolute derivatives across it of the
 * leading eigenvectors, each scaled to a range of 1 and weighted by 1 / sqrt(lambda) (Arbelaez et al., TPAMI 2011, equation 13).
 *
 * @param contours strengths of thin contours from 0 to 1, one a cell
 * @returns one plane for each orientation
 */
export function spectralGradients(contours: Float32Array, width: number, height: number): Float32Array[] {
  const planes = Array.from({ length: ORIENTATIONS }, () => new Float32Array(width * height));
  const smooth = gaussian(1, 0);
  const slope = gaussian(1, 1);
  const { values, vectors } = cutVectors(contours, width, height);
  for (const [i, vector] of vectors.entries()) {
    let [least, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const value of vector) {
      if (value < least) least = value;
      if (value > largest) largest = value;
    }
    const weight = 1 / (Math.max(largest - least, 1e-12) * Math.sqrt(Math.max(values[i]!, 1e-6)));
    const plane = { width, height, data: Float32Array.from(vector, (value) => value * weight) };
    const gx = filterColumns(filterRows(plane, slope), smooth).data;
    const gy = filterColumns(filterRows(plane, smooth), slope).data;
    for (const [k, sum] of planes.entries()) {
      const { x: cos, y: sin } = DIRECTIONS[k]!;
      for (let cell = 0; cell < sum.length; cell++) sum[cell]! += Math.abs(cos * gy[cell]! - sin * gx[cell]!);
    }
  }
  return planes;
}
