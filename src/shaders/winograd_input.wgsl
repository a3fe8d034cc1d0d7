// Winograd's F(2x2, 3x3), second transform: overlapping 4 x 4 windows d of the source image to 16 values B' d B, with
// B' = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]. One invocation transforms four channels of one window.
//
// Where taps are `dilation` pixels apart, so are the pixels of a window. Rows of windows are counted by (row within
// its phase, phase), columns likewise: window 2 * dilation pixels further is the next of the same phase.

alias StoredA = vec4f;  // @param  4 elements of `source` in memory: vec4f, or vec2u of halves

struct Uniforms {
  first_window: u32, windows: u32,  // that are transformed, of those of all images
  windows_h: u32, windows_w: u32,   // in a column and a row of an image
  first_c4: u32, channels4: u32,    // that are transformed
  from_h: u32, from_w: u32, from_c4: u32,
  dilation_h: u32, dilation_w: u32,
  origin_row: i32, origin_column: i32,  // of the first window
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<StoredA>;
@group(0) @binding(2) var<storage, read_write> transformed: array<vec4f>;  // [16, windows, channels]

fn widen_a(v: StoredA) -> vec4f { return v; }  // @param

fn first_pixel(window: u32, dilation: u32, origin: i32) -> i32 {
  return i32(window / dilation * 2u * dilation + window % dilation) + origin;
}

fn load(image: u32, row: i32, column: i32, c4: u32) -> vec4f {
  let at = vec2u(vec2i(row, column));  // negative coordinates wrap to huge ones
  let inside = (at.x < u.from_h) & (at.y < u.from_w);
  let start = select(0u, ((image * u.from_h + at.x) * u.from_w + at.y) * u.from_c4, inside);
  return select(vec4f(0.0), widen_a(source[start + c4]), inside);
}

// A row of the window, times B: columns of the matrix are columns of the window.
fn load_row(image: u32, row: i32, column: i32, c4: u32) -> mat4x4f {
  let step = i32(u.dilation_w);
  let x0 = load(image, row, column, c4);
  let x1 = load(image, row, column + step, c4);
  let x2 = load(image, row, column + 2 * step, c4);
  let x3 = load(image, row, column + 3 * step, c4);
  return mat4x4f(x0 - x2, x1 + x2, x2 - x1, x1 - x3);
}

fn store_row(y: u32, i: u32, values: mat4x4f) {
  let size = u.windows * u.channels4;
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
  if (i >= u.windows * u.channels4) { return; }
  let c4 = u.first_c4 + i % u.channels4;
  let window = u.first_window + i / u.channels4;
  let column = first_pixel(window % u.windows_w, u.dilation_w, u.origin_column);
  let row = first_pixel(window / u.windows_w % u.windows_h, u.dilation_h, u.origin_row);
  let image = window / (u.windows_w * u.windows_h);
  let step = i32(u.dilation_h);
  let r0 = load_row(image, row, column, c4);
  let r1 = load_row(image, row + step, column, c4);
  let r2 = load_row(image, row + 2 * step, column, c4);
  let r3 = load_row(image, row + 3 * step, column, c4);
  store_row(0u, i, r0 - r2);
  store_row(1u, i, r1 + r2);
  store_row(2u, i, r2 - r1);
  store_row(3u, i, r1 - r3);
}
