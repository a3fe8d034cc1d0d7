// Rows of [rows, length] that are zero but for the row's k values, added up at the row's k columns. An invocation owns
// one element and looks for its column among the k.
struct Uniforms { count: u32, length: u32, k: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> columns: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let row = index / u.length;
  let column = index - row * u.length;
  var sum = 0.0;
  for (var j = row * u.k; j < (row + 1u) * u.k; j++) {
    sum += select(0.0, values[j], columns[j] == column);
  }
  y[index] = sum;
}
