// Second pass of a split reduction: adds each `group` neighbouring ones of `parts` partial results of `size` elements,
// always in the same order, so that the result does not depend on which part was finished first.

struct Uniforms { size: u32, parts: u32, group: u32 }

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> total: array<f32>;  // [groups, size]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  let first = i / u.size * u.group;
  if (first >= u.parts) { return; }
  let element = i % u.size;
  var sum = 0.0;
  for (var part = first; part < min(first + u.group, u.parts); part++) {
    sum += partials[part * u.size + element];
  }
  total[i] = sum;
}
