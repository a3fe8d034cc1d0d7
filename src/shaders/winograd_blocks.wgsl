// Winograd's F(3x3, 2x2), which filter gradients are, second transform: blocks g of 2 x 2 pixels of the gradient to 16 values
// G g G', with G = [1 0; 1/2 1/2; 1/2 -1/2; 0 1]. One invocation transforms four channels of one block. See
// winograd_input.wgsl for the order of blocks, which belong to its windows.

alias StoredB = vec4f;  // @param  4 elements of `source` in memory: vec4f, or vec2u of halves

struct Uniforms {
  windows: u32, windows_h: u32, windows_w: u32,  // of all images, and in a column and a row of one
  from_h: u32, from_w: u32, from_c4: u32,
  dilation_h: u32, dilation_w: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<StoredB>;
@group(0) @binding(2) var<storage, read_write> transformed: array<vec4f>;  // [16, windows, channels]

fn widen_b(v: StoredB) -> vec4f { return v; }  // @param

fn first_pixel(window: u32, dilation: u32) -> u32 {
  return window / dilation * 2u * dilation + window % dilation;
}

fn load(image: u32, row: u32, column: u32, c4: u32) -> vec4f {
  let inside = (row < u.from_h) & (column < u.from_w);
  let start = select(0u, ((image * u.from_h + row) * u.from_w + column) * u.from_c4, inside);
  return select(vec4f(0.0), widen_b(source[start + c4]), inside);
}

// A row of the block, times G'.
fn load_row(image: u32, row: u32, column: u32, c4: u32) -> mat4x4f {
  let g0 = load(image, row, column, c4);
  let g1 = load(image, row, column + u.dilation_w, c4);
  return mat4x4f(g0, 0.5 * (g0 + g1), 0.5 * (g0 - g1), g1);
}

fn store_row(y: u32, i: u32, values: mat4x4f) {
  let size = u.windows * u.from_c4;
  let at = 4u * y * size + i;
  transformed[at] = values[0];
  transformed[at + size] = values[1];
  transformed[at + 2u * size] = values[2];
  transformed[at + 3u * size] = values[3];
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.windows * u.from_c4) { return; }
  let c4 = i % u.from_c4;
  let window = i / u.from_c4;
  let column = first_pixel(window % u.windows_w, u.dilation_w);
  let row = first_pixel(window / u.windows_w % u.windows_h, u.dilation_h);
  let image = window / (u.windows_w * u.windows_h);
  let r0 = load_row(image, row, column, c4);
  let r1 = load_row(image, row + u.dilation_h, column, c4);
  store_row(0u, i, r0);
  store_row(1u, i, 0.5 * (r0 + r1));
  store_row(2u, i, 0.5 * (r0 - r1));
  store_row(3u, i, r1);
}
