// Depthwise 3x3 convolution, or its input gradient. An invocation goes down a strip of 4 columns of the destination and
// reads each row of the source once: a row adds to the three rows of the destination whose windows it lies in (at stride 2
// to one or two), and the uppermost of them is then finished.
//
// Where taps are `step` pixels apart, so are the rows and columns of a strip. Strips are counted by (strip within its
// phase, phase): 4 * step columns further begins the next strip of the same phase.

alias V = f32;  // @param  f32, or vec4f for four channels an invocation
const STRIDE: u32 = 1u;  // @param  1, or 2 where step is 1

// Rows of the source that are read before the first row of a strip is finished.
const LAG: u32 = 3u - STRIDE;

struct Uniforms {
  count: u32,                           // invocations
  channels: u32,                        // in units of V
  from_h: u32, from_w: u32,             // source image
  to_h: u32, to_w: u32,                 // destination image
  strips_h: u32, strips_w: u32,         // of one image
  rows: u32,                            // of a strip
  step_h: u32, step_w: u32,
  origin_row: i32, origin_column: i32,  // source pixel under the first tap of destination pixel (0, 0)
  first_tap: u32, tap_step: i32,        // the order of the taps, reversed for the gradient
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<V>;
@group(0) @binding(2) var<storage, read> weights: array<V>;
@group(0) @binding(3) var<storage, read_write> destination: array<V>;

// A column of the source: where it begins in a row, and whether it lies in the image.
struct Column { offset: u32, inside: bool }
struct Columns {
  c0: Column, c1: Column, c2: Column, c3: Column, c4: Column, c5: Column, c6: Column, c7: Column, c8: Column,
}

fn column(first: i32, position: i32, channel: u32) -> Column {
  let at = u32(first + position * i32(u.step_w));  // negative ones wrap to huge ones
  let inside = at < u.from_w;
  return Column(select(0u, at, inside) * u.channels + channel, inside);
}

// What a strip reads of a row of the source: 6 columns, or 9 at stride 2.
struct Row { c0: V, c1: V, c2: V, c3: V, c4: V, c5: V, c6: V, c7: V, c8: V }

fn load_row(image: u32, row: i32, at: Columns) -> Row {
  let inside = u32(row) < u.from_h;
  let start = (image * u.from_h + select(0u, u32(row), inside)) * u.from_w * u.channels;
  var values: Row;
  values.c0 = select(V(0.0), source[start + at.c0.offset], inside & at.c0.inside);
  values.c1 = select(V(0.0), source[start + at.c1.offset], inside & at.c1.inside);
  values.c2 = select(V(0.0), source[start + at.c2.offset], inside & at.c2.inside);
  values.c3 = select(V(0.0), source[start + at.c3.offset], inside & at.c3.inside);
  values.c4 = select(V(0.0), source[start + at.c4.offset], inside & at.c4.inside);
  values.c5 = select(V(0.0), source[start + at.c5.offset], inside & at.c5.inside);
  if (STRIDE == 2u) {
    values.c6 = select(V(0.0), source[start + at.c6.offset], inside & at.c6.inside);
    values.c7 = select(V(0.0), source[start + at.c7.offset], inside & at.c7.inside);
    values.c8 = select(V(0.0), source[start + at.c8.offset], inside & at.c8.inside);
  }
  return values;
}

// A row of the filter.
struct Taps { t0: V, t1: V, t2: V }

fn load_taps(row: i32, channel: u32) -> Taps {
  let first = i32(u.first_tap) + 3 * row * u.tap_step;
  return Taps(
    weights[u32(first) * u.channels + channel],
    weights[u32(first + u.tap_step) * u.channels + channel],
    weights[u32(first + 2 * u.tap_step) * u.channels + channel],
  );
}

// A row of a strip.
struct Sums { c0: V, c1: V, c2: V, c3: V }

fn add(sums: Sums, row: Row, k: Taps) -> Sums {
  if (STRIDE == 2u) {
    return Sums(
      sums.c0 + row.c0 * k.t0 + row.c1 * k.t1 + row.c2 * k.t2,
      sums.c1 + row.c2 * k.t0 + row.c3 * k.t1 + row.c4 * k.t2,
      sums.c2 + row.c4 * k.t0 + row.c5 * k.t1 + row.c6 * k.t2,
      sums.c3 + row.c6 * k.t0 + row.c7 * k.t1 + row.c8 * k.t2,
    );
  }
  return Sums(
    sums.c0 + row.c0 * k.t0 + row.c1 * k.t1 + row.c2 * k.t2,
    sums.c1 + row.c1 * k.t0 + row.c2 * k.t1 + row.c3 * k.t2,
    sums.c2 + row.c2 * k.t0 + row.c3 * k.t1 + row.c4 * k.t2,
    sums.c3 + row.c3 * k.t0 + row.c4 * k.t1 + row.c5 * k.t2,
  );
}

fn store(image: u32, row: u32, column: u32, channel: u32, sums: Sums) {
  let at = ((image * u.to_h + row) * u.to_w + column) * u.channels + channel;
  let next = u.step_w * u.channels;
  destination[at] = sums.c0;
  if (column + u.step_w < u.to_w) { destination[at + next] = sums.c1; }
  if (column + 2u * u.step_w < u.to_w) { destination[at + 2u * next] = sums.c2; }
  if (column + 3u * u.step_w < u.to_w) { destination[at + 3u * next] = sums.c3; }
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
  let across = strip % u.strips_w;
  let down = strip / u.strips_w % u.strips_h;
  let image = strip / (u.strips_w * u.strips_h);
  let to_column = across / u.step_w * 4u * u.step_w + across % u.step_w;
  let to_row = down / u.step_h * u.rows * u.step_h + down % u.step_h;
  // Nothing is left of a phase that is shorter than the others.
  if ((to_column >= u.to_w) | (to_row >= u.to_h)) { return; }

  let first = i32(to_column * STRIDE) + u.origin_column;
  var columns: Columns;
  columns.c0 = column(first, 0, channel);
  columns.c1 = column(first, 1, channel);
  columns.c2 = column(first, 2, channel);
  columns.c3 = column(first, 3, channel);
  columns.c4 = column(first, 4, channel);
  columns.c5 = column(first, 5, channel);
  if (STRIDE == 2u) {
    columns.c6 = column(first, 6, channel);
    columns.c7 = column(first, 7, channel);
    columns.c8 = column(first, 8, channel);
  }
  let k0 = load_taps(0, channel);
  let k1 = load_taps(1, channel);
  let k2 = load_taps(2, channel);

  var upper = Sums();  // the row that lacks only its third tap row
  var lower = Sums();  // the row below, which lacks two
  var from_row = i32(to_row * STRIDE) + u.origin_row;
  for (var i = 0u; i < u.rows + LAG; i++) {
    let even = load_row(image, from_row, columns);
    from_row += i32(u.step_h);
    let done = add(upper, even, k2);
    if (STRIDE == 2u) {
      let odd = load_row(image, from_row, columns);
      from_row += i32(u.step_h);
      upper = add(add(Sums(), even, k0), odd, k1);
    } else {
      upper = add(lower, even, k1);
      lower = add(Sums(), even, k0);
    }
    let row = to_row + (i - LAG) * u.step_h;
    if ((i >= LAG) & (row < u.to_h)) { store(image, row, to_column, channel, done); }
  }
}
