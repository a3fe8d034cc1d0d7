// Depthwise convolution, or its input gradient, of any size, stride and dilation: an invocation computes 4 neighbouring
// pixels of the destination's lattice, tap by tap.
//
// Both directions gather: through tap (i, j), pixel (row, column) of the lattice reads the source pixel
// (row * scan_row + shift_row + i * shift_row_step, ...). See conv_lattice.ts for how a convolution and its input
// gradient, stride and dilation become such lattices.

alias V = f32;  // @param  f32, or vec4f for four channels an invocation

struct Uniforms {
  count: u32,                // invocations
  channels: u32,             // in units of V
  batches: u32,
  from_h: u32, from_w: u32,  // source image
  to_h: u32, to_w: u32,      // destination image
  // The lattice of destination pixels: its size, and where in the image it starts and how it goes on.
  rows: u32, columns: u32, first_row: u32, first_column: u32, row_step: u32, column_step: u32,
  scan_row: i32, scan_column: i32,
  shift_row: i32, shift_column: i32, shift_row_step: i32, shift_column_step: i32,
  taps_h: u32, taps_w: u32,
  first_tap: u32, tap_step_h: u32, tap_step_w: u32,  // positions in the filter
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> source: array<V>;
@group(0) @binding(2) var<storage, read> weights: array<V>;
@group(0) @binding(3) var<storage, read_write> destination: array<V>;

// `start` is the first element of a row of the source, plus the channel.
fn load(start: u32, column: i32) -> V {
  let inside = u32(column) < u.from_w;  // negative ones wrap to huge ones
  return select(V(0.0), source[start + select(0u, u32(column), inside) * u.channels], inside);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let fours = (u.columns + 3u) / 4u;
  let channel = index % u.channels;
  let column = index / u.channels % fours * 4u;
  let row = index / (u.channels * fours) % u.rows;
  let image = index / (u.channels * fours * u.rows);

  var sum0 = V(0.0);
  var sum1 = V(0.0);
  var sum2 = V(0.0);
  var sum3 = V(0.0);
  for (var i = 0u; i < u.taps_h; i++) {
    let from_row = i32(row) * u.scan_row + u.shift_row + i32(i) * u.shift_row_step;
    if (u32(from_row) >= u.from_h) { continue; }
    let start = (image * u.from_h + u32(from_row)) * u.from_w * u.channels + channel;
    var at = i32(column) * u.scan_column + u.shift_column;
    var tap = (u.first_tap + i * u.tap_step_h) * u.channels + channel;
    for (var j = 0u; j < u.taps_w; j++) {
      let weight = weights[tap];
      sum0 += load(start, at) * weight;
      sum1 += load(start, at + u.scan_column) * weight;
      sum2 += load(start, at + 2 * u.scan_column) * weight;
      sum3 += load(start, at + 3 * u.scan_column) * weight;
      at += u.shift_column_step;
      tap += u.tap_step_w * u.channels;
    }
  }

  let to_row = (image * u.to_h + u.first_row + row * u.row_step) * u.to_w + u.first_column;
  let to = (to_row + column * u.column_step) * u.channels + channel;
  let next = u.column_step * u.channels;
  destination[to] = sum0;
  if (column + 1u < u.columns) { destination[to + next] = sum1; }
  if (column + 2u < u.columns) { destination[to + 2u * next] = sum2; }
  if (column + 3u < u.columns) { destination[to + 3u * next] = sum3; }
}
