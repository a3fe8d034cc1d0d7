/** The leading eigenvectors of a large symmetric matrix. */

/** Multiplies a symmetric matrix with a vector. */
export type Product = (vector: Float64Array) => Float64Array;

export interface Eigenvectors {
  /** Largest first. */
  readonly values: number[];
  /** Of unit length. */
  readonly vectors: Float64Array[];
}

export interface LanczosOptions {
  /** Eigenvectors wanted. */
  readonly count: number;
  /** Dimension of the Krylov space. */
  readonly steps: number;
  /** An eigenvector of unit length that is known and not wanted. */
  readonly known: Float64Array;
  /** All eigenvalues lie from -1 to 1, and the wanted ones above this. */
  readonly above: number;
  /** Of the polynomial that sets them apart. */
  readonly degree: number;
}

/**
 * Approximates the eigenvectors of the largest eigenvalues of a symmetric matrix, orthogonal to one that is known, by the Lanczos
 * method with complete reorthogonalisation (Golub and Van Loan, "Matrix Computations", section 10.3). It is applied to a
 * Chebyshev polynomial of the matrix, which stays within [-1, 1] on the eigenvalues that are not wanted and grows fast above
 * them (Zhou and Saad, 2007): eigenvalues near 1 that lie close together come apart, and a much smaller space will do.
 */
export function leadingEigenvectors(product: Product, size: number, options: LanczosOptions): Eigenvectors {
  const { count, steps, known, above, degree } = options;
  const basis = [known];
  const diagonal: number[] = [];
  const beside: number[] = [];
  let vector = noise(size);
  for (let step = 0; step < Math.min(steps, size - 1); step++) {
    // Twice, since once leaves rounding errors.
    orthogonalise(vector, basis);
    orthogonalise(vector, basis);
    const norm = Math.sqrt(dot(vector, vector));
    if (!(norm > 1e-10)) break;
    for (let i = 0; i < size; i++) vector[i]! /= norm;
    if (step > 0) beside.push(norm);
    basis.push(vector);
    const filtered = chebyshev(product, vector, above, degree);
    diagonal.push(dot(vector, filtered));
    vector = filtered;
  }
  const { values, vectors } = tridiagonalEigen(diagonal, beside);
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b).slice(0, count);
  const found = order.map((i) => {
    const result = new Float64Array(size);
    for (let step = 0; step < diagonal.length; step++) {
      const weight = vectors[i * diagonal.length + step]!;
      const base = basis[step + 1]!;
      for (let j = 0; j < size; j++) result[j]! += weight * base[j]!;
    }
    return result;
  });
  return { values: found.map((eigenvector) => dot(eigenvector, product(eigenvector))), vectors: found };
}

/** T_degree of the matrix with [-1, above] stretched to [-1, 1], times a vector. */
function chebyshev(product: Product, vector: Float64Array, above: number, degree: number): Float64Array {
  const scale = 2 / (above + 1);
  const shift = (above - 1) / 2;
  let before = vector;
  let current = product(vector);
  for (let i = 0; i < current.length; i++) current[i] = scale * (current[i]! - shift * vector[i]!);
  for (let k = 2; k <= degree; k++) {
    const next = product(current);
    for (let i = 0; i < next.length; i++) next[i] = 2 * scale * (next[i]! - shift * current[i]!) - before[i]!;
    before = current;
    current = next;
  }
  return current;
}

function orthogonalise(vector: Float64Array, basis: readonly Float64Array[]): void {
  for (const base of basis) {
    const part = dot(vector, base);
    for (let i = 0; i < vector.length; i++) vector[i]! -= part * base[i]!;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The same numbers every time, without structure that an image could share. */
function noise(size: number): Float64Array {
  let state = 1;
  return Float64Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const MOST_ROTATIONS = 60;

/**
 * All eigenvalues and eigenvectors of a symmetric tridiagonal matrix, by QL steps with implicit shifts (Golub and Van Loan,
 * section 8.3).
 *
 * @returns eigenvector i at `vectors[i * size ...]`
 */
export function tridiagonalEigen(
  diagonal: readonly number[],
  beside: readonly number[],
): { values: Float64Array; vectors: Float64Array } {
  const size = diagonal.length;
  const d = Float64Array.from(diagonal);
  const e = new Float64Array(size);
  e.set(beside.slice(0, size - 1));
  const vectors = new Float64Array(size * size);
  for (let i = 0; i < size; i++) vectors[i * size + i] = 1;
  for (let low = 0; low < size; low++)
    for (let round = 0; ; round++) {
      let high = low;
      while (high < size - 1 && Math.abs(e[high]!) > 1e-15 * (Math.abs(d[high]!) + Math.abs(d[high + 1]!))) high++;
      if (high === low) break;
      if (round === MOST_ROTATIONS) throw new Error('tridiagonalEigen: does not converge; are there NaNs?');
      let g = (d[low + 1]! - d[low]!) / (2 * e[low]!);
      g = d[high]! - d[low]! + e[low]! / (g + (g < 0 ? -1 : 1) * Math.sqrt(g * g + 1));
      let [s, c, p] = [1, 1, 0];
      let i = high - 1;
      for (; i >= low; i--) {
        const f = s * e[i]!;
        const b = c * e[i]!;
        const r = Math.sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1]! -= p;
          e[high] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1]! - p;
        const t = (d[i]! - g) * s + 2 * c * b;
        p = s * t;
        d[i + 1] = g + p;
        g = c * t - b;
        for (let k = 0; k < size; k++) {
          const above = vectors[(i + 1) * size + k]!;
          const here = vectors[i * size + k]!;
          vectors[(i + 1) * size + k] = s * here + c * above;
          vectors[i * size + k] = c * here - s * above;
        }
      }
      if (i >= low) continue;
      d[low]! -= p;
      e[low] = g;
      e[high] = 0;
    }
  return { values: d, vectors };
}
