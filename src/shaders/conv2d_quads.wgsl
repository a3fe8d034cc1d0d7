// 2-D convolution and its input gradient for software adapters: an implicit matrix product, pixels by channels, in tiles
// like those of matmul_quads.wgsl (read that first), but of four steps a turn, which lanes get from each other by
// broadcasts: most convolutions are products or Winograd's. Four lanes compute 64 pixels x 32 channels of the
// destination, in variables; the sum runs over the filter's taps and the channels of the source image.
//
// Both directions gather: through tap (i, j), pixel (row, column) of the destination's lattice reads the source pixel
// (row * scan_row + shift_row + i * shift_row_step, ...). See conv_lattice.ts for how a convolution and its input
// gradient, stride and dilation become such lattices.

enable subgroups;

alias StoredA = vec4f;  // @param  4 elements of `source` in memory: vec4f, or vec2u of halves
alias StoredB = vec4f;  // @param  of `weights`
alias StoredC = vec4f;  // @param  of `destination`
const TRANSPOSE: bool = false;  // @param  the source has the filter's channels out, as it does for the input gradient
const WIDE: bool = true;  // @param  32 channels a tile, or else 16

struct Uniforms {
  batches: u32,
  from_h: u32, from_w: u32, from_c4: u32,  // source image, channels in vec4s
  to_h: u32, to_w: u32, to_c4: u32,        // destination image
  // The lattice of destination pixels: its size, and where in the image it starts and how it goes on.
  rows: u32, columns: u32, first_row: u32, first_column: u32, row_step: u32, column_step: u32,
  scan_row: i32, scan_column: i32,
  shift_row: i32, shift_column: i32, shift_row_step: i32, shift_column_step: i32,
  taps_h: u32, taps_w: u32,
  first_tap: u32, tap_step_h: u32, tap_step_w: u32,  // positions in the filter
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<StoredA>;
@group(0) @binding(2) var<storage, read> weights: array<StoredB>;  // HWIO
@group(0) @binding(3) var<storage, read_write> destination: array<StoredC>;

fn widen_a(v: StoredA) -> vec4f { return v; }  // @param
fn widen_b(v: StoredB) -> vec4f { return v; }  // @param
fn narrow(v: vec4f) -> StoredC { return v; }  // @param

// A pixel of the lattice: where in the source image its window starts, and the first source pixel of its image.
struct Pixel { at: vec2i, image: u32 }

fn pixel(index: u32) -> Pixel {
  let row = index / u.columns;
  let at = vec2i(i32(row % u.rows) * u.scan_row, i32(index % u.columns) * u.scan_column);
  return Pixel(at + vec2i(u.shift_row, u.shift_column), min(row / u.rows, u.batches - 1u) * u.from_h * u.from_w);
}

// 4 channels of the source pixel that a tap reads; zeros in the padding.
fn load(p: Pixel, shift: vec2i, c4: u32) -> vec4f {
  let at = vec2u(p.at + shift);  // negative coordinates wrap to huge ones
  let inside = (at.x < u.from_h) & (at.y < u.from_w);
  let start = select(0u, (p.image + at.x * u.from_w + at.y) * u.from_c4, inside);
  return select(vec4f(0.0), widen_a(source[start + c4]), inside);
}

// Each lane loads one vector of a 4 x 4 block of weights and receives the other three.
fn block(start: u32, to4: u32, c4: u32, lane: u32) -> mat4x4f {
  let channel4 = min(to4, u.to_c4 - 1u);
  var mine: vec4f;
  if (TRANSPOSE) {
    mine = widen_b(weights[start + (channel4 * 4u + lane) * u.from_c4 + c4]);
  } else {
    mine = widen_b(weights[start + (c4 * 4u + lane) * u.to_c4 + channel4]);
  }
  let shared_ = mat4x4f(
    quadBroadcast(mine, 0u), quadBroadcast(mine, 1u), quadBroadcast(mine, 2u), quadBroadcast(mine, 3u),
  );
  if (TRANSPOSE) { return transpose(shared_); }
  return shared_;
}

// Weights from 4 source channels to 32 destination channels.
struct Slab {
  s0: mat4x4f, s1: mat4x4f, s2: mat4x4f, s3: mat4x4f, s4: mat4x4f, s5: mat4x4f, s6: mat4x4f, s7: mat4x4f,
}

fn load_slab(start: u32, to4: u32, c4: u32, lane: u32) -> Slab {
  var slab: Slab;
  slab.s0 = block(start, to4, c4, lane);
  slab.s1 = block(start, to4 + 1u, c4, lane);
  slab.s2 = block(start, to4 + 2u, c4, lane);
  slab.s3 = block(start, to4 + 3u, c4, lane);
  if (WIDE) {
    slab.s4 = block(start, to4 + 4u, c4, lane);
    slab.s5 = block(start, to4 + 5u, c4, lane);
    slab.s6 = block(start, to4 + 6u, c4, lane);
    slab.s7 = block(start, to4 + 7u, c4, lane);
  }
  return slab;
}

// One destination pixel, 32 channels.
struct Sums {
  c0: vec4f, c1: vec4f, c2: vec4f, c3: vec4f, c4: vec4f, c5: vec4f, c6: vec4f, c7: vec4f,
}

fn accumulate(sums: Sums, slab: Slab, values: vec4f) -> Sums {
  var next = sums;
  next.c0 += slab.s0 * values;
  next.c1 += slab.s1 * values;
  next.c2 += slab.s2 * values;
  next.c3 += slab.s3 * values;
  if (WIDE) {
    next.c4 += slab.s4 * values;
    next.c5 += slab.s5 * values;
    next.c6 += slab.s6 * values;
    next.c7 += slab.s7 * values;
  }
  return next;
}

fn store(index: u32, to4: u32, sums: Sums) {
  let row = index / u.columns;
  let image = row / u.rows;
  if (image >= u.batches) { return; }
  let to_row = image * u.to_h + u.first_row + row % u.rows * u.row_step;
  let to_column = u.first_column + index % u.columns * u.column_step;
  let start = (to_row * u.to_w + to_column) * u.to_c4 + to4;
  destination[start] = narrow(sums.c0);
  if (to4 + 1u < u.to_c4) { destination[start + 1u] = narrow(sums.c1); }
  if (to4 + 2u < u.to_c4) { destination[start + 2u] = narrow(sums.c2); }
  if (to4 + 3u < u.to_c4) { destination[start + 3u] = narrow(sums.c3); }
  if (WIDE) {
    if (to4 + 4u < u.to_c4) { destination[start + 4u] = narrow(sums.c4); }
    if (to4 + 5u < u.to_c4) { destination[start + 5u] = narrow(sums.c5); }
    if (to4 + 6u < u.to_c4) { destination[start + 6u] = narrow(sums.c6); }
    if (to4 + 7u < u.to_c4) { destination[start + 7u] = narrow(sums.c7); }
  }
}

@compute @workgroup_size(4)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let lane = invocation & 3u;
  let to4 = group.x * select(4u, 8u, WIDE);
  let first = group.y * 64u + lane * 16u;

  let p0 = pixel(first);
  let p1 = pixel(first + 1u);
  let p2 = pixel(first + 2u);
  let p3 = pixel(first + 3u);
  let p4 = pixel(first + 4u);
  let p5 = pixel(first + 5u);
  let p6 = pixel(first + 6u);
  let p7 = pixel(first + 7u);
  let p8 = pixel(first + 8u);
  let p9 = pixel(first + 9u);
  let p10 = pixel(first + 10u);
  let p11 = pixel(first + 11u);
  let p12 = pixel(first + 12u);
  let p13 = pixel(first + 13u);
  let p14 = pixel(first + 14u);
  let p15 = pixel(first + 15u);

  var t0 = Sums(); var t1 = Sums(); var t2 = Sums(); var t3 = Sums();
  var t4 = Sums(); var t5 = Sums(); var t6 = Sums(); var t7 = Sums();
  var t8 = Sums(); var t9 = Sums(); var t10 = Sums(); var t11 = Sums();
  var t12 = Sums(); var t13 = Sums(); var t14 = Sums(); var t15 = Sums();
  // One loop over taps and channels: every loop that hands on the sums costs as much as a quarter of a step.
  for (var step = 0u; step < u.taps_h * u.taps_w * u.from_c4; step++) {
    let tap = step / u.from_c4;
    let c4 = step % u.from_c4;
    let i = tap / u.taps_w;
    let j = tap % u.taps_w;
    let shift = vec2i(i32(i) * u.shift_row_step, i32(j) * u.shift_column_step);
    let filter_tap = u.first_tap + i * u.tap_step_h + j * u.tap_step_w;
    let slab = load_slab(filter_tap * u.from_c4 * u.to_c4 * 4u, to4, c4, lane);
    // Each load stands next to its use, or there would be no registers left to keep what it read.
    t0 = accumulate(t0, slab, load(p0, shift, c4));
    t1 = accumulate(t1, slab, load(p1, shift, c4));
    t2 = accumulate(t2, slab, load(p2, shift, c4));
    t3 = accumulate(t3, slab, load(p3, shift, c4));
    t4 = accumulate(t4, slab, load(p4, shift, c4));
    t5 = accumulate(t5, slab, load(p5, shift, c4));
    t6 = accumulate(t6, slab, load(p6, shift, c4));
    t7 = accumulate(t7, slab, load(p7, shift, c4));
    t8 = accumulate(t8, slab, load(p8, shift, c4));
    t9 = accumulate(t9, slab, load(p9, shift, c4));
    t10 = accumulate(t10, slab, load(p10, shift, c4));
    t11 = accumulate(t11, slab, load(p11, shift, c4));
    t12 = accumulate(t12, slab, load(p12, shift, c4));
    t13 = accumulate(t13, slab, load(p13, shift, c4));
    t14 = accumulate(t14, slab, load(p14, shift, c4));
    t15 = accumulate(t15, slab, load(p15, shift, c4));
  }

  store(first, to4, t0);
  store(first + 1u, to4, t1);
  store(first + 2u, to4, t2);
  store(first + 3u, to4, t3);
  store(first + 4u, to4, t4);
  store(first + 5u, to4, t5);
  store(first + 6u, to4, t6);
  store(first + 7u, to4, t7);
  store(first + 8u, to4, t8);
  store(first + 9u, to4, t9);
  store(first + 10u, to4, t10);
  store(first + 11u, to4, t11);
  store(first + 12u, to4, t12);
  store(first + 13u, to4, t13);
  store(first + 14u, to4, t14);
  store(first + 15u, to4, t15);
}
