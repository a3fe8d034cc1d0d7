// Sums of values [batch, positions, width] by segment id [batch, positions], to [batch, segments, width]: an invocation
// owns one element of the result and looks through all positions for its segment.
struct Uniforms { count: u32, positions: u32, segments: u32, width: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let row = index / u.width;
  let column = index - row * u.width;
  let batch = row / u.segments;
  let segment = row - batch * u.segments;
  var sum = 0.0;
  for (var p = batch * u.positions; p < (batch + 1u) * u.positions; p++) {
    if (ids[p] == segment) { sum += values[p * u.width + column]; }
  }
  sums[index] = sum;
}
