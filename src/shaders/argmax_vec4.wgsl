// Index of the first maximum of each row of [rows, 4 * length4]: each lane keeps the first maximum of its quarter of
// the columns; at the end the smallest index among the lanes that hold the maximum wins.
struct Uniforms { rows: u32, length4: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.rows) { return; }
  let start = row * u.length4;
  var best = x[start];
  var at = vec4i(0);
  for (var i = 1u; i < u.length4; i++) {
    let value = x[start + i];
    let better = value > best;
    best = select(best, value, better);
    at = select(at, vec4i(i32(i)), better);
  }
  let top = max(max(best.x, best.y), max(best.z, best.w));
  let column = select(vec4i(0x7fffffff), at * 4 + vec4i(0, 1, 2, 3), best == vec4f(top));
  let first = min(min(column.x, column.y), min(column.z, column.w));
  // Of NaN nothing is the maximum.
  y[row] = select(first, 0, first == 0x7fffffff);
}
