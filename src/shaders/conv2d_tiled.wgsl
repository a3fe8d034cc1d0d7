// 2-D convolution and its input gradient for GPUs: an implicit matrix product, pixels by channels, computed as in
// matmul_tiled.wgsl (read that first). The sum runs over the filter's taps and the channels of the source image;
// tile_a is gathered from the source image, through the lattices of conv_lattice.ts.
//
// A long sum is split into `chunk`s, one a workgroup; each writes partial results for sum_partials.wgsl.

alias StoredA = vec4f;  // @param  4 elements of `source` in memory: vec4f, or vec2u of halves
alias StoredB = vec4f;  // @param  of `weights`
alias StoredC = vec4f;  // @param  of `destination`
const TRANSPOSE: bool = false;  // @param  the source has the filter's channels out, as it does for the input gradient
const ACROSS: u32 = 16u;  // @param  invocations across a tile, 8 columns each
const DOWN: u32 = 16u;  // @param  invocations down a tile, 8 rows each

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
  chunk: u32,  // terms of the sum that a workgroup takes
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<StoredA>;
@group(0) @binding(2) var<storage, read> weights: array<StoredB>;  // HWIO
@group(0) @binding(3) var<storage, read_write> destination: array<StoredC>;

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

// A pixel of the lattice: where in the source image its window starts, and the first source pixel of its image.
struct Pixel { at: vec2i, image: u32 }

fn pixel(index: u32) -> Pixel {
  let row = index / u.columns;
  let at = vec2i(i32(row % u.rows) * u.scan_row, i32(index % u.columns) * u.scan_column);
  return Pixel(at + vec2i(u.shift_row, u.shift_column), min(row / u.rows, u.batches - 1u) * u.from_h * u.from_w);
}

// The four neighbouring pixels of a block of tile_a.
struct Pixels { p0: Pixel, p1: Pixel, p2: Pixel, p3: Pixel }

fn pixels_of(block: u32, group: vec3u) -> Pixels {
  let first = (group.y * ROWS4 + place_of(block).column4) * 4u;
  return Pixels(pixel(first), pixel(first + 1u), pixel(first + 2u), pixel(first + 3u));
}

fn load(p: Pixel, shift: vec2i, c4: u32, used: bool) -> vec4f {
  let at = vec2u(p.at + shift);  // negative coordinates wrap to huge ones
  let inside = (at.x < u.from_h) & (at.y < u.from_w) & used;
  let start = select(0u, (p.image + at.x * u.from_w + at.y) * u.from_c4, inside);
  return select(vec4f(0.0), widen_a(source[start + c4]), inside);
}

fn block_of_source(pixels: Pixels, shift: vec2i, c4: u32, used: bool) -> mat4x4f {
  return transpose(mat4x4f(
    load(pixels.p0, shift, c4, used), load(pixels.p1, shift, c4, used),
    load(pixels.p2, shift, c4, used), load(pixels.p3, shift, c4, used),
  ));
}

fn block_of_weights(start: u32, to4: u32, c4: u32) -> mat4x4f {
  let channel4 = min(to4, u.to_c4 - 1u);
  if (TRANSPOSE) {
    let at = start + channel4 * 4u * u.from_c4 + c4;
    return transpose(mat4x4f(
      widen_b(weights[at]), widen_b(weights[at + u.from_c4]),
      widen_b(weights[at + 2u * u.from_c4]), widen_b(weights[at + 3u * u.from_c4]),
    ));
  }
  let at = start + c4 * 4u * u.to_c4 + channel4;
  return mat4x4f(
    widen_b(weights[at]), widen_b(weights[at + u.to_c4]),
    widen_b(weights[at + 2u * u.to_c4]), widen_b(weights[at + 3u * u.to_c4]),
  );
}

// A sum over k4 is one over taps and, within each, over 4 channels of the source at a time.
fn fetch(block: u32, pixels: Pixels, group: vec3u, k4: u32) -> mat4x4f {
  let place = place_of(block);
  let step = k4 + place.k4;
  let c4 = step % u.from_c4;
  let tap = step / u.from_c4;
  let used = tap < u.taps_h * u.taps_w;
  let i = select(0u, tap / u.taps_w, used);
  let j = tap % u.taps_w;
  if (place.of_b) {
    let filter_tap = u.first_tap + i * u.tap_step_h + j * u.tap_step_w;
    return block_of_weights(filter_tap * u.from_c4 * u.to_c4 * 4u, group.x * COLUMNS4 + place.column4, c4);
  }
  return block_of_source(pixels, vec2i(i32(i) * u.shift_row_step, i32(j) * u.shift_column_step), c4, used);
}

fn add_outer(sum: mat4x4f, a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(a.x), b, sum[0]), fma(vec4f(a.y), b, sum[1]), fma(vec4f(a.z), b, sum[2]), fma(vec4f(a.w), b, sum[3]),
  );
}

fn store(part: u32, index: u32, to4: u32, value: vec4f) {
  let row = index / u.columns;
  let image = row / u.rows;
  if ((image >= u.batches) | (to4 >= u.to_c4)) { return; }
  let to_row = (part * u.batches + image) * u.to_h + u.first_row + row % u.rows * u.row_step;
  let to_column = u.first_column + index % u.columns * u.column_step;
  destination[(to_row * u.to_w + to_column) * u.to_c4 + to4] = narrow(value);
}

fn store_block(part: u32, index: u32, to4: u32, sums: mat4x4f) {
  store(part, index, to4, sums[0]);
  store(part, index + 1u, to4, sums[1]);
  store(part, index + 2u, to4, sums[2]);
  store(part, index + 3u, to4, sums[3]);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let x = local % ACROSS;
  let y = local / ACROSS;
  let begin = group.z * u.chunk / 4u;
  let end = min(begin + u.chunk / 4u, u.taps_h * u.taps_w * u.from_c4);
  let pixels0 = pixels_of(local, group);
  let pixels1 = pixels_of(local + INVOCATIONS, group);

  var sum00: mat4x4f;  // [row][column] of the upper left quarter of the tile, and so on
  var sum01: mat4x4f;
  var sum10: mat4x4f;
  var sum11: mat4x4f;
  // The blocks of the next tile are under way from memory while the current one is being multiplied.
  var block0: mat4x4f;
  var block1: mat4x4f;
  var block2: mat4x4f;
  for (var k = begin; ; k += DEPTH / 4u) {
    if (k < end) {
      block0 = fetch(local, pixels0, group, k);
      if (BLOCKS > INVOCATIONS) { block1 = fetch(local + INVOCATIONS, pixels1, group, k); }
      if (BLOCKS > 2u * INVOCATIONS) { block2 = fetch(local + 2u * INVOCATIONS, pixels1, group, k); }
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

  let index = group.y * ROWS4 * 4u + y * 4u;
  let to4 = group.x * COLUMNS4 + x;
  store_block(group.z, index, to4, sum00);
  store_block(group.z, index, to4 + ACROSS, sum01);
  store_block(group.z, index + 4u * DOWN, to4, sum10);
  store_block(group.z, index + 4u * DOWN, to4 + ACROSS, sum11);
}
