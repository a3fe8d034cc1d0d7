// Gradient of a 2-D convolution's filter for software adapters: an implicit matrix product, computed as in
// conv2d_quads.wgsl (read that first). Rows are (tap, channel in), columns are channels out, and the sum runs over the
// output pixels. Four lanes compute 64 rows x 32 columns; each lane has 4 groups of 4 neighbouring channels in.
//
// The sum is split into `chunk`s of pixels, one a workgroup; each writes partial results for sum_partials.wgsl.

enable subgroups;

alias StoredA = vec4f;  // @param  4 elements of `x` in memory: vec4f, or vec2u of halves
alias StoredB = vec4f;  // @param  of `dy`
const WIDE: bool = true;  // @param  32 channels out a tile, or else 16

struct Uniforms {
  in_h: u32, in_w: u32, in_c4: u32, out_h: u32, out_w: u32, out_c4: u32,  // channels in vec4s
  kernel_h: u32, kernel_w: u32, stride_h: i32, stride_w: i32, dilation_h: i32, dilation_w: i32,
  pad_top: i32, pad_left: i32,
  pixels: u32, chunk: u32,  // output pixels of all images, and of a workgroup
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredA>;
@group(0) @binding(2) var<storage, read> dy: array<StoredB>;
@group(0) @binding(3) var<storage, read_write> dfilter: array<vec4f>;

fn widen_a(v: StoredA) -> vec4f { return v; }  // @param
fn widen_b(v: StoredB) -> vec4f { return v; }  // @param

// 4 neighbouring channels in of one tap: what it adds to input coordinates, and the vec4 within a pixel.
struct Group { shift: vec2i, c4: u32 }

fn group_of(index: u32) -> Group {
  let tap = index / u.in_c4;
  let shift = vec2i(i32(tap / u.kernel_w) * u.dilation_h, i32(tap % u.kernel_w) * u.dilation_w);
  return Group(shift - vec2i(u.pad_top, u.pad_left), index % u.in_c4);
}

// An output pixel: where in the input image its window starts, and the first input pixel of its image.
struct Pixel { at: vec2i, image: u32 }

fn pixel(index: u32) -> Pixel {
  let row = index / u.out_w;
  let at = vec2i(i32(row % u.out_h) * u.stride_h, i32(index % u.out_w) * u.stride_w);
  return Pixel(at, row / u.out_h * u.in_h * u.in_w);
}

fn load_x(p: Pixel, group: Group) -> vec4f {
  let at = vec2u(p.at + group.shift);  // negative coordinates wrap to huge ones
  let inside = (at.x < u.in_h) & (at.y < u.in_w);
  let start = select(0u, (p.image + at.x * u.in_w + at.y) * u.in_c4, inside);
  return select(vec4f(0.0), widen_a(x[start + group.c4]), inside);
}

// The four pixels of a step: each lane has worked out one.
struct Pixels { p0: Pixel, p1: Pixel, p2: Pixel, p3: Pixel }

fn share_pixels(mine: Pixel) -> Pixels {
  return Pixels(
    Pixel(quadBroadcast(mine.at, 0u), quadBroadcast(mine.image, 0u)),
    Pixel(quadBroadcast(mine.at, 1u), quadBroadcast(mine.image, 1u)),
    Pixel(quadBroadcast(mine.at, 2u), quadBroadcast(mine.image, 2u)),
    Pixel(quadBroadcast(mine.at, 3u), quadBroadcast(mine.image, 3u)),
  );
}

// The 4 channels of a group (columns) at the 4 pixels (rows).
fn channels(p: Pixels, group: Group) -> mat4x4f {
  return transpose(mat4x4f(load_x(p.p0, group), load_x(p.p1, group), load_x(p.p2, group), load_x(p.p3, group)));
}

// 4 channels out of dy at the 4 pixels: each lane loads one pixel's and receives the others'.
fn block(index: u32, to4: u32) -> mat4x4f {
  let value = widen_b(dy[min(index, u.pixels - 1u) * u.out_c4 + min(to4, u.out_c4 - 1u)]);
  let mine = select(vec4f(0.0), value, index < u.pixels);
  return mat4x4f(
    quadBroadcast(mine, 0u), quadBroadcast(mine, 1u), quadBroadcast(mine, 2u), quadBroadcast(mine, 3u),
  );
}

// 32 channels out at the 4 pixels.
struct Slab {
  s0: mat4x4f, s1: mat4x4f, s2: mat4x4f, s3: mat4x4f, s4: mat4x4f, s5: mat4x4f, s6: mat4x4f, s7: mat4x4f,
}

fn load_slab(index: u32, to4: u32) -> Slab {
  var slab: Slab;
  slab.s0 = block(index, to4);
  slab.s1 = block(index, to4 + 1u);
  slab.s2 = block(index, to4 + 2u);
  slab.s3 = block(index, to4 + 3u);
  if (WIDE) {
    slab.s4 = block(index, to4 + 4u);
    slab.s5 = block(index, to4 + 5u);
    slab.s6 = block(index, to4 + 6u);
    slab.s7 = block(index, to4 + 7u);
  }
  return slab;
}

// One channel in, 32 channels out.
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

fn store(part: u32, row: u32, to4: u32, sums: Sums) {
  let rows = u.kernel_h * u.kernel_w * u.in_c4 * 4u;
  if (row >= rows) { return; }
  let start = (part * rows + row) * u.out_c4 + to4;
  dfilter[start] = sums.c0;
  if (to4 + 1u < u.out_c4) { dfilter[start + 1u] = sums.c1; }
  if (to4 + 2u < u.out_c4) { dfilter[start + 2u] = sums.c2; }
  if (to4 + 3u < u.out_c4) { dfilter[start + 3u] = sums.c3; }
  if (WIDE) {
    if (to4 + 4u < u.out_c4) { dfilter[start + 4u] = sums.c4; }
    if (to4 + 5u < u.out_c4) { dfilter[start + 5u] = sums.c5; }
    if (to4 + 6u < u.out_c4) { dfilter[start + 6u] = sums.c6; }
    if (to4 + 7u < u.out_c4) { dfilter[start + 7u] = sums.c7; }
  }
}

@compute @workgroup_size(4)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let lane = invocation & 3u;
  let to4 = group.x * select(4u, 8u, WIDE);
  let row4 = group.y * 16u + lane * 4u;
  let g0 = group_of(row4);
  let g1 = group_of(row4 + 1u);
  let g2 = group_of(row4 + 2u);
  let g3 = group_of(row4 + 3u);
  let begin = group.z * u.chunk;
  let end = min(begin + u.chunk, u.pixels);

  var t0 = Sums(); var t1 = Sums(); var t2 = Sums(); var t3 = Sums();
  var t4 = Sums(); var t5 = Sums(); var t6 = Sums(); var t7 = Sums();
  var t8 = Sums(); var t9 = Sums(); var t10 = Sums(); var t11 = Sums();
  var t12 = Sums(); var t13 = Sums(); var t14 = Sums(); var t15 = Sums();
  for (var step = begin; step < end; step += 4u) {
    let index = step + lane;
    let slab = load_slab(index, to4);
    let pixels = share_pixels(pixel(min(index, u.pixels - 1u)));
    let x0 = channels(pixels, g0);
    t0 = accumulate(t0, slab, x0[0]);
    t1 = accumulate(t1, slab, x0[1]);
    t2 = accumulate(t2, slab, x0[2]);
    t3 = accumulate(t3, slab, x0[3]);
    let x1 = channels(pixels, g1);
    t4 = accumulate(t4, slab, x1[0]);
    t5 = accumulate(t5, slab, x1[1]);
    t6 = accumulate(t6, slab, x1[2]);
    t7 = accumulate(t7, slab, x1[3]);
    let x2 = channels(pixels, g2);
    t8 = accumulate(t8, slab, x2[0]);
    t9 = accumulate(t9, slab, x2[1]);
    t10 = accumulate(t10, slab, x2[2]);
    t11 = accumulate(t11, slab, x2[3]);
    let x3 = channels(pixels, g3);
    t12 = accumulate(t12, slab, x3[0]);
    t13 = accumulate(t13, slab, x3[1]);
    t14 = accumulate(t14, slab, x3[2]);
    t15 = accumulate(t15, slab, x3[3]);
  }

  let row = row4 * 4u;
  store(group.z, row, to4, t0);
  store(group.z, row + 1u, to4, t1);
  store(group.z, row + 2u, to4, t2);
  store(group.z, row + 3u, to4, t3);
  store(group.z, row + 4u, to4, t4);
  store(group.z, row + 5u, to4, t5);
  store(group.z, row + 6u, to4, t6);
  store(group.z, row + 7u, to4, t7);
  store(group.z, row + 8u, to4, t8);
  store(group.z, row + 9u, to4, t9);
  store(group.z, row + 10u, to4, t10);
  store(group.z, row + 11u, to4, t11);
  store(group.z, row + 12u, to4, t12);
  store(group.z, row + 13u, to4, t13);
  store(group.z, row + 14u, to4, t14);
  store(group.z, row + 15u, to4, t15);
}
