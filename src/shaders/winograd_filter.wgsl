// Winograd's F(2x2, 3x3), first of three transforms: 3 x 3 filters g to 16 values G g G', with
// G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1]. One invocation transforms the filters from one channel in to four
// channels out. (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.)

alias StoredB = vec4f;  // @param  4 elements of `weights` in memory: vec4f, or vec2u of halves
const FLIP: bool = false;  // @param  taps in reverse order, as the input gradient uses them

struct Uniforms { size: u32 }  // vec4s of a tap: channels in times channels out / 4

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> weights: array<StoredB>;  // [3, 3, in, out]
@group(0) @binding(2) var<storage, read_write> transformed: array<vec4f>;  // [16, in, out]

fn widen_b(v: StoredB) -> vec4f { return v; }  // @param

fn tap(index: u32, i: u32) -> vec4f {
  return widen_b(weights[select(index, 8u - index, FLIP) * u.size + i]);
}

// The three taps of a row, as columns.
fn row(y: u32, i: u32) -> mat3x4f {
  return mat3x4f(tap(3u * y, i), tap(3u * y + 1u, i), tap(3u * y + 2u, i));
}

fn store(y: u32, i: u32, g: mat3x4f) {
  let at = 4u * y * u.size + i;
  transformed[at] = g[0];
  transformed[at + u.size] = 0.5 * (g[0] + g[1] + g[2]);
  transformed[at + 2u * u.size] = 0.5 * (g[0] - g[1] + g[2]);
  transformed[at + 3u * u.size] = g[2];
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.size) { return; }
  let r0 = row(0u, i);
  let r1 = row(1u, i);
  let r2 = row(2u, i);
  store(0u, i, r0);
  store(1u, i, 0.5 * (r0 + r1 + r2));
  store(2u, i, 0.5 * (r0 - r1 + r2));
  store(3u, i, r2);
}
