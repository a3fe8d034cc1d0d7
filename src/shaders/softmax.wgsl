// Softmax of each row of [rows, length]: exp(x - max) over its sum.
alias V = f32;  // @param
const LANES: u32 = 1u;  // @param

struct Uniforms { rows: u32, length: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

// Sum of the lanes, of which there are LANES: a scalar splat into a vector counts once.
fn total(v: V) -> f32 { return dot(vec4f(v), select(vec4f(1.0, 0.0, 0.0, 0.0), vec4f(1.0), LANES == 4u)); }

fn largest(v: V) -> f32 {
  let lanes = vec4f(v);
  return max(max(lanes.x, lanes.y), max(lanes.z, lanes.w));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.rows) { return; }
  let start = row * u.length;
  let end = start + u.length;
  var tops = x[start];
  for (var i = start + 1u; i < end; i++) { tops = max(tops, x[i]); }
  let top = largest(tops);
  var sums = V();
  for (var i = start; i < end; i++) {
    let value = exp(x[i] - top);
    sums += value;
    y[i] = value;
  }
  let scale = 1.0 / total(sums);
  for (var i = start; i < end; i++) { y[i] *= scale; }
}
