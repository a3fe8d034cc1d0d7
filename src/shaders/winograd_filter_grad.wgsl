// Winograd's F(3x3, 2x2), which filter gradients are, last transform: the 16 products m, of which each was summed over all
// windows, in parts, to 3 x 3 taps A' m A, with A' = [1 1 1 0; 0 1 -1 0; 0 1 1 -1]. One invocation computes the taps from one
// channel in to four channels out.

struct Uniforms {
  parts: u32, size: u32,  // vec4s of a product: channels in, of those that were multiplied, times channels out / 4
  first: u32, stride: u32,  // where these are among the vec4s of a tap, and how many a tap has
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> products: array<vec4f>;  // [parts, 16, channels in, channels out]
@group(0) @binding(2) var<storage, read_write> taps: array<vec4f>;  // [3, 3, in, out]

fn product(at: u32) -> vec4f {
  var sum = products[at];
  for (var part = 1u; part < u.parts; part++) { sum += products[at + part * 16u * u.size]; }
  return sum;
}

fn load_row(y: u32, i: u32) -> mat4x4f {
  let at = 4u * y * u.size + i;
  return mat4x4f(product(at), product(at + u.size), product(at + 2u * u.size), product(at + 3u * u.size));
}

fn store_row(y: u32, i: u32, m: mat4x4f) {
  let at = 3u * y * u.stride + u.first + i;
  taps[at] = m[0] + m[1] + m[2];
  taps[at + u.stride] = m[1] - m[2];
  taps[at + 2u * u.stride] = m[1] + m[2] - m[3];
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.size) { return; }
  let m0 = load_row(0u, i);
  let m1 = load_row(1u, i);
  let m2 = load_row(2u, i);
  let m3 = load_row(3u, i);
  store_row(0u, i, m0 + m1 + m2);
  store_row(1u, i, m1 - m2);
  store_row(2u, i, m1 + m2 - m3);
}
