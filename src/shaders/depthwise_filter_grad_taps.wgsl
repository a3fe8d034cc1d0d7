// Gradient of a depthwise convolution's filter, of any size, stride and dilation: an invocation sums one tap over some
// rows of dy. Each chunk of rows writes its sums, for sum_partials.wgsl.

alias V = f32;  // @param  f32, or vec4f for four channels an invocation

struct Uniforms {
  count: u32,     // invocations
  channels: u32,  // in units of V
  in_h: u32, in_w: u32, out_h: u32, out_w: u32,
  kernel_h: u32, kernel_w: u32, stride_h: u32, stride_w: u32, dilation_h: u32, dilation_w: u32,
  pad_top: u32, pad_left: u32,
  rows: u32, chunk: u32,  // output rows of all images, and of an invocation
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read> dy: array<V>;
@group(0) @binding(3) var<storage, read_write> partials: array<V>;  // [chunks, taps, channels]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let channel = index % u.channels;
  let tap = index / u.channels % (u.kernel_h * u.kernel_w);
  let first = index / (u.channels * u.kernel_h * u.kernel_w) * u.chunk;
  let ky = tap / u.kernel_w;
  let kx = tap % u.kernel_w;

  var sum = V(0.0);
  for (var row = first; row < min(first + u.chunk, u.rows); row++) {
    let image = row / u.out_h;
    // Outside of the image this is, or wraps to, a number past its end.
    let in_y = row % u.out_h * u.stride_h + ky * u.dilation_h - u.pad_top;
    if (in_y >= u.in_h) { continue; }
    let in_row = (image * u.in_h + in_y) * u.in_w;
    var in_x = kx * u.dilation_w - u.pad_left;
    var at = row * u.out_w * u.channels + channel;
    for (var out_x = 0u; out_x < u.out_w; out_x++) {
      let inside = in_x < u.in_w;
      let value = x[(in_row + select(0u, in_x, inside)) * u.channels + channel];
      sum += select(V(0.0), value, inside) * dy[at];
      in_x += u.stride_w;
      at += u.channels;
    }
  }
  partials[index] = sum;
}
