// Gradient of a 2-D convolution's filter for GPUs: an implicit matrix product, computed as in matmul_tiled.wgsl (read
// that first). Rows are (tap, channel in), columns are channels out, and the sum runs over the output pixels.
//
// The sum is split into `chunk`s of pixels, one a workgroup; each writes partial results for sum_partials.wgsl.

alias StoredA = vec4f;  // @param  4 elements of `x` in memory: vec4f, or vec2u of halves
alias StoredB = vec4f;  // @param  of `dy`
const ACROSS: u32 = 16u;  // @param  invocations across a tile, 8 columns each
const DOWN: u32 = 16u;  // @param  invocations down a tile, 8 rows each

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

// 4 neighbouring channels in of one tap: what it adds to input coordinates, and the vec4 within a pixel.
struct Group { shift: vec2i, c4: u32, used: bool }

fn group_of(row4: u32) -> Group {
  let tap = row4 / u.in_c4;
  let shift = vec2i(i32(tap / u.kernel_w) * u.dilation_h, i32(tap % u.kernel_w) * u.dilation_w);
  return Group(shift - vec2i(u.pad_top, u.pad_left), row4 % u.in_c4, tap < u.kernel_h * u.kernel_w);
}

struct Pixel { image: u32, row: u32, column: u32 }

fn next(p: Pixel) -> Pixel {
  let wraps = p.column + 1u == u.out_w;
  let row = select(p.row, p.row + 1u, wraps);
  let ends = row == u.out_h;
  return Pixel(select(p.image, p.image + 1u, ends), select(row, 0u, ends), select(p.column + 1u, 0u, wraps));
}

fn load_x(p: Pixel, group: Group) -> vec4f {
  // Negative coordinates wrap to huge ones.
  let at = vec2u(vec2i(i32(p.row) * u.stride_h, i32(p.column) * u.stride_w) + group.shift);
  let inside = (at.x < u.in_h) & (at.y < u.in_w) & group.used & (p.image * u.out_h * u.out_w < u.pixels);
  let start = select(0u, ((p.image * u.in_h + at.x) * u.in_w + at.y) * u.in_c4, inside);
  return select(vec4f(0.0), widen_a(x[start + group.c4]), inside);
}

// Four channels in (a row of tile_a) as seen from four output pixels.
fn block_of_x(row4: u32, first: u32) -> mat4x4f {
  let group = group_of(row4);
  let p0 = Pixel(first / (u.out_w * u.out_h), first / u.out_w % u.out_h, first % u.out_w);
  let p1 = next(p0);
  let p2 = next(p1);
  let p3 = next(p2);
  return mat4x4f(load_x(p0, group), load_x(p1, group), load_x(p2, group), load_x(p3, group));
}

fn load_dy(pixel: u32, to4: u32) -> vec4f {
  return select(vec4f(0.0), widen_b(dy[min(pixel, u.pixels - 1u) * u.out_c4 + to4]), pixel < u.pixels);
}

fn block_of_dy(column4: u32, first: u32) -> mat4x4f {
  let to4 = min(column4, u.out_c4 - 1u);
  return mat4x4f(load_dy(first, to4), load_dy(first + 1u, to4), load_dy(first + 2u, to4), load_dy(first + 3u, to4));
}

fn fetch(block: u32, group: vec3u, k: u32) -> mat4x4f {
  let place = place_of(block);
  if (place.of_b) { return block_of_dy(group.x * COLUMNS4 + place.column4, k + place.k4 * 4u); }
  return block_of_x(group.y * ROWS4 + place.column4, k + place.k4 * 4u);
}

fn add_outer(sum: mat4x4f, a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(a.x), b, sum[0]), fma(vec4f(a.y), b, sum[1]), fma(vec4f(a.z), b, sum[2]), fma(vec4f(a.w), b, sum[3]),
  );
}

fn store(part: u32, row: u32, column4: u32, sums: mat4x4f) {
  let rows = u.kernel_h * u.kernel_w * u.in_c4 * 4u;
  if ((row >= rows) | (column4 >= u.out_c4)) { return; }
  let at = (part * rows + row) * u.out_c4 + column4;
  dfilter[at] = sums[0];
  dfilter[at + u.out_c4] = sums[1];
  dfilter[at + 2u * u.out_c4] = sums[2];
  dfilter[at + 3u * u.out_c4] = sums[3];
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let column = local % ACROSS;
  let row_in_tile = local / ACROSS;
  let begin = group.z * u.chunk;
  let end = min(begin + u.chunk, u.pixels);

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
      block0 = fetch(local, group, k);
      if (BLOCKS > INVOCATIONS) { block1 = fetch(local + INVOCATIONS, group, k); }
      if (BLOCKS > 2u * INVOCATIONS) { block2 = fetch(local + 2u * INVOCATIONS, group, k); }
    }
    if (k > begin) {
      for (var i = 0u; i < DEPTH; i++) {
        let a0 = tile_a[i * ROWS4 + row_in_tile];
        let a1 = tile_a[i * ROWS4 + DOWN + row_in_tile];
        let b0 = tile_b[i * COLUMNS4 + column];
        let b1 = tile_b[i * COLUMNS4 + ACROSS + column];
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

  let row = group.y * ROWS4 * 4u + row_in_tile * 4u;
  let column4 = group.x * COLUMNS4 + column;
  store(group.z, row, column4, sum00);
  store(group.z, row, column4 + ACROSS, sum01);
  store(group.z, row + 4u * DOWN, column4, sum10);
  store(group.z, row + 4u * DOWN, column4 + ACROSS, sum11);
}
