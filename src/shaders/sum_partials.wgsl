// Second pass of a split reduction: adds `parts` partial results of `size` elements each, always in the same
// order, so that the result does not depend on which part was finished first.

struct Uniforms { size: u32, parts: u32 }

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> total: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.size) { return; }
  var sum = 0.0;
  for (var part = 0u; part < u.parts; part++) {
    sum += partials[part * u.size + i];
  }
  total[i] = sum;
}
