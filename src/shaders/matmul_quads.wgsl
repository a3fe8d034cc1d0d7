// Matrix product for software adapters, where a workgroup is a few SIMD lanes of a CPU core: there workgroup memory
// is no faster than storage, a barrier costs hundreds of multiplications, and a gathered load as much as ten.
// So four lanes (a quad) compute a 64 x 32 tile without memory or barriers between them: each lane keeps 16 rows of 32
// columns in variables.
//
// The loop takes 16 steps of k a turn, as four blocks of four: what a loop hands on costs 13 instructions a turn for
// each variable, however many steps that takes. Each lane reads one block of `b`, and gets the others from its
// neighbours by swapping, which is one instruction where a broadcast is ten. So lane 2 meets the blocks in the order
// 2, 3, 0, 1, and reads its rows of `a` in that order. Blocks are added by pairs, (own + x) + (y + diagonal), which
// rounds the same in every lane.
//
// A long k is split into `chunk`s, one a workgroup; each writes partial results for sum_partials.wgsl.

enable subgroups;

alias StoredA = vec4f;  // @param  4 elements of `a` in memory: vec4f, or vec2u of halves
alias StoredB = vec4f;  // @param  of `b`
alias StoredC = vec4f;  // @param  of `c`
const TRANSPOSE_A: bool = false;  // @param
const TRANSPOSE_B: bool = false;  // @param
const TALL: bool = true;  // @param  64 rows a tile, or else 32, which compiles in half the time
const WIDE: bool = true;  // @param  32 columns a tile, or else 16
const RAGGED: bool = false;  // @param  k may be no multiple of 16

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

// Steps k .. k + 3 of a row of `a`; rows beyond the last are not stored, and may be any.
fn part_of_row(base: u32, row: u32, k: u32) -> vec4f {
  let at = select(k, min(k, u.k - 4u), RAGGED);
  return widen_a(a[base + min(row, u.m - 1u) * (u.k / 4u) + at / 4u]);
}

// Rows row .. row + 3 of the result, columns of the transposed `a`, steps k .. k + 3 of each: one load a step.
fn columns_of_a(base: u32, row: u32, k: u32) -> mat4x4f {
  let m4 = u.m / 4u;
  let at = base + min(row, u.m - 4u) / 4u;
  let last = select(k + 3u, u.k - 1u, RAGGED);
  return transpose(mat4x4f(
    widen_a(a[at + min(k, last) * m4]), widen_a(a[at + min(k + 1u, last) * m4]),
    widen_a(a[at + min(k + 2u, last) * m4]), widen_a(a[at + min(k + 3u, last) * m4]),
  ));
}

// Steps k .. k + 3 of a column of the transposed `b`; beyond the last step, zeros.
fn part_of_column(base: u32, k: u32) -> vec4f {
  if (!RAGGED) { return widen_b(b[base + k / 4u]); }
  return select(vec4f(0.0), widen_b(b[base + min(k, u.k - 4u) / 4u]), k < u.k);
}

// 4 columns of `b` at one step; beyond the last, zeros.
fn step_of_b(base: u32, k: u32) -> vec4f {
  if (!RAGGED) { return widen_b(b[base + k * u.n4]); }
  return select(vec4f(0.0), widen_b(b[base + min(k, u.k - 1u) * u.n4]), k < u.k);
}

// 4 columns of `b`, steps k .. k + 3 of each.
fn columns_of_b(base: u32, col4: u32, k: u32) -> mat4x4f {
  let column = min(col4, u.n4 - 1u);
  if (TRANSPOSE_B) {
    let k4 = u.k / 4u;
    let at = base + 4u * column * k4;
    return mat4x4f(
      part_of_column(at, k), part_of_column(at + k4, k),
      part_of_column(at + 2u * k4, k), part_of_column(at + 3u * k4, k),
    );
  }
  let at = base + column;
  return transpose(mat4x4f(step_of_b(at, k), step_of_b(at, k + 1u), step_of_b(at, k + 2u), step_of_b(at, k + 3u)));
}

// 32 columns of `b` at four steps.
struct Slab {
  s0: mat4x4f, s1: mat4x4f, s2: mat4x4f, s3: mat4x4f, s4: mat4x4f, s5: mat4x4f, s6: mat4x4f, s7: mat4x4f,
}

fn load_b(base: u32, col4: u32, k: u32) -> Slab {
  var slab: Slab;
  slab.s0 = columns_of_b(base, col4, k);
  slab.s1 = columns_of_b(base, col4 + 1u, k);
  slab.s2 = columns_of_b(base, col4 + 2u, k);
  slab.s3 = columns_of_b(base, col4 + 3u, k);
  if (WIDE) {
    slab.s4 = columns_of_b(base, col4 + 4u, k);
    slab.s5 = columns_of_b(base, col4 + 5u, k);
    slab.s6 = columns_of_b(base, col4 + 6u, k);
    slab.s7 = columns_of_b(base, col4 + 7u, k);
  }
  return slab;
}

fn x_of(m: mat4x4f) -> mat4x4f {
  return mat4x4f(quadSwapX(m[0]), quadSwapX(m[1]), quadSwapX(m[2]), quadSwapX(m[3]));
}

fn y_of(m: mat4x4f) -> mat4x4f {
  return mat4x4f(quadSwapY(m[0]), quadSwapY(m[1]), quadSwapY(m[2]), quadSwapY(m[3]));
}

fn diagonal_of(m: mat4x4f) -> mat4x4f {
  return mat4x4f(quadSwapDiagonal(m[0]), quadSwapDiagonal(m[1]), quadSwapDiagonal(m[2]), quadSwapDiagonal(m[3]));
}

// A lane's own block and its neighbours'.
struct Blocks { own: Slab, x: Slab, y: Slab, diagonal: Slab }

fn blocks_from(own: Slab) -> Blocks {
  return Blocks(
    own,
    Slab(
      x_of(own.s0), x_of(own.s1), x_of(own.s2), x_of(own.s3),
      x_of(own.s4), x_of(own.s5), x_of(own.s6), x_of(own.s7),
    ),
    Slab(
      y_of(own.s0), y_of(own.s1), y_of(own.s2), y_of(own.s3),
      y_of(own.s4), y_of(own.s5), y_of(own.s6), y_of(own.s7),
    ),
    Slab(
      diagonal_of(own.s0), diagonal_of(own.s1), diagonal_of(own.s2), diagonal_of(own.s3),
      diagonal_of(own.s4), diagonal_of(own.s5), diagonal_of(own.s6), diagonal_of(own.s7),
    ),
  );
}

// One row of the tile: 32 columns.
struct Sums {
  c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f, c4: vec4f, c5: vec4f, c6: vec4f, c7: vec4f,
}

fn dots(p: vec4f, q: vec4f, a_p: vec4f, a_q: vec4f) -> f32 { return dot(p, a_p) + dot(q, a_q); }

// What two blocks add to a row, 4 columns. All of a column before the next, so that little is kept in registers.
fn pair(p: mat4x4f, q: mat4x4f, a_p: vec4f, a_q: vec4f) -> vec4f {
  return vec4f(
    dots(p[0], q[0], a_p, a_q), dots(p[1], q[1], a_p, a_q), dots(p[2], q[2], a_p, a_q), dots(p[3], q[3], a_p, a_q),
  );
}

fn pair_of_row(p: Slab, q: Slab, a_p: vec4f, a_q: vec4f) -> Sums {
  var sums: Sums;
  sums.c0 = pair(p.s0, q.s0, a_p, a_q);
  sums.c1 = pair(p.s1, q.s1, a_p, a_q);
  sums.c2 = pair(p.s2, q.s2, a_p, a_q);
  sums.c3 = pair(p.s3, q.s3, a_p, a_q);
  if (WIDE) {
    sums.c4 = pair(p.s4, q.s4, a_p, a_q);
    sums.c5 = pair(p.s5, q.s5, a_p, a_q);
    sums.c6 = pair(p.s6, q.s6, a_p, a_q);
    sums.c7 = pair(p.s7, q.s7, a_p, a_q);
  }
  return sums;
}

// The sums, and what the first two blocks and two others add to them.
fn plus_row(sums: Sums, first: Sums, p: Slab, q: Slab, a_p: vec4f, a_q: vec4f) -> Sums {
  var next: Sums;
  next.c0 = sums.c0 + (first.c0 + pair(p.s0, q.s0, a_p, a_q));
  next.c1 = sums.c1 + (first.c1 + pair(p.s1, q.s1, a_p, a_q));
  next.c2 = sums.c2 + (first.c2 + pair(p.s2, q.s2, a_p, a_q));
  next.c3 = sums.c3 + (first.c3 + pair(p.s3, q.s3, a_p, a_q));
  if (WIDE) {
    next.c4 = sums.c4 + (first.c4 + pair(p.s4, q.s4, a_p, a_q));
    next.c5 = sums.c5 + (first.c5 + pair(p.s5, q.s5, a_p, a_q));
    next.c6 = sums.c6 + (first.c6 + pair(p.s6, q.s6, a_p, a_q));
    next.c7 = sums.c7 + (first.c7 + pair(p.s7, q.s7, a_p, a_q));
  }
  return next;
}

struct Rows { r0: Sums, r1: Sums, r2: Sums, r3: Sums }

// What two blocks add to 4 rows. Each row of `a` is read next to its use: there are no registers to keep it in.
fn pair_of_rows(p: Slab, q: Slab, base: u32, row: u32, at_p: u32, at_q: u32) -> Rows {
  if (TRANSPOSE_A) {
    let a_p = columns_of_a(base, row, at_p);
    let a_q = columns_of_a(base, row, at_q);
    return Rows(
      pair_of_row(p, q, a_p[0], a_q[0]), pair_of_row(p, q, a_p[1], a_q[1]),
      pair_of_row(p, q, a_p[2], a_q[2]), pair_of_row(p, q, a_p[3], a_q[3]),
    );
  }
  return Rows(
    pair_of_row(p, q, part_of_row(base, row, at_p), part_of_row(base, row, at_q)),
    pair_of_row(p, q, part_of_row(base, row + 1u, at_p), part_of_row(base, row + 1u, at_q)),
    pair_of_row(p, q, part_of_row(base, row + 2u, at_p), part_of_row(base, row + 2u, at_q)),
    pair_of_row(p, q, part_of_row(base, row + 3u, at_p), part_of_row(base, row + 3u, at_q)),
  );
}

fn plus_rows(rows: Rows, first: Rows, p: Slab, q: Slab, base: u32, row: u32, at_p: u32, at_q: u32) -> Rows {
  if (TRANSPOSE_A) {
    let a_p = columns_of_a(base, row, at_p);
    let a_q = columns_of_a(base, row, at_q);
    return Rows(
      plus_row(rows.r0, first.r0, p, q, a_p[0], a_q[0]), plus_row(rows.r1, first.r1, p, q, a_p[1], a_q[1]),
      plus_row(rows.r2, first.r2, p, q, a_p[2], a_q[2]), plus_row(rows.r3, first.r3, p, q, a_p[3], a_q[3]),
    );
  }
  return Rows(
    plus_row(rows.r0, first.r0, p, q, part_of_row(base, row, at_p), part_of_row(base, row, at_q)),
    plus_row(rows.r1, first.r1, p, q, part_of_row(base, row + 1u, at_p), part_of_row(base, row + 1u, at_q)),
    plus_row(rows.r2, first.r2, p, q, part_of_row(base, row + 2u, at_p), part_of_row(base, row + 2u, at_q)),
    plus_row(rows.r3, first.r3, p, q, part_of_row(base, row + 3u, at_p), part_of_row(base, row + 3u, at_q)),
  );
}

// Adds the products of the four blocks of a turn, which are at `steps`.
fn add(rows: Rows, blocks: Blocks, base: u32, row: u32, steps: vec4u) -> Rows {
  let first = pair_of_rows(blocks.own, blocks.x, base, row, steps.x, steps.y);
  return plus_rows(rows, first, blocks.y, blocks.diagonal, base, row, steps.z, steps.w);
}

fn store(base: u32, row: u32, col4: u32, sums: Sums) {
  if (row >= u.m) { return; }
  let at = base + row * u.n4 + col4;
  c[at] = narrow(sums.c0);
  if (col4 + 1u < u.n4) { c[at + 1u] = narrow(sums.c1); }
  if (col4 + 2u < u.n4) { c[at + 2u] = narrow(sums.c2); }
  if (col4 + 3u < u.n4) { c[at + 3u] = narrow(sums.c3); }
  if (WIDE) {
    if (col4 + 4u < u.n4) { c[at + 4u] = narrow(sums.c4); }
    if (col4 + 5u < u.n4) { c[at + 5u] = narrow(sums.c5); }
    if (col4 + 6u < u.n4) { c[at + 6u] = narrow(sums.c6); }
    if (col4 + 7u < u.n4) { c[at + 7u] = narrow(sums.c7); }
  }
}

fn store_rows(base: u32, row: u32, col4: u32, rows: Rows) {
  store(base, row, col4, rows.r0);
  store(base, row + 1u, col4, rows.r1);
  store(base, row + 2u, col4, rows.r2);
  store(base, row + 3u, col4, rows.r3);
}

@compute @workgroup_size(4)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let lane = invocation & 3u;
  let col4 = group.x * select(4u, 8u, WIDE);
  let row = (group.y * 4u + lane) * select(8u, 16u, TALL);
  let batch = group.z / u.chunks;
  let part = group.z % u.chunks;
  let base_a = batch * u.a_batch;
  let base_b = batch * u.b_batch;
  let k_begin = part * u.chunk;
  let k_end = min(k_begin + u.chunk, u.k);

  var rows0 = Rows(); var rows4 = Rows(); var rows8 = Rows(); var rows12 = Rows();
  for (var k = k_begin; k < k_end; k += 16u) {
    let steps = k + 4u * (vec4u(lane) ^ vec4u(0u, 1u, 2u, 3u));
    let blocks = blocks_from(load_b(base_b, col4, steps.x));
    rows0 = add(rows0, blocks, base_a, row, steps);
    rows4 = add(rows4, blocks, base_a, row + 4u, steps);
    if (TALL) {
      rows8 = add(rows8, blocks, base_a, row + 8u, steps);
      rows12 = add(rows12, blocks, base_a, row + 12u, steps);
    }
  }

  let base_c = (part * u.batches + batch) * u.m * u.n4;
  store_rows(base_c, row, col4, rows0);
  store_rows(base_c, row + 4u, col4, rows4);
  if (TALL) {
    store_rows(base_c, row + 8u, col4, rows8);
    store_rows(base_c, row + 12u, col4, rows12);
  }
}
