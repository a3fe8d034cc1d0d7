// Matrix product for GPUs: a workgroup computes a tile of 8 * DOWN rows and 8 * ACROSS columns, 16 steps of k at a
// time, out of workgroup memory. Each invocation keeps 8 x 8 elements in registers, as four 4 x 4 blocks half a tile
// apart, so that 4 vec4 reads of workgroup memory, consecutive across invocations, feed 64 multiply-adds.
//
// A long k is split into `chunk`s, one a workgroup; each writes partial results for sum_partials.wgsl.

alias StoredA = vec4f;  // @param  4 elements of `a` in memory: vec4f, or vec2u of halves
alias StoredB = vec4f;  // @param  of `b`
alias StoredC = vec4f;  // @param  of `c`
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
@group(0) @binding(1) var<storage, read> a: array<StoredA>;
@group(0) @binding(2) var<storage, read> b: array<StoredB>;
@group(0) @binding(3) var<storage, read_write> c: array<StoredC>;

fn widen_a(v: StoredA) -> vec4f { return v; }  // @param
fn widen_b(v: StoredB) -> vec4f { return v; }  // @param
fn narrow(v: vec4f) -> StoredC { return v; }  // @param

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
  if (block >= BLOCKS) { return; }
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

// 4 steps of k from `k`, of 4 rows of `a`: a vec4 a step. Beyond the end of the matrix, the last row or step again:
// such rows are not stored, such steps meet zeros of b.
fn block_of_a(base: u32, row4: u32, k: u32) -> mat4x4f {
  if (TRANSPOSE_A) {
    let m4 = u.m / 4u;
    let at = base + min(row4, m4 - 1u);
    let last = u.k - 1u;
    return mat4x4f(
      widen_a(a[at + min(k, last) * m4]), widen_a(a[at + min(k + 1u, last) * m4]),
      widen_a(a[at + min(k + 2u, last) * m4]), widen_a(a[at + min(k + 3u, last) * m4]),
    );
  }
  let k4s = u.k / 4u;
  let at = base + min(k / 4u, k4s - 1u);
  let row = row4 * 4u;
  let last = u.m - 1u;
  return transpose(mat4x4f(
    widen_a(a[at + min(row, last) * k4s]), widen_a(a[at + min(row + 1u, last) * k4s]),
    widen_a(a[at + min(row + 2u, last) * k4s]), widen_a(a[at + min(row + 3u, last) * k4s]),
  ));
}

fn block_of_b(base: u32, column4: u32, k: u32) -> mat4x4f {
  let column = min(column4, u.n4 - 1u);
  if (TRANSPOSE_B) {
    let k4s = u.k / 4u;
    let at = base + column * u.k + min(k / 4u, k4s - 1u);
    let scale = select(0.0, 1.0, k < u.k);
    return transpose(scale * mat4x4f(
      widen_b(b[at]), widen_b(b[at + k4s]), widen_b(b[at + 2u * k4s]), widen_b(b[at + 3u * k4s]),
    ));
  }
  return mat4x4f(
    row_of_b(base, column, k), row_of_b(base, column, k + 1u),
    row_of_b(base, column, k + 2u), row_of_b(base, column, k + 3u),
  );
}

fn row_of_b(base: u32, column: u32, k: u32) -> vec4f {
  return select(vec4f(0.0), widen_b(b[base + min(k, u.k - 1u) * u.n4 + column]), k < u.k);
}

fn fetch(block: u32, group: vec3u, batch: u32, k: u32) -> mat4x4f {
  let place = place_of(block);
  if (place.of_b) { return block_of_b(batch * u.b_batch, group.x * COLUMNS4 + place.column4, k + place.k4 * 4u); }
  return block_of_a(batch * u.a_batch, group.y * ROWS4 + place.column4, k + place.k4 * 4u);
}

fn add_outer(sum: mat4x4f, a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(a.x), b, sum[0]), fma(vec4f(a.y), b, sum[1]), fma(vec4f(a.z), b, sum[2]), fma(vec4f(a.w), b, sum[3]),
  );
}

fn store(base: u32, row: u32, column4: u32, sums: mat4x4f) {
  if (column4 >= u.n4) { return; }
  let at = base + row * u.n4 + column4;
  if (row < u.m) { c[at] = narrow(sums[0]); }
  if (row + 1u < u.m) { c[at + u.n4] = narrow(sums[1]); }
  if (row + 2u < u.m) { c[at + 2u * u.n4] = narrow(sums[2]); }
  if (row + 3u < u.m) { c[at + 3u * u.n4] = narrow(sums[3]); }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let x = local % ACROSS;
  let y = local / ACROSS;
  let batch = group.z / u.chunks;
  let part = group.z % u.chunks;
  let begin = part * u.chunk;
  let end = min(begin + u.chunk, u.k);

  var sum00: mat4x4f;  // [row][column] of the upper left quarter of the tile, and so on
  var sum01: mat4x4f;
  var sum10: mat4x4f;
  var sum11: mat4x4f;
  // The blocks of the next tile are under way from memory while the current one is being multiplied.
  var block0: mat4x4f;
  var block1: mat4x4f;
  var block2: mat4x4f;
  for (var k = begin; ; k += DEPTH) {
    if (k < end) {
      block0 = fetch(local, group, batch, k);
      if (BLOCKS > INVOCATIONS) { block1 = fetch(local + INVOCATIONS, group, batch, k); }
      if (BLOCKS > 2u * INVOCATIONS) { block2 = fetch(local + 2u * INVOCATIONS, group, batch, k); }
    }
    if (k > begin) {
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
    if (k >= end) { break; }
    workgroupBarrier();
    put(local, block0);
    if (BLOCKS > INVOCATIONS) { put(local + INVOCATIONS, block1); }
    if (BLOCKS > 2u * INVOCATIONS) { put(local + 2u * INVOCATIONS, block2); }
    workgroupBarrier();
  }

  let base = (part * u.batches + batch) * u.m * u.n4;
  let row = group.y * ROWS4 * 4u + y * 4u;
  let column4 = group.x * COLUMNS4 + x;
  store(base, row, column4, sum00);
  store(base, row, column4 + ACROSS, sum01);
  store(base, row + 4u * DOWN, column4, sum10);
  store(base, row + 4u * DOWN, column4 + ACROSS, sum11);
}
