// The largest dot product of each query with the rows of each group of the table: one invocation a query and group.
struct Uniforms { count: u32, groups: u32, group: u32, rows: u32, channels: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> maxima: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let query = index / u.groups;
  let first = (index - query * u.groups) * u.group;
  var largest = -3.4e38;
  for (var row = first; row < min(first + u.group, u.rows); row++) {
    var similarity = 0.0;
    for (var c = 0u; c < u.channels; c++) {
      similarity += queries[query * u.channels + c] * table[row * u.channels + c];
    }
    largest = max(largest, similarity);
  }
  maxima[index] = largest;
}
