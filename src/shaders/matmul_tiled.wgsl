// Matrix product for GPUs: a workgroup computes a tile of 8 * DOWN rows and 8 * ACROSS columns, 16 steps of k at a
// time, out of workgroup memory. Each invocation keeps 8 x 8 elements in registers, as four 4 x 4 blocks half a tile
// apart, so that 4 vec4 reads of workgroup memory, consecutive across invocations, feed 64 multiply-adds.
//
// A long k is split into `chunk`s, one a workgroup; each writes partial results for sum_partials.wgsl.

const TRANSPOSE_A: bool = false;  // @param
const TRANSPOSE_B: bool = false;  // @param
const ACROSS: u32 = 16u;  // @param  invocations across a tile, 8 columns each
const DOWN: u32 = 16u;  // @param  invocations down a tile, 8 rows each

struct Uniforms {
  m: u32, n4: u32, k: u32,  // n4 is n / 4
  chunk: u32, chunks: u32, batches: u32,
  a_batch: u32, b_batch: u32,  // strides in vec4s; 0 for an operand shared by all batches
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>;

const COLUMNS4 = 2u * ACROSS;  // vec4s in a row of tile_b
const ROWS4 = 2u * DOWN;       // vec4s in a row of tile_a
const DEPTH = 16u;             // steps of k in a tile
const BLOCKS_A = DEPTH / 4u * ROWS4;
const BLOCKS = BLOCKS_A + DEPTH / 4u * COLUMNS4;
const INVOCATIONS = ACROSS * DOWN;

var<workgroup> tile_a: array<vec4f, DEPTH * ROWS4>;     // [k][row / 4]
var<workgroup> tile_b: array<vec4f, DEPTH * COLUMNS4>;  // [k][column / 4]

// Tiles are fetched in blocks of 4 steps of k by 4 rows or columns: those of tile_a first, then those of tile_b.
// Eight neighbouring invocations take neighbouring columns of a tile (no bank conflicts), 32 take 4 whole groups
// of 16 steps (64 bytes in a row where k is the contiguous axis).
struct Place { of_b: bool, k4: u32, column4: u32 }

fn place_of(block: u32) -> Place {
  let of_b = block >= BLOCKS_A;
  let i = select(block, block - BLOCKS_A, of_b);
  return Place(of_b, i / 8u % 4u, i % 8u + i / 32u * 8u);
}

fn put(block: u32, values: mat4x4f) {
  let place = place_of(block);
  if (place.of_b) {
    let at = place.k4 * 4u * COLUMNS4 + place.column4;
    tile_b[at] = values[0];
    tile_b[at + COLUMNS4] = values[1];
    tile_b[at + 2u * COLUMNS4] = values[2];
    tile_b[at + 3u * COLUMNS4] = values[3];
  } else {
    let at = place.k4 * 4u * ROWS4 + place.column4;
    tile_a[at] = values[0];
    tile_a[at + ROWS4] = values[1];
    tile_a[at + 2u * ROWS4] = values[2];
    tile_a[at + 3u * ROWS4] = values[3];
  }
}

// 4 steps of k from `k4`, and 4 rows of `a` from `row4`: a row of the result a step. Zero beyond the matrix.
fn block_of_a(base: u32, row4: u32, k4: u32) -> mat4x4f {
  var block: mat4x4f;
  if (TRANSPOSE_A) {
    if (row4 * 4u < u.m) {
      let at = base + k4 * u.m + row4;
      if (k4 * 4u < u.k) { block[0] = a[at]; }
      if (k4 * 4u + 1u < u.k) { block[1] = a[at + u.m / 4u]; }
      if (k4 * 4u + 2u < u.k) { block[2] = a[at + u.m / 2u]; }
      if (k4 * 4u + 3u < u.k) { block[3] = a[at + u.m / 4u * 3u]; }
    }
    return block;
  }
  if (k4 * 4u < u.k) {
    let at = base + row4 * u.k + k4;
    if (row4 * 4u < u.m) { block[0] = a[at]; }
    if (row4 * 4u + 1u < u.m) { block[1] = a[at + u.k / 4u]; }
    if (row4 * 4u + 2u < u.m) { block[2] = a[at + u.k / 2u]; }
    if (row4 * 4u + 3u < u.m) { block[3] = a[at + u.k / 4u * 3u]; }
  }
  return transpose(block);
}

fn block_of_b(base: u32, column4: u32, k4: u32) -> mat4x4f {
  var block: mat4x4f;
  if (column4 >= u.n4) { return block; }
  if (TRANSPOSE_B) {
    if (k4 * 4u < u.k) {
      let at = base + column4 * u.k + k4;
      block = mat4x4f(b[at], b[at + u.k / 4u], b[at + u.k / 2u], b[at + u.k / 4u * 3u]);
    }
    return transpose(block);
  }
  let at = base + k4 * 4u * u.n4 + column4;
  if (k4 * 4u < u.k) { block[0] = b[at]; }
  if (k4 * 4u + 1u < u.k) { block[1] = b[at + u.n4]; }
  if (k4 * 4u + 2u < u.k) { block[2] = b[at + 2u * u.n4]; }
  if (k4 * 4u + 3u < u.k) { block[3] = b[at + 3u * u.n4]; }
  return block;
}

fn fetch(block: u32, group: vec3u, batch: u32, k: u32) -> mat4x4f {
  let place = place_of(block);
  if (place.of_b) { return block_of_b(batch * u.b_batch, group.x * COLUMNS4 + place.column4, k / 4u + place.k4); }
  return block_of_a(batch * u.a_batch, group.y * ROWS4 + place.column4, k / 4u + place.k4);
}

fn add_outer(sum: mat4x4f, a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(a.x), b, sum[0]), fma(vec4f(a.y), b, sum[1]), fma(vec4f(a.z), b, sum[2]), fma(vec4f(a.w), b, sum[3]),
  );
}

fn store(base: u32, row: u32, column4: u32, sums: mat4x4f) {
  if (column4 >= u.n4) { return; }
  let at = base + row * u.n4 + column4;
  if (row < u.m) { c[at] = sums[0]; }
  if (row + 1u < u.m) { c[at + u.n4] = sums[1]; }
  if (row + 2u < u.m) { c[at + 2u * u.n4] = sums[2]; }
  if (row + 3u < u.m) { c[at + 3u * u.n4] = sums[3]; }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let x = local % ACROSS;
  let y = local / ACROSS;
  let batch = group.z / u.chunks;
  let part = group.z % u.chunks;
  let begin = part * u.chunk;
  let end = min(begin + u.chunk, u.k);

  // Blocks of the next tile travel from memory to registers while the current one is being multiplied.
  var block0 = fetch(local, group, batch, begin);
  var block1: mat4x4f;
  var block2: mat4x4f;
  if (BLOCKS > INVOCATIONS) { block1 = fetch(local + INVOCATIONS, group, batch, begin); }
  if (BLOCKS > 2u * INVOCATIONS) { block2 = fetch(local + 2u * INVOCATIONS, group, batch, begin); }
  var sum00: mat4x4f;  // [row][column] of the upper left quarter of the tile, and so on
  var sum01: mat4x4f;
  var sum10: mat4x4f;
  var sum11: mat4x4f;
  for (var k = begin; k < end; k += DEPTH) {
    workgroupBarrier();  // the previous tile is done with
    put(local, block0);
    if (BLOCKS > INVOCATIONS) { put(local + INVOCATIONS, block1); }
    if (BLOCKS > 2u * INVOCATIONS) { if (local + 2u * INVOCATIONS < BLOCKS) { put(local + 2u * INVOCATIONS, block2); } }
    workgroupBarrier();
    if (k + DEPTH < end) {
      block0 = fetch(local, group, batch, k + DEPTH);
      if (BLOCKS > INVOCATIONS) { block1 = fetch(local + INVOCATIONS, group, batch, k + DEPTH); }
      if (BLOCKS > 2u * INVOCATIONS) { block2 = fetch(local + 2u * INVOCATIONS, group, batch, k + DEPTH); }
    }
    for (var i = 0u; i < DEPTH; i++) {
      let a0 = tile_a[i * ROWS4 + y];
      let a1 = tile_a[i * ROWS4 + DOWN + y];
      let b0 = tile_b[i * COLUMNS4 + x];
      let b1 = tile_b[i * COLUMNS4 + ACROSS + x];
      sum00 = add_outer(sum00, a0, b0);
      sum01 = add_outer(sum01, a0, b1);
      sum10 = add_outer(sum10, a1, b0);
      sum11 = add_outer(sum11, a1, b1);
    }
  }

  let base = (part * u.batches + batch) * u.m * u.n4;
  let row = group.y * ROWS4 * 4u + y * 4u;
  let column4 = group.x * COLUMNS4 + x;
  store(base, row, column4, sum00);
  store(base, row, column4 + ACROSS, sum01);
  store(base, row + 4u * DOWN, column4, sum10);
  store(base, row + 4u * DOWN, column4 + ACROSS, sum11);
}
