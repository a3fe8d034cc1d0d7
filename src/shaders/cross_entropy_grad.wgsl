// Gradient of cross_entropy: (softmax(logits) - onehot(label)) * dy; 0 where the label is ignored or no class.
alias V = f32;  // @param
alias I = i32;  // @param
const LANES: u32 = 1u;  // @param
const OFFSETS: I = 0;  // @param

struct Uniforms { rows: u32, length: u32, ignored: i32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> logits: array<V>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<V>;

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
  let weight = select(0.0, dy[row], valid);
  let scale = weight / total(sums);
  for (var i = start; i < end; i++) { dx[i] = exp(logits[i] - top) * scale; }
  // The label's own element, by its lane in a vector, or the only one of a scalar.
  if (valid) {
    let at = start + u32(label) / LANES;
    let hit = OFFSETS == I(label % i32(LANES));
    dx[at] -= select(V(), V(weight), hit);
  }
}
