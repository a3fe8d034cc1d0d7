// Zeros between the entries of a flat array: a workgroup for each range, from its first element up to but without its second.
struct Uniforms { count: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> ranges: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let at = group.y * groups.x + group.x;
  if (at >= u.count) { return; }
  let range = ranges[at];
  for (var i = range.x + local; i < range.y; i += 64u) { y[i] = 0.0; }
}
