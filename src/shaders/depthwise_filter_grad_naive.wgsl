// Gradient of a depthwise convolution with respect to its filter: one invocation computes one weight, a sum over all
// output pixels.

struct Uniforms {
  batches: u32, in_h: u32, in_w: u32, in_c: u32, out_h: u32, out_w: u32, out_c: u32, multiplier: u32,
  kernel_h: u32, kernel_w: u32, stride_h: u32, stride_w: u32, dilation_h: u32, dilation_w: u32,
  pad_top: u32, pad_left: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dfilter: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.kernel_h * u.kernel_w * u.out_c) { return; }
  let channel_out = i % u.out_c;
  let channel_in = channel_out / u.multiplier;
  let kx = i / u.out_c % u.kernel_w;
  let ky = i / (u.out_c * u.kernel_w);

  var total = 0.0;
  for (var row = 0u; row < u.batches * u.out_h; row++) {
    let image = row / u.out_h;
    // Outside of the image this is, or wraps to, a number past its end.
    let in_y = (row - image * u.out_h) * u.stride_h + ky * u.dilation_h - u.pad_top;
    if (in_y >= u.in_h) { continue; }
    let in_row = (image * u.in_h + in_y) * u.in_w;
    for (var out_x = 0u; out_x < u.out_w; out_x++) {
      let in_x = out_x * u.stride_w + kx * u.dilation_w - u.pad_left;
      if (in_x < u.in_w) {
        total += x[(in_row + in_x) * u.in_c + channel_in] * dy[(row * u.out_w + out_x) * u.out_c + channel_out];
      }
    }
  }
  dfilter[i] = total;
}
