/**
 * How a product of large matrices is checked without computing it in float64: a result R [rows, columns] is compared with
 * what it should be only in R w, for a few vectors w, each of which costs no more than one column of R. Some w pick a
 * single column; others have random signs, so that an error anywhere shows (Freivalds 1977).
 */
import { Random } from '../../src/tensor/random.js';

/** The first, a middle and the last column, and two combinations of all. */
export function probes(columns: number): Float64Array[] {
  const picked = new Set([0, Math.floor(columns / 3), columns - 1]);
  const single = [...picked].map((column) => Float64Array.from({ length: columns }, (_, i) => (i === column ? 1 : 0)));
  const random = new Random({ seed: 1, stream: 91 });
  const signs = () => Float64Array.from({ length: columns }, () => (random.uniform() < 0.5 ? -1 : 1));
  return [...single, signs(), signs()];
}

/** The product of a row-major matrix and a vector, in float64. */
export function timesVector(matrix: ArrayLike<number>, vector: Float64Array): Float64Array {
  const columns = vector.length;
  const product = new Float64Array(matrix.length / columns);
  for (let row = 0, at = 0; row < product.length; row++) {
    let sum = 0;
    for (let column = 0; column < columns; column++, at++) sum += matrix[at]! * vector[column]!;
    product[row] = sum;
  }
  return product;
}
