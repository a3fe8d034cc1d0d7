// Matrix product for software adapters, where a workgroup is a few SIMD lanes of a CPU core: there workgroup memory
// is no faster than storage, a barrier costs hundreds of multiplications, and one gathered load costs as much as
// 15 of them. So four lanes (a quad) compute a 64 x 32 tile without memory or barriers between them: each lane keeps
// 16 rows of 32 columns in variables, reads 16 rows of `a` for itself, and a quarter of the slab of `b` that all
// four need, which it gets from the others by quadBroadcast. 32 loads and 32 broadcasts feed 2,048 multiply-adds.
//
// A long k is split into `chunk`s, one a workgroup; each writes partial results for sum_partials.wgsl.

enable subgroups;

alias StoredA = vec4f;  // @param  4 elements of `a` in memory: vec4f, or vec2u of halves
alias StoredB = vec4f;  // @param  of `b`
alias StoredC = vec4f;  // @param  of `c`
const TRANSPOSE_A: bool = false;  // @param
const TRANSPOSE_B: bool = false;  // @param
const WIDE: bool = true;  // @param  32 columns a tile, or else 16

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

// 4 rows of `b`, 32 columns: each matrix maps 4 steps of k to 4 columns.
struct Slab {
  s0: mat4x4f, s1: mat4x4f, s2: mat4x4f, s3: mat4x4f, s4: mat4x4f, s5: mat4x4f, s6: mat4x4f, s7: mat4x4f,
}

// One row of the tile: 32 columns.
struct Sums {
  c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f, c4: vec4f, c5: vec4f, c6: vec4f, c7: vec4f,
}

// Where a row of `a` starts; rows beyond the last are not stored, and may be any.
fn start_of(base: u32, row: u32) -> u32 {
  return base + min(row, u.m - 1u) * (u.k / 4u);
}

// Columns 4 * row4 .. + 3 of the transposed `a` (rows of the result), steps k .. k + 3: one load a step.
fn columns_of_a(base: u32, row4: u32, k: u32) -> mat4x4f {
  let m4 = u.m / 4u;
  let at = base + min(row4, m4 - 1u);
  let last = u.k - 1u;
  return transpose(mat4x4f(
    widen_a(a[at + k * m4]), widen_a(a[at + min(k + 1u, last) * m4]),
    widen_a(a[at + min(k + 2u, last) * m4]), widen_a(a[at + min(k + 3u, last) * m4]),
  ));
}

// Each lane loads one vector of the 4 x 4 block and receives the other three.
fn share(mine: vec4f) -> mat4x4f {
  return mat4x4f(
    quadBroadcast(mine, 0u), quadBroadcast(mine, 1u), quadBroadcast(mine, 2u), quadBroadcast(mine, 3u),
  );
}

fn block_of_b(base: u32, col4: u32, k: u32, lane: u32) -> mat4x4f {
  let column = min(col4, u.n4 - 1u);
  if (TRANSPOSE_B) {
    return transpose(share(widen_b(b[base + (column * 4u + lane) * (u.k / 4u) + k / 4u])));
  }
  let mine = widen_b(b[base + min(k + lane, u.k - 1u) * u.n4 + column]);
  if (TRANSPOSE_A) {  // the only case in which k need not be a multiple of 4
    return share(select(vec4f(0.0), mine, k + lane < u.k));
  }
  return share(mine);
}

fn load_b(base: u32, col4: u32, k: u32, lane: u32) -> Slab {
  var slab: Slab;
  slab.s0 = block_of_b(base, col4, k, lane);
  slab.s1 = block_of_b(base, col4 + 1u, k, lane);
  slab.s2 = block_of_b(base, col4 + 2u, k, lane);
  slab.s3 = block_of_b(base, col4 + 3u, k, lane);
  if (WIDE) {
    slab.s4 = block_of_b(base, col4 + 4u, k, lane);
    slab.s5 = block_of_b(base, col4 + 5u, k, lane);
    slab.s6 = block_of_b(base, col4 + 6u, k, lane);
    slab.s7 = block_of_b(base, col4 + 7u, k, lane);
  }
  return slab;
}

fn accumulate(sums: Sums, slab: Slab, row: vec4f) -> Sums {
  var next = sums;
  next.c0 += slab.s0 * row;
  next.c1 += slab.s1 * row;
  next.c2 += slab.s2 * row;
  next.c3 += slab.s3 * row;
  if (WIDE) {
    next.c4 += slab.s4 * row;
    next.c5 += slab.s5 * row;
    next.c6 += slab.s6 * row;
    next.c7 += slab.s7 * row;
  }
  return next;
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

@compute @workgroup_size(4)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let lane = invocation & 3u;
  let col4 = group.x * select(4u, 8u, WIDE);
  let row = group.y * 64u + lane * 16u;
  let batch = group.z / u.chunks;
  let part = group.z % u.chunks;
  let base_a = batch * u.a_batch;
  let base_b = batch * u.b_batch;
  let k_begin = part * u.chunk;
  let k_end = min(k_begin + u.chunk, u.k);

  var t0 = Sums(); var t1 = Sums(); var t2 = Sums(); var t3 = Sums();
  var t4 = Sums(); var t5 = Sums(); var t6 = Sums(); var t7 = Sums();
  var t8 = Sums(); var t9 = Sums(); var t10 = Sums(); var t11 = Sums();
  var t12 = Sums(); var t13 = Sums(); var t14 = Sums(); var t15 = Sums();
  // Each load stands next to its use, or there would be no registers left to keep what it read.
  if (TRANSPOSE_A) {
    for (var k = k_begin; k < k_end; k += 4u) {
      let slab = load_b(base_b, col4, k, lane);
      let rows0 = columns_of_a(base_a, row / 4u, k);
      t0 = accumulate(t0, slab, rows0[0]);
      t1 = accumulate(t1, slab, rows0[1]);
      t2 = accumulate(t2, slab, rows0[2]);
      t3 = accumulate(t3, slab, rows0[3]);
      let rows1 = columns_of_a(base_a, row / 4u + 1u, k);
      t4 = accumulate(t4, slab, rows1[0]);
      t5 = accumulate(t5, slab, rows1[1]);
      t6 = accumulate(t6, slab, rows1[2]);
      t7 = accumulate(t7, slab, rows1[3]);
      let rows2 = columns_of_a(base_a, row / 4u + 2u, k);
      t8 = accumulate(t8, slab, rows2[0]);
      t9 = accumulate(t9, slab, rows2[1]);
      t10 = accumulate(t10, slab, rows2[2]);
      t11 = accumulate(t11, slab, rows2[3]);
      let rows3 = columns_of_a(base_a, row / 4u + 3u, k);
      t12 = accumulate(t12, slab, rows3[0]);
      t13 = accumulate(t13, slab, rows3[1]);
      t14 = accumulate(t14, slab, rows3[2]);
      t15 = accumulate(t15, slab, rows3[3]);
    }
  } else {
    let r0 = start_of(base_a, row + 0u);
    let r1 = start_of(base_a, row + 1u);
    let r2 = start_of(base_a, row + 2u);
    let r3 = start_of(base_a, row + 3u);
    let r4 = start_of(base_a, row + 4u);
    let r5 = start_of(base_a, row + 5u);
    let r6 = start_of(base_a, row + 6u);
    let r7 = start_of(base_a, row + 7u);
    let r8 = start_of(base_a, row + 8u);
    let r9 = start_of(base_a, row + 9u);
    let r10 = start_of(base_a, row + 10u);
    let r11 = start_of(base_a, row + 11u);
    let r12 = start_of(base_a, row + 12u);
    let r13 = start_of(base_a, row + 13u);
    let r14 = start_of(base_a, row + 14u);
    let r15 = start_of(base_a, row + 15u);
    for (var k = k_begin; k < k_end; k += 4u) {
      let slab = load_b(base_b, col4, k, lane);
      t0 = accumulate(t0, slab, widen_a(a[r0 + k / 4u]));
      t1 = accumulate(t1, slab, widen_a(a[r1 + k / 4u]));
      t2 = accumulate(t2, slab, widen_a(a[r2 + k / 4u]));
      t3 = accumulate(t3, slab, widen_a(a[r3 + k / 4u]));
      t4 = accumulate(t4, slab, widen_a(a[r4 + k / 4u]));
      t5 = accumulate(t5, slab, widen_a(a[r5 + k / 4u]));
      t6 = accumulate(t6, slab, widen_a(a[r6 + k / 4u]));
      t7 = accumulate(t7, slab, widen_a(a[r7 + k / 4u]));
      t8 = accumulate(t8, slab, widen_a(a[r8 + k / 4u]));
      t9 = accumulate(t9, slab, widen_a(a[r9 + k / 4u]));
      t10 = accumulate(t10, slab, widen_a(a[r10 + k / 4u]));
      t11 = accumulate(t11, slab, widen_a(a[r11 + k / 4u]));
      t12 = accumulate(t12, slab, widen_a(a[r12 + k / 4u]));
      t13 = accumulate(t13, slab, widen_a(a[r13 + k / 4u]));
      t14 = accumulate(t14, slab, widen_a(a[r14 + k / 4u]));
      t15 = accumulate(t15, slab, widen_a(a[r15 + k / 4u]));
    }
  }

  let base_c = (part * u.batches + batch) * u.m * u.n4;
  store(base_c, row, col4, t0);
  store(base_c, row + 1u, col4, t1);
  store(base_c, row + 2u, col4, t2);
  store(base_c, row + 3u, col4, t3);
  store(base_c, row + 4u, col4, t4);
  store(base_c, row + 5u, col4, t5);
  store(base_c, row + 6u, col4, t6);
  store(base_c, row + 7u, col4, t7);
  store(base_c, row + 8u, col4, t8);
  store(base_c, row + 9u, col4, t9);
  store(base_c, row + 10u, col4, t10);
  store(base_c, row + 11u, col4, t11);
  store(base_c, row + 12u, col4, t12);
  store(base_c, row + 13u, col4, t13);
  store(base_c, row + 14u, col4, t14);
  store(base_c, row + 15u, col4, t15);
}
