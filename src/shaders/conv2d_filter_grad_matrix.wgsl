// Gradient of a 2-D convolution's filter on matrix units: an implicit matrix product, computed as in matmul_matrix.wgsl
// (read that first). Rows are (tap, channel in), columns are channels out, and the sum runs over the output pixels.
//
// The sum is split into `chunk`s of pixels, one a workgroup; each writes partial results for sum_partials.wgsl.

enable f16;
enable chromium_experimental_subgroup_matrix;
// What a subgroup does depends on its number, which is the same for all of it, though not for its workgroup.
diagnostic(off, chromium.subgroup_matrix_uniformity);

alias Component = f16;  // @param
alias StoredA = vec4f;  // @param  4 channels of the input
alias StoredB = vec4f;  // @param  of the output's gradient
alias StoredC = vec4f;  // @param  of the filter's gradient
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
  in_h: u32, in_w: u32, in_c4: u32, out_h: u32, out_w: u32, out_c4: u32,  // channels in vec4s
  kernel_h: u32, kernel_w: u32, stride_h: i32, stride_w: i32, dilation_h: i32, dilation_w: i32,
  pad_top: i32, pad_left: i32,
  pixels: u32, chunk: u32,  // output pixels of all images, and of a workgroup
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredA>;
@group(0) @binding(2) var<storage, read> dy: array<StoredB>;
@group(0) @binding(3) var<storage, read_write> dfilter: array<StoredC>;

alias Staged = vec4<Component>;
alias Left = subgroup_matrix_left<Component, K, M>;
alias Right = subgroup_matrix_right<Component, N, K>;
alias Result = subgroup_matrix_result<f32, N, M>;

const FRAGMENTS = FRAGMENTS_DOWN * FRAGMENTS_ACROSS;
const SUBGROUPS = DOWN * ACROSS;
const INVOCATIONS = SUBGROUPS * LANES;
const TILE_ROWS = M * FRAGMENTS_DOWN * DOWN;
const TILE_COLUMNS = N * FRAGMENTS_ACROSS * ACROSS;

// Lines of both tiles are output pixels.
const A_LINES = DEPTH;
const A_LINE = TILE_ROWS / 4u;
const A_STRIDE = A_LINE + 2u;
const A_SIZE = A_LINES * A_STRIDE;
const A_EACH = (A_LINES * A_LINE + INVOCATIONS - 1u) / INVOCATIONS;
const B_LINES = DEPTH;
const B_LINE = TILE_COLUMNS / 4u;
const B_STRIDE = B_LINE + 2u;
const B_SIZE = B_LINES * B_STRIDE;
const B_EACH = (B_LINES * B_LINE + INVOCATIONS - 1u) / INVOCATIONS;

const SLOT = SUBGROUPS * M * N;  // one fragment of each subgroup
const SLOTS = 2u * SLOT;

var<workgroup> tile_a: array<Staged, A_SIZE>;
var<workgroup> tile_b: array<Staged, B_SIZE>;
var<workgroup> results: array<f32, SLOTS>;

// The output pixels of the next tiles: where in the input their windows start, and the first input pixel of their image.
var<workgroup> windows: array<Window, DEPTH>;
struct Window { at: vec2i, image: u32 }

fn staged_a(v: StoredA) -> Staged { return Staged(v); }  // @param
fn staged_b(v: StoredB) -> Staged { return Staged(v); }  // @param
fn narrow(v: vec4f) -> StoredC { return v; }  // @param

fn stage_a(at: u32, values: Staged) { tile_a[at] = values; }
fn stage_b(at: u32, values: Staged) { tile_b[at] = values; }

fn find_windows(local: u32, first: u32) {
  for (var i = local; i < DEPTH; i += INVOCATIONS) {
    let index = first + i;
    let row = index / u.out_w;
    let at = vec2i(i32(row % u.out_h) * u.stride_h, i32(index % u.out_w) * u.stride_w);
    windows[i] = Window(at - vec2i(u.pad_top, u.pad_left), row / u.out_h * u.in_h * u.in_w);
  }
}

// 4 rows of the result: a tap, as what it adds to input coordinates, and 4 channels in.
struct Rows { shift: vec2i, c4: u32, used: bool }

fn rows_of(row4: u32) -> Rows {
  let tap = row4 / u.in_c4;
  let shift = vec2i(i32(tap / u.kernel_w) * u.dilation_h, i32(tap % u.kernel_w) * u.dilation_w);
  return Rows(shift, row4 % u.in_c4, tap < u.kernel_h * u.kernel_w);
}

fn fetch_a(i: u32, rows: Rows, first: u32, end: u32) -> Staged {
  let line = i / A_LINE % DEPTH;
  let window = windows[line];
  let at = vec2u(window.at + rows.shift);  // negative coordinates wrap to huge ones
  let inside = (at.x < u.in_h) & (at.y < u.in_w) & rows.used & (first + line < end);
  let start = select(0u, (window.image + at.x * u.in_w + at.y) * u.in_c4 + rows.c4, inside);
  return select(Staged(), staged_a(x[start]), inside);
}

fn fetch_b(i: u32, first_column4: u32, first: u32, end: u32) -> Staged {
  let pixel = first + i / B_LINE;
  let column4 = first_column4 + i % B_LINE;
  let inside = (pixel < end) & (column4 < u.out_c4);
  return select(Staged(), staged_b(dy[select(0u, pixel * u.out_c4 + column4, inside)]), inside);
}

fn left(row: u32, k: u32) -> Left {
  let at = k * A_STRIDE + row / 4u;
  return subgroupMatrixLoad<Left, col_major>(&tile_a, at, A_STRIDE);
}

fn right(k: u32, column: u32) -> Right {
  let at = k * B_STRIDE + column / 4u;
  return subgroupMatrixLoad<Right, row_major>(&tile_b, at, B_STRIDE);
}

fn store(part: u32, row: u32, column4: u32, value: vec4f) {
  let rows = u.kernel_h * u.kernel_w * u.in_c4 * 4u;
  if ((row >= rows) | (column4 >= u.out_c4)) { return; }
  dfilter[(part * rows + row) * u.out_c4 + column4] = narrow(value);
}

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let begin = group.z * u.chunk;
  let end = min(begin + u.chunk, u.pixels);
  let tile_row = group.y * TILE_ROWS;
  let tile_column = group.x * TILE_COLUMNS;
  let computes = subgroup < SUBGROUPS;
  let row = subgroup / ACROSS * FRAGMENTS_DOWN * M;
  let column = subgroup % ACROSS * FRAGMENTS_ACROSS * N;
  // All that an invocation fetches has the same place in its line: their vec4s divide the number of invocations.
  let rows = rows_of(tile_row / 4u + local % A_LINE);

  var sums: array<Result, FRAGMENTS>;
  var next_a: array<Staged, A_EACH>;
  var next_b: array<Staged, B_EACH>;
  find_windows(local, begin);
  workgroupBarrier();
  for (var k = begin; ; k += DEPTH) {
    if (k < end) {
      for (var j = 0u; j < A_EACH; j++) { next_a[j] = fetch_a(local + j * INVOCATIONS, rows, k, end); }
      for (var j = 0u; j < B_EACH; j++) { next_b[j] = fetch_b(local + j * INVOCATIONS, tile_column / 4u, k, end); }
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
    find_windows(local, k + DEPTH);
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
