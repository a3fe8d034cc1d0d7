/**
 * Matrix products in float64 with rows picked by index, fast enough for references of whole blocks: about 1e9
 * multiply-adds a second, four rows or columns of the inner extent at a time so that sums are loaded less often.
 */

/** Rows of a matrix by position; -1 stands for a row of zeros. Null: all of them in order. */
export type RowIndex = Int32Array | null;

/** c[p] += a[index[p]] B, for a [.,k], B [k,n] from `at` on and c [rows,n]. */
export function addProduct(
  c: Float64Array,
  a: Float64Array,
  b: Float64Array,
  { rows, k, n, at = 0, index = null }: { rows: number; k: number; n: number; at?: number; index?: RowIndex },
): void {
  for (let row = 0; row < rows; row++) {
    const from = index ? index[row]! : row;
    if (from < 0) continue;
    const to = row * n;
    for (let i = 0; i < k; i += 4) {
      const first = from * k + i;
      const [a0, a1, a2, a3] = [a[first]!, a[first + 1]!, a[first + 2]!, a[first + 3]!];
      const b0 = at + i * n;
      const [b1, b2, b3] = [b0 + n, b0 + 2 * n, b0 + 3 * n];
      for (let j = 0; j < n; j++) c[to + j]! += a0 * b[b0 + j]! + a1 * b[b1 + j]! + a2 * b[b2 + j]! + a3 * b[b3 + j]!;
    }
  }
}

/** c[index[p]] += g[p] B^T, for g [rows,n], B [k,n] from `at` on and c [.,k]. */
export function addProductTransposed(
  c: Float64Array,
  g: Float64Array,
  b: Float64Array,
  { rows, k, n, at = 0, index = null }: { rows: number; k: number; n: number; at?: number; index?: RowIndex },
): void {
  for (let row = 0; row < rows; row++) {
    const to = index ? index[row]! : row;
    if (to < 0) continue;
    for (let i = 0; i < k; i += 4) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      const b0 = at + i * n;
      const [b1, b2, b3] = [b0 + n, b0 + 2 * n, b0 + 3 * n];
      for (let j = 0, from = row * n; j < n; j++, from++) {
        const value = g[from]!;
        s0 += value * b[b0 + j]!;
        s1 += value * b[b1 + j]!;
        s2 += value * b[b2 + j]!;
        s3 += value * b[b3 + j]!;
      }
      const first = to * k + i;
      c[first]! += s0;
      c[first + 1]! += s1;
      c[first + 2]! += s2;
      c[first + 3]! += s3;
    }
  }
}

/** C += sum over p of a[index[p]]^T g[p], for a [.,k], g [rows,n] and C [k,n] from `at` on. */
export function addOuterProducts(
  c: Float64Array,
  a: Float64Array,
  g: Float64Array,
  { rows, k, n, at = 0, index = null }: { rows: number; k: number; n: number; at?: number; index?: RowIndex },
): void {
  const zeros = new Float64Array(k);
  const rowOf = (row: number) => {
    const from = row < rows ? (index ? index[row]! : row) : -1;
    return from < 0 ? zeros : a.subarray(from * k, from * k + k);
  };
  for (let row = 0; row < rows; row += 4) {
    const [a0, a1, a2, a3] = [rowOf(row), rowOf(row + 1), rowOf(row + 2), rowOf(row + 3)];
    // Rows past the end meet zeros; they are read from the last row so as not to read past the array.
    const place = (i: number) => Math.min(row + i, rows - 1) * n;
    const [g0, g1, g2, g3] = [place(0), place(1), place(2), place(3)];
    for (let i = 0; i < k; i++) {
      const [w0, w1, w2, w3] = [a0[i]!, a1[i]!, a2[i]!, a3[i]!];
      const to = at + i * n;
      for (let j = 0; j < n; j++) c[to + j]! += w0 * g[g0 + j]! + w1 * g[g1 + j]! + w2 * g[g2 + j]! + w3 * g[g3 + j]!;
    }
  }
}
