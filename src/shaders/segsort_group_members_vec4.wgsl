// The rows of each query's chosen groups, in ascending order, with their dot products with the query: one invocation for
// four rows, so that what it loads of the query, and the search for the group's place, serve four times. Rows beyond the end of
// the table are -1 and less similar than any.
struct Uniforms { count: u32, chosen: u32, group4: u32, rows: u32, channels4: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> queries: array<vec4f>;
@group(0) @binding(2) var<storage, read> table: array<vec4f>;
@group(0) @binding(3) var<storage, read> groups: array<i32>;
@group(0) @binding(4) var<storage, read_write> similarities: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> members: array<vec4i>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + local;
  if (index >= u.count) { return; }
  let slot = index / u.group4;
  let query = slot / u.chosen;
  let mine = groups[slot];
  // A group's place is the number of groups before it.
  var place = 0u;
  for (var i = query * u.chosen; i < (query + 1u) * u.chosen; i++) { place += select(0u, 1u, groups[i] < mine); }
  let member4 = index - slot * u.group4;
  let rows = (u32(mine) * u.group4 + member4) * 4u + vec4u(0u, 1u, 2u, 3u);
  let at = min(rows, vec4u(u.rows - 1u)) * u.channels4;
  var sums = vec4f();
  for (var c = 0u; c < u.channels4; c++) {
    sums += queries[query * u.channels4 + c] * mat4x4f(table[at.x + c], table[at.y + c], table[at.z + c], table[at.w + c]);
  }
  let known = rows < vec4u(u.rows);
  let to = (query * u.chosen + place) * u.group4 + member4;
  similarities[to] = select(vec4f(-3.4e38), sums, known);
  members[to] = select(vec4i(-1), vec4i(rows), known);
}
