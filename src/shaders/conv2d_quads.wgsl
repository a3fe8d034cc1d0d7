// 2-D convolution and its input gradient for software adapters: an implicit matrix product, pixels by channels,
// computed as in matmul_quads.wgsl (read that first). Four lanes compute 64 pixels x 32 channels of the destination;
// the sum runs over the filter's taps and the channels of the source image.
//
// Both directions gather: a destination pixel (row, column) reads, for each tap, the source pixel
// (row * scan + shift of the tap, ...). Forward, the destination is y, the source x, `scan` is the stride.
// Backward, the destination is dx, the source dy: the pixels of dx whose coordinates leave the same remainders by the
// stride read dy with `scan` 1 through the same taps, so each workgroup takes pixels of one such class (group.z) and
// skips the other taps as a whole.

enable subgroups;

const BACKWARD: bool = false;  // @param
const WIDE: bool = true;  // @param  32 channels a tile, or else 16

struct Uniforms {
  batches: u32,
  to_h: u32, to_w: u32, to_c4: u32,        // destination, channels in vec4s
  from_h: u32, from_w: u32, from_c4: u32,  // source
  kernel_h: u32, kernel_w: u32, stride_h: i32, stride_w: i32, dilation_h: i32, dilation_w: i32,
  pad_top: i32, pad_left: i32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;  // HWIO
@group(0) @binding(3) var<storage, read_write> destination: array<vec4f>;

// The pixels of one class: all of them forward, every stride-th of a row and of a column backward.
struct Class { first: vec2i, step: vec2i, size: vec2u }

fn class_of(z: u32) -> Class {
  if (!BACKWARD) { return Class(vec2i(0), vec2i(1), vec2u(u.to_h, u.to_w)); }
  let step = vec2i(u.stride_h, u.stride_w);
  let first = vec2i(i32(z) / step.y, i32(z) % step.y);
  return Class(first, step, vec2u((vec2i(i32(u.to_h), i32(u.to_w)) - first + step - 1) / step));
}

// What tap (ky, kx) adds to source coordinates, and whether the class reads through it at all.
struct Shift { by: vec2i, used: bool }

fn shift_of(tap: u32, class_: Class) -> Shift {
  let stride = vec2i(u.stride_h, u.stride_w);
  let offset = vec2i(i32(tap / u.kernel_w) * u.dilation_h, i32(tap % u.kernel_w) * u.dilation_w)
    - vec2i(u.pad_top, u.pad_left);
  if (!BACKWARD) { return Shift(offset, true); }
  let distance = class_.first - offset;
  let by = distance / stride;
  return Shift(by, all(by * stride == distance));
}

// A destination pixel: where in the source image its window starts, and the first source pixel of its image.
struct Pixel { at: vec2i, image: u32 }

fn pixel(index: u32, size: vec2u) -> Pixel {
  let row = index / size.y;
  let at = vec2i(vec2u(row % size.x, index % size.y));
  let scan = select(vec2i(u.stride_h, u.stride_w), vec2i(1), BACKWARD);
  return Pixel(at * scan, min(row / size.x, u.batches - 1u) * u.from_h * u.from_w);
}

// Where the channels of a source pixel start, or that it lies in the padding.
struct Tap { start: u32, inside: bool }

fn tap_of(p: Pixel, shift: vec2i) -> Tap {
  let at = vec2u(p.at + shift);  // negative coordinates wrap to huge ones
  let inside = (at.x < u.from_h) & (at.y < u.from_w);
  return Tap(select(0u, (p.image + at.x * u.from_w + at.y) * u.from_c4, inside), inside);
}

fn load(tap: Tap, c4: u32) -> vec4f {
  return select(vec4f(0.0), source[tap.start + c4], tap.inside);
}

// Each lane loads one vector of a 4 x 4 block of weights and receives the other three.
fn block(start: u32, to4: u32, c4: u32, lane: u32) -> mat4x4f {
  let channel4 = min(to4, u.to_c4 - 1u);
  var mine: vec4f;
  if (BACKWARD) {
    mine = weights[start + (channel4 * 4u + lane) * u.from_c4 + c4];
  } else {
    mine = weights[start + (c4 * 4u + lane) * u.to_c4 + channel4];
  }
  let shared_ = mat4x4f(
    quadBroadcast(mine, 0u), quadBroadcast(mine, 1u), quadBroadcast(mine, 2u), quadBroadcast(mine, 3u),
  );
  if (BACKWARD) { return transpose(shared_); }
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

fn store(index: u32, class_: Class, to4: u32, sums: Sums) {
  let row = index / class_.size.y;
  let image = row / class_.size.x;
  if (image >= u.batches) { return; }
  let at = vec2u(class_.first + vec2i(vec2u(row % class_.size.x, index % class_.size.y)) * class_.step);
  let start = ((image * u.to_h + at.x) * u.to_w + at.y) * u.to_c4 + to4;
  destination[start] = sums.c0;
  if (to4 + 1u < u.to_c4) { destination[start + 1u] = sums.c1; }
  if (to4 + 2u < u.to_c4) { destination[start + 2u] = sums.c2; }
  if (to4 + 3u < u.to_c4) { destination[start + 3u] = sums.c3; }
  if (WIDE) {
    if (to4 + 4u < u.to_c4) { destination[start + 4u] = sums.c4; }
    if (to4 + 5u < u.to_c4) { destination[start + 5u] = sums.c5; }
    if (to4 + 6u < u.to_c4) { destination[start + 6u] = sums.c6; }
    if (to4 + 7u < u.to_c4) { destination[start + 7u] = sums.c7; }
  }
}

@compute @workgroup_size(4)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let lane = invocation & 3u;
  let class_ = class_of(group.z);
  let to4 = group.x * select(4u, 8u, WIDE);
  let first = group.y * 64u + lane * 16u;
  let size = class_.size;
  // Classes differ in size by a row and a column; a tile past the end of its own has nothing to do.
  if (group.y * 64u >= u.batches * size.x * size.y) { return; }

  let p0 = pixel(first, size);
  let p1 = pixel(first + 1u, size);
  let p2 = pixel(first + 2u, size);
  let p3 = pixel(first + 3u, size);
  let p4 = pixel(first + 4u, size);
  let p5 = pixel(first + 5u, size);
  let p6 = pixel(first + 6u, size);
  let p7 = pixel(first + 7u, size);
  let p8 = pixel(first + 8u, size);
  let p9 = pixel(first + 9u, size);
  let p10 = pixel(first + 10u, size);
  let p11 = pixel(first + 11u, size);
  let p12 = pixel(first + 12u, size);
  let p13 = pixel(first + 13u, size);
  let p14 = pixel(first + 14u, size);
  let p15 = pixel(first + 15u, size);

  let taps = u.kernel_h * u.kernel_w;
  let weights_of_tap = u.from_c4 * u.to_c4 * 4u;
  var t0 = Sums(); var t1 = Sums(); var t2 = Sums(); var t3 = Sums();
  var t4 = Sums(); var t5 = Sums(); var t6 = Sums(); var t7 = Sums();
  var t8 = Sums(); var t9 = Sums(); var t10 = Sums(); var t11 = Sums();
  var t12 = Sums(); var t13 = Sums(); var t14 = Sums(); var t15 = Sums();
  for (var tap = 0u; tap < taps; tap++) {
    let shift = shift_of(tap, class_);
    if (!shift.used) { continue; }
    let x0 = tap_of(p0, shift.by);
    let x1 = tap_of(p1, shift.by);
    let x2 = tap_of(p2, shift.by);
    let x3 = tap_of(p3, shift.by);
    let x4 = tap_of(p4, shift.by);
    let x5 = tap_of(p5, shift.by);
    let x6 = tap_of(p6, shift.by);
    let x7 = tap_of(p7, shift.by);
    let x8 = tap_of(p8, shift.by);
    let x9 = tap_of(p9, shift.by);
    let x10 = tap_of(p10, shift.by);
    let x11 = tap_of(p11, shift.by);
    let x12 = tap_of(p12, shift.by);
    let x13 = tap_of(p13, shift.by);
    let x14 = tap_of(p14, shift.by);
    let x15 = tap_of(p15, shift.by);
    for (var c4 = 0u; c4 < u.from_c4; c4++) {
      let slab = load_slab(tap * weights_of_tap, to4, c4, lane);
      t0 = accumulate(t0, slab, load(x0, c4));
      t1 = accumulate(t1, slab, load(x1, c4));
      t2 = accumulate(t2, slab, load(x2, c4));
      t3 = accumulate(t3, slab, load(x3, c4));
      t4 = accumulate(t4, slab, load(x4, c4));
      t5 = accumulate(t5, slab, load(x5, c4));
      t6 = accumulate(t6, slab, load(x6, c4));
      t7 = accumulate(t7, slab, load(x7, c4));
      t8 = accumulate(t8, slab, load(x8, c4));
      t9 = accumulate(t9, slab, load(x9, c4));
      t10 = accumulate(t10, slab, load(x10, c4));
      t11 = accumulate(t11, slab, load(x11, c4));
      t12 = accumulate(t12, slab, load(x12, c4));
      t13 = accumulate(t13, slab, load(x13, c4));
      t14 = accumulate(t14, slab, load(x14, c4));
      t15 = accumulate(t15, slab, load(x15, c4));
    }
  }

  store(first, class_, to4, t0);
  store(first + 1u, class_, to4, t1);
  store(first + 2u, class_, to4, t2);
  store(first + 3u, class_, to4, t3);
  store(first + 4u, class_, to4, t4);
  store(first + 5u, class_, to4, t5);
  store(first + 6u, class_, to4, t6);
  store(first + 7u, class_, to4, t7);
  store(first + 8u, class_, to4, t8);
  store(first + 9u, class_, to4, t9);
  store(first + 10u, class_, to4, t10);
  store(first + 11u, class_, to4, t11);
  store(first + 12u, class_, to4, t12);
  store(first + 13u, class_, to4, t13);
  store(first + 14u, class_, to4, t14);
  store(first + 15u, class_, to4, t15);
}
