// Counts elements that are infinite or NaN: those whose exponent is all ones. By their bits, since compilers may take it
// that there are none, and leave out a comparison that would find them.

struct Uniforms { size: u32, invocations: u32 }

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4u>;  // bits of f32
@group(0) @binding(2) var<storage, read_write> counts: array<f32>;  // one an invocation

const EXPONENT = vec4u(0x7f800000u);

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.invocations) { return; }
  var count = vec4u(0u);
  for (var at = index; at < (u.size + 3u) / 4u; at += u.invocations) {
    let inside = vec4u(at * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(u.size);
    count += select(vec4u(0u), vec4u(1u), ((x[at] & EXPONENT) == EXPONENT) & inside);
  }
  counts[index] = f32(count.x + count.y + count.z + count.w);
}
