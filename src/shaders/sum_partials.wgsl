// Second pass of a split reduction: adds each `group` neighbouring ones of `parts` partial results of `size` elements,
// always in the same order, so that the result does not depend on which part was finished first.

alias StoredC = f32;  // @param  elements of the total in memory: f32, or u32 of two halves; an invocation writes one

struct Uniforms { size: u32, parts: u32, group: u32, words: u32 }  // words that are written

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> total: array<StoredC>;  // [groups, size]

fn stored(i: u32) -> StoredC { return element(i); }  // @param

fn element(i: u32) -> f32 {
  let first = i / u.size * u.group;
  var sum = 0.0;
  for (var part = first; part < min(first + u.group, u.parts); part++) {
    sum += partials[part * u.size + i % u.size];
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.words) { return; }
  total[i] = stored(i);
}
