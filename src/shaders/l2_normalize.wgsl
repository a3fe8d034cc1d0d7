// Divides each row of [rows, length] by its Euclidean norm, or by sqrt(epsilon) where the square of the norm is less.
alias V = f32;  // @param
const LANES: u32 = 1u;  // @param

struct Uniforms { rows: u32, length: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

// Sum of the lanes, of which there are LANES: a scalar splat into a vector counts once.
fn total(v: V) -> f32 { return dot(vec4f(v), select(vec4f(1.0, 0.0, 0.0, 0.0), vec4f(1.0), LANES == 4u)); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.rows) { return; }
  let end = (row + 1u) * u.length;
  var squares = V();
  for (var i = row * u.length; i < end; i++) { squares += x[i] * x[i]; }
  let scale = inverseSqrt(max(total(squares), u.epsilon));
  for (var i = row * u.length; i < end; i++) { y[i] = x[i] * scale; }
}
