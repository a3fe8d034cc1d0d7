// Matrix product on matrix units (tensor cores). A workgroup computes a tile of the product, DEPTH steps of k at a time,
// out of workgroup memory. Its subgroups, DOWN x ACROSS of them, share the tile; each keeps FRAGMENTS_DOWN x
// FRAGMENTS_ACROSS fragments, results of M x N elements that the units add products [M, K] x [K, N] to, in f32.
//
// Operands are rounded to Component and staged as they lie in memory, in lines of k or of rows (columns); fragments are
// loaded by rows or by columns accordingly. Beyond the ends of the matrices zeros are staged. Lines have a margin of 8
// elements, so that the lines of a fragment lie in different banks.
//
// A long k is split into `chunk`s, one a workgroup; each writes partial results for sum_partials.wgsl.
// The lines that platform/matrix_units.ts rewrites for other forms of the extension are listed there.

enable f16;
enable chromium_experimental_subgroup_matrix;
// What a subgroup does depends on its number, which is the same for all of it, though not for its workgroup.
diagnostic(off, chromium.subgroup_matrix_uniformity);

alias Component = f16;  // @param
alias StoredA = vec4f;  // @param  4 elements of an operand in memory
alias StoredB = vec4f;  // @param
alias StoredC = vec4f;  // @param
const TRANSPOSE_A: bool = false;  // @param
const TRANSPOSE_B: bool = false;  // @param
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
  m: u32, n4: u32, k: u32,  // n4 is n / 4
  chunk: u32, chunks: u32, batches: u32,
  a_batch: u32, b_batch: u32,  // strides in vec4s; 0 for an operand shared by all batches
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<StoredA>;
@group(0) @binding(2) var<storage, read> b: array<StoredB>;
@group(0) @binding(3) var<storage, read_write> c: array<StoredC>;

alias Staged = vec4<Component>;
alias Left = subgroup_matrix_left<Component, K, M>;
alias Right = subgroup_matrix_right<Component, N, K>;
alias Result = subgroup_matrix_result<f32, N, M>;

const FRAGMENTS = FRAGMENTS_DOWN * FRAGMENTS_ACROSS;
const SUBGROUPS = DOWN * ACROSS;
const INVOCATIONS = SUBGROUPS * LANES;
const TILE_ROWS = M * FRAGMENTS_DOWN * DOWN;
const TILE_COLUMNS = N * FRAGMENTS_ACROSS * ACROSS;

// Lines of the tiles: their number, their vec4s, and the vec4s from one to the next.
const A_LINES = select(TILE_ROWS, DEPTH, TRANSPOSE_A);
const A_LINE = select(DEPTH, TILE_ROWS, TRANSPOSE_A) / 4u;
const A_STRIDE = A_LINE + 2u;
const A_SIZE = A_LINES * A_STRIDE;
const A_EACH = (A_LINES * A_LINE + INVOCATIONS - 1u) / INVOCATIONS;  // vec4s that an invocation fetches
const B_LINES = select(DEPTH, TILE_COLUMNS, TRANSPOSE_B);
const B_LINE = select(TILE_COLUMNS, DEPTH, TRANSPOSE_B) / 4u;
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

fn fetch_a(i: u32, base: u32, first_row: u32, first_k: u32, end: u32) -> Staged {
  let line = i / A_LINE;
  let place = i % A_LINE * 4u;
  let row = first_row + select(line, place, TRANSPOSE_A);
  let k = first_k + select(place, line, TRANSPOSE_A);
  let inside = (row < u.m) & (k < end);
  let at = base + select(row * (u.k / 4u) + k / 4u, k * (u.m / 4u) + row / 4u, TRANSPOSE_A);
  return select(Staged(), staged_a(a[select(0u, at, inside)]), inside);
}

fn fetch_b(i: u32, base: u32, first_column: u32, first_k: u32, end: u32) -> Staged {
  let line = i / B_LINE;
  let place = i % B_LINE * 4u;
  let column = first_column + select(place, line, TRANSPOSE_B);
  let k = first_k + select(line, place, TRANSPOSE_B);
  let inside = (column < u.n4 * 4u) & (k < end);
  let at = base + select(k * u.n4 + column / 4u, column * (u.k / 4u) + k / 4u, TRANSPOSE_B);
  return select(Staged(), staged_b(b[select(0u, at, inside)]), inside);
}

fn left(row: u32, k: u32) -> Left {
  if (TRANSPOSE_A) {
    let at = k * A_STRIDE + row / 4u;
    return subgroupMatrixLoad<Left, col_major>(&tile_a, at, A_STRIDE);
  }
  let at = row * A_STRIDE + k / 4u;
  return subgroupMatrixLoad<Left, row_major>(&tile_a, at, A_STRIDE);
}

fn right(k: u32, column: u32) -> Right {
  if (TRANSPOSE_B) {
    let at = column * B_STRIDE + k / 4u;
    return subgroupMatrixLoad<Right, col_major>(&tile_b, at, B_STRIDE);
  }
  let at = k * B_STRIDE + column / 4u;
  return subgroupMatrixLoad<Right, row_major>(&tile_b, at, B_STRIDE);
}

fn store(base: u32, row: u32, column4: u32, value: vec4f) {
  if ((row >= u.m) | (column4 >= u.n4)) { return; }
  c[base + row * u.n4 + column4] = narrow(value);
}

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let batch = group.z / u.chunks;
  let part = group.z % u.chunks;
  let begin = part * u.chunk;
  let end = min(begin + u.chunk, u.k);
  let tile_row = group.y * TILE_ROWS;
  let tile_column = group.x * TILE_COLUMNS;
  // Where subgroups are smaller than the largest, there are more than enough: the rest only help to stage.
  let computes = subgroup < SUBGROUPS;
  let row = subgroup / ACROSS * FRAGMENTS_DOWN * M;
  let column = subgroup % ACROSS * FRAGMENTS_ACROSS * N;

  var sums: array<Result, FRAGMENTS>;
  // The next tiles are under way from memory while the current ones are being multiplied.
  var next_a: array<Staged, A_EACH>;
  var next_b: array<Staged, B_EACH>;
  for (var k = begin; ; k += DEPTH) {
    if (k < end) {
      for (var j = 0u; j < A_EACH; j++) {
        next_a[j] = fetch_a(local + j * INVOCATIONS, batch * u.a_batch, tile_row, k, end);
      }
      for (var j = 0u; j < B_EACH; j++) {
        next_b[j] = fetch_b(local + j * INVOCATIONS, batch * u.b_batch, tile_column, k, end);
      }
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

  // Through workgroup memory, a fragment of each subgroup at a time; two slots take turns, so one barrier each will do.
  let base = (part * u.batches + batch) * u.m * u.n4;
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
        base, to_row, to_column / 4u + i % (N / 4u),
        vec4f(results[at], results[at + 1u], results[at + 2u], results[at + 3u]),
      );
    }
  }
}
