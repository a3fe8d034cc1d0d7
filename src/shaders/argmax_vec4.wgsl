// Index of the first maximum of each row of [rows, 4 * length4]: an invocation finds the first vec4 that has the largest
// value, and at the end, where in it.
struct Uniforms { rows: u32, length4: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<i32>;

fn largest(v: vec4f) -> f32 {
  let pair = select(v.xy, v.zw, v.zw > v.xy);
  return select(pair.x, pair.y, pair.y > pair.x);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.rows) { return; }
  let start = row * u.length4;
  var best = largest(x[start]);
  var at = 0u;
  for (var i = 1u; i < u.length4; i++) {
    let value = largest(x[start + i]);
    let better = value > best;
    best = select(best, value, better);
    at = select(at, i, better);
  }
  let column = select(vec4u(4u), vec4u(0u, 1u, 2u, 3u), x[start + at] == vec4f(best));
  let first = min(min(column.x, column.y), min(column.z, column.w));
  y[row] = i32(4u * at + first % 4u);  // a row of NaN has no maximum: its first column
}
