// Input gradient of a depthwise 3x3 convolution of stride 2. Counted from the corner of the padding, pixels of dx at even
// rows are read through the first and the last row of the filter, those at odd rows through the middle one; columns
// likewise. An invocation goes down a strip of 4 columns of dx, two rows at a time, and reads each row of dy once.

alias V = f32;  // @param  f32, or vec4f for four channels an invocation

struct Uniforms {
  count: u32,                         // invocations
  channels: u32,                      // in units of V
  in_h: u32, in_w: u32, out_h: u32, out_w: u32,
  strips_h: u32, strips_w: u32,       // of one image
  rows: u32,                          // of dy that a strip goes down: half as many as of dx
  first_row: u32, first_column: u32,  // of dy that the first pixel of dx belongs to
  pad_top: u32, pad_left: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> dy: array<V>;
@group(0) @binding(2) var<storage, read> weights: array<V>;
@group(0) @binding(3) var<storage, read_write> dx: array<V>;

// What a strip reads of a row of dy: the two columns that its own belong to, and the one before.
struct Row { before: V, left: V, right: V }

// The column before the first wraps to a huge number.
fn load(start: u32, column: u32, inside_row: bool) -> V {
  let inside = inside_row & (column < u.out_w);
  return select(V(0.0), dy[start + select(0u, column, inside) * u.channels], inside);
}

fn load_row(image: u32, row: u32, column: u32, channel: u32) -> Row {
  let inside = row < u.out_h;
  let start = (image * u.out_h + select(0u, row, inside)) * u.out_w * u.channels + channel;
  return Row(
    load(start, column - 1u, inside), load(start, column, inside), load(start, column + 1u, inside),
  );
}

// A row of the filter.
struct Taps { t0: V, t1: V, t2: V }

fn load_taps(row: u32, channel: u32) -> Taps {
  let at = 3u * row * u.channels + channel;
  return Taps(weights[at], weights[at + u.channels], weights[at + 2u * u.channels]);
}

// A row of a strip.
struct Sums { c0: V, c1: V, c2: V, c3: V }

fn add(sums: Sums, row: Row, k: Taps) -> Sums {
  return Sums(
    sums.c0 + row.left * k.t0 + row.before * k.t2,
    sums.c1 + row.left * k.t1,
    sums.c2 + row.right * k.t0 + row.left * k.t2,
    sums.c3 + row.right * k.t1,
  );
}

fn store(image: u32, row: u32, column: u32, channel: u32, sums: Sums) {
  if (row >= u.in_h) { return; }
  let at = ((image * u.in_h + row) * u.in_w + column) * u.channels + channel;
  if (column < u.in_w) { dx[at] = sums.c0; }
  if (column + 1u < u.in_w) { dx[at + u.channels] = sums.c1; }
  if (column + 2u < u.in_w) { dx[at + 2u * u.channels] = sums.c2; }
  if (column + 3u < u.in_w) { dx[at + 3u * u.channels] = sums.c3; }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let strip = index / u.channels;
  let channel = index - strip * u.channels;
  let image = strip / (u.strips_w * u.strips_h);
  let out_column = u.first_column + strip % u.strips_w * 2u;
  let out_row = u.first_row + strip / u.strips_w % u.strips_h * u.rows;
  let in_column = 2u * out_column - u.pad_left;  // the first may lie in the padding: that wraps to a huge number
  let k0 = load_taps(0u, channel);
  let k1 = load_taps(1u, channel);
  let k2 = load_taps(2u, channel);

  var above = load_row(image, out_row - 1u, out_column, channel);
  for (var row = out_row; row < out_row + u.rows; row++) {
    let here = load_row(image, row, out_column, channel);
    let in_row = 2u * row - u.pad_top;
    store(image, in_row, in_column, channel, add(add(Sums(), here, k0), above, k2));
    store(image, in_row + 1u, in_column, channel, add(Sums(), here, k1));
    above = here;
  }
}
