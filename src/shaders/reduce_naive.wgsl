// Reduces the middle axis of [outer, length, inner]: one invocation an output element.
const MAX: bool = false;  // @param

alias StoredX = f32;  // @param  or u32, of two halves
fn load_x(i: u32) -> f32 { return x[i]; }  // @param

struct Uniforms { outer: u32, length: u32, inner: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredX>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.outer * u.inner) { return; }
  let outer = index / u.inner;
  var at = outer * u.length * u.inner + (index - outer * u.inner);
  var result = select(0.0, load_x(at), MAX);
  for (var r = 0u; r < u.length; r++) {
    let value = load_x(at);
    result = select(result + value, max(result, value), MAX);
    at += u.inner;
  }
  y[index] = result;
}
