// The largest dot product of each query with the rows of each group of the table, for GPUs. A workgroup multiplies 128
// queries by one group of 64 rows out of workgroup memory, 16 channels at a time; as in matmul_tiled.wgsl each
// invocation keeps 8 x 8 products in registers, as four 4 x 4 blocks half a tile apart. The products never leave the
// workgroup: what is stored is one number for 64 of them.
struct Uniforms { queries: u32, groups: u32, rows: u32, channels4: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read> table: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> maxima: array<f32>;

const ACROSS = 8u;   // invocations across a tile, 8 rows of the table each
const DOWN = 16u;    // invocations down a tile, 8 queries each
const QUERIES4 = 2u * DOWN;
const ROWS4 = 2u * ACROSS;
const DEPTH4 = 4u;   // vec4s of channels in a tile
const INVOCATIONS = ACROSS * DOWN;

var<workgroup> queryTile: array<vec4f, DEPTH4 * 4u * QUERIES4>;  // [channel][query / 4]
var<workgroup> rowTile: array<vec4f, DEPTH4 * 4u * ROWS4>;       // [channel][row / 4]
var<workgroup> partial: array<vec4f, QUERIES4 * ACROSS>;         // [query / 4][x]

// Four channels of four vectors: a vec4 a channel. Channels beyond the last are zeros, vectors beyond the last the last
// again: such queries are not stored, such a row changes no maximum.
fn fourQueries(first: u32, channel4: u32) -> mat4x4f {
  let last = u.queries - 1u;
  let c = min(channel4, u.channels4 - 1u);
  return transpose(mat4x4f(
    queries[min(first, last) * u.channels4 + c], queries[min(first + 1u, last) * u.channels4 + c],
    queries[min(first + 2u, last) * u.channels4 + c], queries[min(first + 3u, last) * u.channels4 + c],
  ));
}

fn fourRows(first: u32, channel4: u32) -> mat4x4f {
  let last = u.rows - 1u;
  let c = min(channel4, u.channels4 - 1u);
  let scale = select(0.0, 1.0, channel4 < u.channels4);
  return transpose(scale * mat4x4f(
    table[min(first, last) * u.channels4 + c], table[min(first + 1u, last) * u.channels4 + c],
    table[min(first + 2u, last) * u.channels4 + c], table[min(first + 3u, last) * u.channels4 + c],
  ));
}

fn addOuter(sum: mat4x4f, a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(a.x), b, sum[0]), fma(vec4f(a.y), b, sum[1]), fma(vec4f(a.z), b, sum[2]), fma(vec4f(a.w), b, sum[3]),
  );
}

// For each of four queries the largest of eight products.
fn largest(left: mat4x4f, right: mat4x4f) -> vec4f {
  let m = transpose(mat4x4f(max(left[0], right[0]), max(left[1], right[1]), max(left[2], right[2]), max(left[3], right[3])));
  return max(max(m[0], m[1]), max(m[2], m[3]));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let x = local % ACROSS;
  let y = local / ACROSS;
  let index = workgroup.y * workgroups.x + workgroup.x;
  let tile = index / u.groups;
  let group = index - tile * u.groups;
  let firstQuery = tile * QUERIES4 * 4u;
  if (firstQuery >= u.queries) { return; }

  var sum00: mat4x4f;  // [query][row] of the upper left quarter of the tile, and so on
  var sum01: mat4x4f;
  var sum10: mat4x4f;
  var sum11: mat4x4f;
  for (var c = 0u; c < u.channels4; c += DEPTH4) {
    // 4 x 32 blocks of queries and 4 x 16 blocks of rows, 4 vectors by 4 channels each.
    let c4 = local % DEPTH4;
    let block = local / DEPTH4;
    let ofQueries = fourQueries(firstQuery + block * 4u, c + c4);
    var ofRows: mat4x4f;
    if (block < ROWS4) { ofRows = fourRows(group * ROWS4 * 4u + block * 4u, c + c4); }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
      queryTile[(c4 * 4u + i) * QUERIES4 + block] = ofQueries[i];
      if (block < ROWS4) { rowTile[(c4 * 4u + i) * ROWS4 + block] = ofRows[i]; }
    }
    workgroupBarrier();
    for (var i = 0u; i < DEPTH4 * 4u; i++) {
      let a0 = queryTile[i * QUERIES4 + y];
      let a1 = queryTile[i * QUERIES4 + DOWN + y];
      let b0 = rowTile[i * ROWS4 + x];
      let b1 = rowTile[i * ROWS4 + ACROSS + x];
      sum00 = addOuter(sum00, a0, b0);
      sum01 = addOuter(sum01, a0, b1);
      sum10 = addOuter(sum10, a1, b0);
      sum11 = addOuter(sum11, a1, b1);
    }
  }

  partial[y * ACROSS + x] = largest(sum00, sum01);
  partial[(DOWN + y) * ACROSS + x] = largest(sum10, sum11);
  workgroupBarrier();
  if (local >= QUERIES4) { return; }
  var best = partial[local * ACROSS];
  for (var i = 1u; i < ACROSS; i++) { best = max(best, partial[local * ACROSS + i]); }
  for (var i = 0u; i < 4u; i++) {
    let query = firstQuery + local * 4u + i;
    if (query < u.queries) { maxima[query * u.groups + group] = best[i]; }
  }
}
