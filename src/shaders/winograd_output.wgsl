// Winograd's F(2x2, 3x3), last transform: the 16 products m of each window to its 2 x 2 results A' m A, with
// A' = [1 1 1 0; 0 1 -1 -1]. One invocation computes four channels of one window. See winograd_input.wgsl for the
// order of windows.

alias StoredC = vec4f;  // @param  4 elements of `destination` in memory: vec4f, or vec2u of halves

struct Uniforms {
  first_window: u32, windows: u32,  // that are transformed, of those of all images
  windows_h: u32, windows_w: u32,   // in a column and a row of an image
  to_h: u32, to_w: u32, to_c4: u32,
  dilation_h: u32, dilation_w: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> products: array<vec4f>;  // [16, windows, channels]
@group(0) @binding(2) var<storage, read_write> destination: array<StoredC>;

fn narrow(v: vec4f) -> StoredC { return v; }  // @param

fn first_pixel(window: u32, dilation: u32) -> u32 {
  return window / dilation * 2u * dilation + window % dilation;
}

fn load_row(y: u32, i: u32) -> mat4x4f {
  let size = u.windows * u.to_c4;
  let at = 4u * y * size + i;
  return mat4x4f(products[at], products[at + size], products[at + 2u * size], products[at + 3u * size]);
}

fn store_row(image: u32, row: u32, column: u32, c4: u32, m: mat4x4f) {
  if (row >= u.to_h) { return; }
  let start = (image * u.to_h + row) * u.to_w;
  if (column < u.to_w) { destination[(start + column) * u.to_c4 + c4] = narrow(m[0] + m[1] + m[2]); }
  let next = column + u.dilation_w;
  if (next < u.to_w) { destination[(start + next) * u.to_c4 + c4] = narrow(m[1] - m[2] - m[3]); }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.windows * u.to_c4) { return; }
  let c4 = i % u.to_c4;
  let window = u.first_window + i / u.to_c4;
  let column = first_pixel(window % u.windows_w, u.dilation_w);
  let row = first_pixel(window / u.windows_w % u.windows_h, u.dilation_h);
  let image = window / (u.windows_w * u.windows_h);
  let m0 = load_row(0u, i);
  let m1 = load_row(1u, i);
  let m2 = load_row(2u, i);
  let m3 = load_row(3u, i);
  store_row(image, row, column, c4, m0 + m1 + m2);
  store_row(image, row + u.dilation_h, column, c4, m1 - m2 - m3);
}
