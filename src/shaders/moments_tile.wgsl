// What matmul_tiled.wgsl and conv2d_tiled.wgsl do at their end where moments of the result are wanted (product_moments.ts puts
// it there): while the tile lies in registers, each invocation reduces its rows of a column to their mean and the sum of
// squared deviations from it, which are merged over the tile's rows by way of the workgroup memory of its operands. One
// tile's are a chunk for moments_merge.wgsl.

fn as_stored(v: vec4f) -> vec4f { return v; }  // @param  as rounded to the type of the result

// The vectors of the block's first `count` rows.
fn rows_of(block: mat4x4f, count: u32) -> mat4x4f {
  return mat4x4f(
    select(vec4f(0.0), block[0], count > 0u), select(vec4f(0.0), block[1], count > 1u),
    select(vec4f(0.0), block[2], count > 2u), select(vec4f(0.0), block[3], count > 3u),
  );
}

fn sum_rows(block: mat4x4f) -> vec4f {
  return (block[0] + block[1]) + (block[2] + block[3]);
}

fn sum_squares(block: mat4x4f) -> vec4f {
  return (block[0] * block[0] + block[1] * block[1]) + (block[2] * block[2] + block[3] * block[3]);
}

// An invocation's rows of four columns: a block of the upper half of the tile and one of the lower.
fn put_moments(at: u32, upper: mat4x4f, lower: mat4x4f, counts: vec2u) {
  let up = mat4x4f(as_stored(upper[0]), as_stored(upper[1]), as_stored(upper[2]), as_stored(upper[3]));
  let low = mat4x4f(as_stored(lower[0]), as_stored(lower[1]), as_stored(lower[2]), as_stored(lower[3]));
  let sum = sum_rows(rows_of(up, counts.x)) + sum_rows(rows_of(low, counts.y));
  let mean = sum / f32(max(counts.x + counts.y, 1u));
  let means = mat4x4f(mean, mean, mean, mean);
  tile_a[at] = mean;
  tile_b[at] = sum_squares(rows_of(up - means, counts.x)) + sum_squares(rows_of(low - means, counts.y));
}

// How many of the result's rows there are among the four from `row` on, and among those half a tile below.
fn rows_from(row: u32, rows: u32) -> vec2u {
  return min(vec2u(4u), vec2u(rows) - min(vec2u(row, row + 4u * DOWN), vec2u(rows)));
}

fn put_partial(
  group: vec3u, local: u32, rows: u32, columns4: u32, sum00: mat4x4f, sum01: mat4x4f, sum10: mat4x4f, sum11: mat4x4f,
) {
  let first = group.y * 8u * DOWN;
  let x = local % ACROSS;
  let y = local / ACROSS;
  let counts = rows_from(first + 4u * y, rows);
  workgroupBarrier();
  put_moments(y * COLUMNS4 + x, sum00, sum10, counts);
  put_moments(y * COLUMNS4 + ACROSS + x, sum01, sum11, counts);
  workgroupBarrier();
  let column4 = group.x * COLUMNS4 + local;
  if ((local >= COLUMNS4) | (column4 >= columns4)) { return; }
  var mean = vec4f(0.0);
  for (var i = 0u; i < DOWN; i++) {
    let counted = rows_from(first + 4u * i, rows);
    mean += tile_a[i * COLUMNS4 + local] * f32(counted.x + counted.y);
  }
  mean /= f32(min(8u * DOWN, rows - first));
  var squares = vec4f(0.0);
  for (var i = 0u; i < DOWN; i++) {
    let counted = rows_from(first + 4u * i, rows);
    let d = tile_a[i * COLUMNS4 + local] - mean;
    squares += tile_b[i * COLUMNS4 + local] + d * d * f32(counted.x + counted.y);
  }
  let at = group.y * 2u * columns4 + column4;
  partial[at] = mean;
  partial[at + columns4] = squares;
}
