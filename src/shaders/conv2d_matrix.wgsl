// 2-D convolution and its input gradient on matrix units: an implicit matrix product, pixels by channels, computed as in
// matmul_matrix.wgsl (read that first). The sum runs over the filter's taps and the channels of the source image;
// tile_a is gathered from the source image, through the lattices of conv_lattice.ts.

enable f16;
enable chromium_experimental_subgroup_matrix;
// What a subgroup does depends on its number, which is the same for all of it, though not for its workgroup.
diagnostic(off, chromium.subgroup_matrix_uniformity);

alias Component = f16;  // @param
alias StoredA = vec4f;  // @param  4 channels of the source
alias StoredB = vec4f;  // @param  of the filter
alias StoredC = vec4f;  // @param  of the destination
const TRANSPOSE: bool = false;  // @param  the source has the filter's channels out, as it does for the input gradient
const M: u32 = 16u;  // @param
const N: u32 = 16u;  // @param
const K: u32 = 16u;  // @param
const FRAGMENTS_DOWN: u32 = 2u;  // @param
const FRAGMENTS_ACROSS: u32 = 2u;  // @param
const DOWN: u32 = 2u;  // @param
const ACROSS: u32 = 2u;  // @param
const DEPTH: u32 = 32u;  // @param
const LANES: u32 = 32u;  // @param  invocations of the largest subgroup

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

alias Staged = vec4<Component>;
alias Left = subgroup_matrix_left<Component, K, M>;
alias Right = subgroup_matrix_right<Component, N, K>;
alias Result = subgroup_matrix_result<f32, N, M>;

const FRAGMENTS = FRAGMENTS_DOWN * FRAGMENTS_ACROSS;
const SUBGROUPS = DOWN * ACROSS;
const INVOCATIONS = SUBGROUPS * LANES;
const TILE_ROWS = M * FRAGMENTS_DOWN * DOWN;
const TILE_COLUMNS = N * FRAGMENTS_ACROSS * ACROSS;

// Lines of tile_a are pixels, those of tile_b steps of the sum (forward) or channels of the destination (backward).
const A_LINES = TILE_ROWS;
const A_LINE = DEPTH / 4u;
const A_STRIDE = A_LINE + 2u;
const A_SIZE = A_LINES * A_STRIDE;
const A_EACH = (A_LINES * A_LINE + INVOCATIONS - 1u) / INVOCATIONS;
const B_LINES = select(DEPTH, TILE_COLUMNS, TRANSPOSE);
const B_LINE = select(TILE_COLUMNS, DEPTH, TRANSPOSE) / 4u;
const B_STRIDE = B_LINE + 2u;
const B_SIZE = B_LINES * B_STRIDE;
const B_EACH = (B_LINES * B_LINE + INVOCATIONS - 1u) / INVOCATIONS;

const SLOT = SUBGROUPS * M * N;  // one fragment of each subgroup
const SLOTS = 2u * SLOT;

var<workgroup> tile_a: array<Staged, A_SIZE>;
var<workgroup> tile_b: array<Staged, B_SIZE>;
var<workgroup> results: array<f32, SLOTS>;

fn staged_a(v: StoredA) -> Staged { return Staged(v); }  // @param
fn staged_b(v: StoredB) -> Staged { return Staged(v); }  // @param
fn narrow(v: vec4f) -> StoredC { return v; }  // @param

fn stage_a(at: u32, values: Staged) { tile_a[at] = values; }
fn stage_b(at: u32, values: Staged) { tile_b[at] = values; }

// A pixel of the lattice: where in the source image its window starts, and the first source pixel of its image.
struct Pixel { at: vec2i, image: u32 }

fn pixel(index: u32) -> Pixel {
  let row = index / u.columns;
  let at = vec2i(i32(row % u.rows) * u.scan_row, i32(index % u.columns) * u.scan_column);
  return Pixel(at + vec2i(u.shift_row, u.shift_column), min(row / u.rows, u.batches - 1u) * u.from_h * u.from_w);
}

// 4 terms of the sum: a tap, and 4 channels of the source. All that an invocation fetches along a line of k.
struct Terms { shift: vec2i, filter_tap: u32, c4: u32, used: bool }

fn terms(k: u32, end: u32) -> Terms {
  let tap = k / 4u / u.from_c4;
  let i = tap / u.taps_w;
  let j = tap % u.taps_w;
  let shift = vec2i(i32(i) * u.shift_row_step, i32(j) * u.shift_column_step);
  return Terms(shift, u.first_tap + i * u.tap_step_h + j * u.tap_step_w, k / 4u % u.from_c4, k < end);
}

fn fetch_a(p: Pixel, t: Terms) -> Staged {
  let at = vec2u(p.at + t.shift);  // negative coordinates wrap to huge ones
  let inside = (at.x < u.from_h) & (at.y < u.from_w) & t.used;
  let start = select(0u, (p.image + at.x * u.from_w + at.y) * u.from_c4 + t.c4, inside);
  return select(Staged(), staged_a(source[start]), inside);
}

fn fetch_b(i: u32, first_channel: u32, first_k: u32, end: u32, t: Terms) -> Staged {
  if (TRANSPOSE) {
    let channel = first_channel + i / B_LINE;
    let inside = (channel < u.to_c4 * 4u) & t.used;
    let at = select(0u, (t.filter_tap * u.to_c4 * 4u + channel) * u.from_c4 + t.c4, inside);
    return select(Staged(), staged_b(weights[at]), inside);
  }
  // Forward, all taps are used, in their order: step k of the sum is row k of the filter.
  let k = first_k + i / B_LINE;
  let channel4 = first_channel / 4u + i % B_LINE;
  let inside = (channel4 < u.to_c4) & (k < end);
  return select(Staged(), staged_b(weights[select(0u, k * u.to_c4 + channel4, inside)]), inside);
}

fn left(row: u32, k: u32) -> Left {
  let at = row * A_STRIDE + k / 4u;
  return subgroupMatrixLoad<Left, row_major>(&tile_a, at, A_STRIDE);
}

fn right(k: u32, column: u32) -> Right {
  if (TRANSPOSE) {
    let at = column * B_STRIDE + k / 4u;
    return subgroupMatrixLoad<Right, col_major>(&tile_b, at, B_STRIDE);
  }
  let at = k * B_STRIDE + column / 4u;
  return subgroupMatrixLoad<Right, row_major>(&tile_b, at, B_STRIDE);
}

fn store(part: u32, index: u32, to4: u32, value: vec4f) {
  let row = index / u.columns;
  let image = row / u.rows;
  if ((image >= u.batches) | (to4 >= u.to_c4)) { return; }
  let to_row = (part * u.batches + image) * u.to_h + u.first_row + row % u.rows * u.row_step;
  let to_column = u.first_column + index % u.columns * u.column_step;
  destination[(to_row * u.to_w + to_column) * u.to_c4 + to4] = narrow(value);
}

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let begin = group.z * u.chunk;
  let end = min(begin + u.chunk, u.taps_h * u.taps_w * u.from_c4 * 4u);
  let tile_row = group.y * TILE_ROWS;
  let tile_column = group.x * TILE_COLUMNS;
  let computes = subgroup < SUBGROUPS;
  let row = subgroup / ACROSS * FRAGMENTS_DOWN * M;
  let column = subgroup % ACROSS * FRAGMENTS_ACROSS * N;
  var pixels: array<Pixel, A_EACH>;
  for (var j = 0u; j < A_EACH; j++) { pixels[j] = pixel(tile_row + (local + j * INVOCATIONS) / A_LINE); }

  var sums: array<Result, FRAGMENTS>;
  var next_a: array<Staged, A_EACH>;
  var next_b: array<Staged, B_EACH>;
  for (var k = begin; ; k += DEPTH) {
    if (k < end) {
      let t = terms(k + local % A_LINE * 4u, end);
      for (var j = 0u; j < A_EACH; j++) { next_a[j] = fetch_a(pixels[j], t); }
      for (var j = 0u; j < B_EACH; j++) { next_b[j] = fetch_b(local + j * INVOCATIONS, tile_column, k, end, t); }
    }
    if ((k > begin) & computes) {
      for (var step = 0u; step < DEPTH; step += K) {
        var lefts: array<Left, FRAGMENTS_DOWN>;
        for (var i = 0u; i < FRAGMENTS_DOWN; i++) { lefts[i] = left(row + i * M, step); }
        for (var j = 0u; j < FRAGMENTS_ACROSS; j++) {
          let right_j = right(step, column + j * N);
          for (var i = 0u; i < FRAGMENTS_DOWN; i++) {
            let f = i * FRAGMENTS_ACROSS + j;
            sums[f] = subgroupMatrixMultiplyAccumulate(lefts[i], right_j, sums[f]);
          }
        }
      }
    }
    if (k >= end) { break; }
    workgroupBarrier();
    for (var j = 0u; j < A_EACH; j++) {
      let i = local + j * INVOCATIONS;
      if (i < A_LINES * A_LINE) { stage_a(i / A_LINE * A_STRIDE + i % A_LINE, next_a[j]); }
    }
    for (var j = 0u; j < B_EACH; j++) {
      let i = local + j * INVOCATIONS;
      if (i < B_LINES * B_LINE) { stage_b(i / B_LINE * B_STRIDE + i % B_LINE, next_b[j]); }
    }
    workgroupBarrier();
  }

  for (var f = 0u; f < FRAGMENTS; f++) {
    let slot = f % 2u * SLOT;
    if (computes) {
      let at = slot + subgroup * M * N;
      subgroupMatrixStore<row_major>(&results, at, sums[f], N);
    }
    workgroupBarrier();
    for (var i = local; i < SLOT / 4u; i += INVOCATIONS) {
      let owner = i / (M * N / 4u);
      let to_row = tile_row + (owner / ACROSS * FRAGMENTS_DOWN + f / FRAGMENTS_ACROSS) * M + i % (M * N / 4u) / (N / 4u);
      let to_column = tile_column + (owner % ACROSS * FRAGMENTS_ACROSS + f % FRAGMENTS_ACROSS) * N;
      let at = slot + i * 4u;
      store(
        group.z, to_row, to_column / 4u + i % (N / 4u),
        vec4f(results[at], results[at + 1u], results[at + 2u], results[at + 3u]),
      );
    }
  }
}
