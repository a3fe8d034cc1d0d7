// Index of the first maximum of each row of [rows, length]: an invocation scans a row.
struct Uniforms { rows: u32, length: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.rows) { return; }
  let start = row * u.length;
  var best = x[start];
  var at = 0u;
  for (var i = 1u; i < u.length; i++) {
    let value = x[start + i];
    let better = value > best;
    best = select(best, value, better);
    at = select(at, i, better);
  }
  y[row] = i32(at);
}
