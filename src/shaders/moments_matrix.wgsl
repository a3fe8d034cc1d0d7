// What matmul_matrix.wgsl and conv2d_matrix.wgsl do at their end where moments of the result are wanted (product_moments.ts puts
// it there, and `stored`, what lies at a place of the result). Fragments cannot be looked into, so that the tile is read again
// where it has just been written, out of the caches: column by column, for the mean of its rows, and for the sum of squared
// deviations from it. One tile's are a chunk for moments_merge.wgsl.

fn widen_c(v: StoredC) -> vec4f { return v; }  // @param

const TILE_COLUMNS4 = TILE_COLUMNS / 4u;

// The sum of what the invocations of a column have.
fn over_column(share: vec4f, local: u32) -> vec4f {
  workgroupBarrier();
  for (var i = 0u; i < 4u; i++) { results[4u * local + i] = share[i]; }
  workgroupBarrier();
  var sum = vec4f(0.0);
  for (var i = 4u * (local % TILE_COLUMNS4); i < 4u * INVOCATIONS; i += TILE_COLUMNS) {
    sum += vec4f(results[i], results[i + 1u], results[i + 2u], results[i + 3u]);
  }
  return sum;
}

fn put_partial(group: vec3u, local: u32, rows: u32, columns4: u32) {
  let column4 = group.x * TILE_COLUMNS4 + local % TILE_COLUMNS4;
  let readable = min(column4, columns4 - 1u);
  let first = group.y * TILE_ROWS;
  let end = min(first + TILE_ROWS, rows);
  storageBarrier();
  var sum = vec4f(0.0);
  for (var row = first + local / TILE_COLUMNS4; row < end; row += INVOCATIONS / TILE_COLUMNS4) {
    sum += widen_c(stored(row * columns4 + readable));
  }
  let mean = over_column(sum, local) / f32(end - first);
  var squares = vec4f(0.0);
  for (var row = first + local / TILE_COLUMNS4; row < end; row += INVOCATIONS / TILE_COLUMNS4) {
    let d = widen_c(stored(row * columns4 + readable)) - mean;
    squares += d * d;
  }
  squares = over_column(squares, local);
  if ((local >= TILE_COLUMNS4) | (column4 >= columns4)) { return; }
  let place = group.y * 2u * columns4 + column4;
  partial[place] = mean;
  partial[place + columns4] = squares;
}
