// Gradient of a depthwise 3x3 convolution's filter. An invocation goes down a strip of 4 columns of dy, as in
// depthwise_window.wgsl (read that first), and reads each row of x once: it is multiplied with the three rows of dy whose
// windows it lies in (at stride 2 with one or two).
//
// Each strip writes its nine sums, for sum_partials.wgsl.

alias V = f32;  // @param  f32, or vec4f for four channels an invocation
const STRIDE: u32 = 1u;  // @param  1, or 2 where step is 1

// Rows of x that are read after the last row of a strip.
const LAG: u32 = 3u - STRIDE;

struct Uniforms {
  count: u32,                           // invocations
  channels: u32,                        // in units of V
  in_h: u32, in_w: u32, out_h: u32, out_w: u32,
  strips_h: u32, strips_w: u32,         // of one image
  rows: u32,                            // of a strip
  step_h: u32, step_w: u32,
  origin_row: i32, origin_column: i32,  // pixel of x under the first tap of pixel (0, 0) of dy
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read> dy: array<V>;
@group(0) @binding(3) var<storage, read_write> partials: array<V>;  // [strips of all images, 9, channels]

// A column of an image: where it begins in a row, and whether it lies in the image.
struct Column { offset: u32, inside: bool }
struct Columns {
  c0: Column, c1: Column, c2: Column, c3: Column, c4: Column, c5: Column, c6: Column, c7: Column, c8: Column,
}
struct FourColumns { c0: Column, c1: Column, c2: Column, c3: Column }

fn column(first: i32, position: i32, extent: u32, channel: u32) -> Column {
  let at = u32(first + position * i32(u.step_w));  // negative ones wrap to huge ones
  let inside = at < extent;
  return Column(select(0u, at, inside) * u.channels + channel, inside);
}

// What a strip reads of a row of x: 6 columns, or 9 at stride 2.
struct Row { c0: V, c1: V, c2: V, c3: V, c4: V, c5: V, c6: V, c7: V, c8: V }

fn load_x(image: u32, row: i32, at: Columns) -> Row {
  let inside = u32(row) < u.in_h;
  let start = (image * u.in_h + select(0u, u32(row), inside)) * u.in_w * u.channels;
  var values: Row;
  values.c0 = select(V(0.0), x[start + at.c0.offset], inside & at.c0.inside);
  values.c1 = select(V(0.0), x[start + at.c1.offset], inside & at.c1.inside);
  values.c2 = select(V(0.0), x[start + at.c2.offset], inside & at.c2.inside);
  values.c3 = select(V(0.0), x[start + at.c3.offset], inside & at.c3.inside);
  values.c4 = select(V(0.0), x[start + at.c4.offset], inside & at.c4.inside);
  values.c5 = select(V(0.0), x[start + at.c5.offset], inside & at.c5.inside);
  if (STRIDE == 2u) {
    values.c6 = select(V(0.0), x[start + at.c6.offset], inside & at.c6.inside);
    values.c7 = select(V(0.0), x[start + at.c7.offset], inside & at.c7.inside);
    values.c8 = select(V(0.0), x[start + at.c8.offset], inside & at.c8.inside);
  }
  return values;
}

// A row of a strip of dy.
struct Four { c0: V, c1: V, c2: V, c3: V }

fn load_dy(image: u32, row: u32, inside: bool, at: FourColumns) -> Four {
  let start = (image * u.out_h + select(0u, row, inside)) * u.out_w * u.channels;
  return Four(
    select(V(0.0), dy[start + at.c0.offset], inside & at.c0.inside),
    select(V(0.0), dy[start + at.c1.offset], inside & at.c1.inside),
    select(V(0.0), dy[start + at.c2.offset], inside & at.c2.inside),
    select(V(0.0), dy[start + at.c3.offset], inside & at.c3.inside),
  );
}

// Gradient of a row of the filter.
struct Sums { t0: V, t1: V, t2: V }

fn add(sums: Sums, row: Row, d: Four) -> Sums {
  if (STRIDE == 2u) {
    return Sums(
      sums.t0 + row.c0 * d.c0 + row.c2 * d.c1 + row.c4 * d.c2 + row.c6 * d.c3,
      sums.t1 + row.c1 * d.c0 + row.c3 * d.c1 + row.c5 * d.c2 + row.c7 * d.c3,
      sums.t2 + row.c2 * d.c0 + row.c4 * d.c1 + row.c6 * d.c2 + row.c8 * d.c3,
    );
  }
  return Sums(
    sums.t0 + row.c0 * d.c0 + row.c1 * d.c1 + row.c2 * d.c2 + row.c3 * d.c3,
    sums.t1 + row.c1 * d.c0 + row.c2 * d.c1 + row.c3 * d.c2 + row.c4 * d.c3,
    sums.t2 + row.c2 * d.c0 + row.c3 * d.c1 + row.c4 * d.c2 + row.c5 * d.c3,
  );
}

fn store(strip: u32, row: u32, channel: u32, sums: Sums) {
  let at = (strip * 9u + row * 3u) * u.channels + channel;
  partials[at] = sums.t0;
  partials[at + u.channels] = sums.t1;
  partials[at + 2u * u.channels] = sums.t2;
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
  let out_column = across / u.step_w * 4u * u.step_w + across % u.step_w;
  let out_row = down / u.step_h * u.rows * u.step_h + down % u.step_h;

  let first = i32(out_column * STRIDE) + u.origin_column;
  var columns: Columns;
  columns.c0 = column(first, 0, u.in_w, channel);
  columns.c1 = column(first, 1, u.in_w, channel);
  columns.c2 = column(first, 2, u.in_w, channel);
  columns.c3 = column(first, 3, u.in_w, channel);
  columns.c4 = column(first, 4, u.in_w, channel);
  columns.c5 = column(first, 5, u.in_w, channel);
  if (STRIDE == 2u) {
    columns.c6 = column(first, 6, u.in_w, channel);
    columns.c7 = column(first, 7, u.in_w, channel);
    columns.c8 = column(first, 8, u.in_w, channel);
  }
  let out_columns = FourColumns(
    column(i32(out_column), 0, u.out_w, channel),
    column(i32(out_column), 1, u.out_w, channel),
    column(i32(out_column), 2, u.out_w, channel),
    column(i32(out_column), 3, u.out_w, channel),
  );

  var sums0 = Sums();
  var sums1 = Sums();
  var sums2 = Sums();
  var above = Four();   // the row of dy before this one
  var higher = Four();  // and the one before that
  var in_row = i32(out_row * STRIDE) + u.origin_row;
  for (var i = 0u; i < u.rows + LAG; i++) {
    let even = load_x(image, in_row, columns);
    in_row += i32(u.step_h);
    let row = out_row + i * u.step_h;
    let here = load_dy(image, row, (i < u.rows) & (row < u.out_h), out_columns);
    sums0 = add(sums0, even, here);
    if (STRIDE == 2u) {
      let odd = load_x(image, in_row, columns);
      in_row += i32(u.step_h);
      sums1 = add(sums1, odd, here);
      sums2 = add(sums2, even, above);
    } else {
      sums1 = add(sums1, even, above);
      sums2 = add(sums2, even, higher);
      higher = above;
    }
    above = here;
  }
  store(strip, 0u, channel, sums0);
  store(strip, 1u, channel, sums1);
  store(strip, 2u, channel, sums2);
}
