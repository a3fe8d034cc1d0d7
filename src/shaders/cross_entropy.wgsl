// Cross entropy of softmax(logits) [rows, length] at the labels [rows]: log(sum(exp(x))) - x[label]; 0 where the label
// is ignored or no class.
alias V = f32;  // @param
const LANES: u32 = 1u;  // @param

struct Uniforms { rows: u32, length: u32, ignored: i32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> logits: array<V>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

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
  let label = labels[row];
  let valid = (label != u.ignored) & (label >= 0) & (label < i32(u.length * LANES));
  var tops = logits[start];
  for (var i = start + 1u; i < end; i++) { tops = max(tops, logits[i]); }
  let top = largest(tops);
  var sums = V();
  for (var i = start; i < end; i++) { sums += exp(logits[i] - top); }
  let known = select(0u, u32(label), valid);
  let chosen = vec4f(logits[start + known / LANES])[known % LANES];
  loss[row] = select(0.0, log(total(sums)) + (top - chosen), valid);
}
