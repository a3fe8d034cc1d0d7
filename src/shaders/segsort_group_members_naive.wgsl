// The rows of each query's chosen groups, in ascending order, with their dot products with the query: one invocation a
// row. Rows beyond the end of the table are -1 and less similar than any.
struct Uniforms { count: u32, chosen: u32, group: u32, rows: u32, channels: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read> groups: array<i32>;
@group(0) @binding(4) var<storage, read_write> similarities: array<f32>;
@group(0) @binding(5) var<storage, read_write> members: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + local;
  if (index >= u.count) { return; }
  let slot = index / u.group;
  let query = slot / u.chosen;
  let mine = groups[slot];
  // A group's place is the number of groups before it.
  var place = 0u;
  for (var i = query * u.chosen; i < (query + 1u) * u.chosen; i++) { place += select(0u, 1u, groups[i] < mine); }
  let member = index - slot * u.group;
  let row = u32(mine) * u.group + member;
  let known = row < u.rows;
  let at = select(0u, row, known) * u.channels;
  var similarity = 0.0;
  for (var c = 0u; c < u.channels; c++) { similarity += queries[query * u.channels + c] * table[at + c]; }
  let to = (query * u.chosen + place) * u.group + member;
  similarities[to] = select(-3.4e38, similarity, known);
  members[to] = select(-1, i32(row), known);
}
