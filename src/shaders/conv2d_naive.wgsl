// 2-D convolution, NHWC image and HWIO filter: one invocation computes one channel of one output pixel.

alias StoredA = f32;  // @param  elements of `x` in memory: f32, or u32 of two halves
alias StoredB = f32;  // @param  of `filter_`
alias StoredC = f32;  // @param  of `y`: an invocation writes one

struct Uniforms {
  words: u32,  // that are written
  batches: u32, in_h: u32, in_w: u32, in_c: u32, out_h: u32, out_w: u32, out_c: u32,
  kernel_h: u32, kernel_w: u32, stride_h: u32, stride_w: u32, dilation_h: u32, dilation_w: u32,
  pad_top: u32, pad_left: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredA>;
@group(0) @binding(2) var<storage, read> filter_: array<StoredB>;
@group(0) @binding(3) var<storage, read_write> y: array<StoredC>;

fn load_a(i: u32) -> f32 { return x[i]; }  // @param
fn load_b(i: u32) -> f32 { return filter_[i]; }  // @param
fn stored(i: u32) -> StoredC { return element(i); }  // @param

fn element(i: u32) -> f32 {
  let channel = i % u.out_c;
  let out_x = i / u.out_c % u.out_w;
  let out_y = i / (u.out_c * u.out_w) % u.out_h;
  let image = i / (u.out_c * u.out_w * u.out_h);

  var total = 0.0;
  for (var ky = 0u; ky < u.kernel_h; ky++) {
    // Left of or above the image, this wraps to a huge number, so that one comparison tests both ends.
    let in_y = out_y * u.stride_h + ky * u.dilation_h - u.pad_top;
    if (in_y >= u.in_h) { continue; }
    for (var kx = 0u; kx < u.kernel_w; kx++) {
      let in_x = out_x * u.stride_w + kx * u.dilation_w - u.pad_left;
      if (in_x >= u.in_w) { continue; }
      let pixel = ((image * u.in_h + in_y) * u.in_w + in_x) * u.in_c;
      let tap = (ky * u.kernel_w + kx) * u.in_c;
      for (var c = 0u; c < u.in_c; c++) {
        total += load_a(pixel + c) * load_b((tap + c) * u.out_c + channel);
      }
    }
  }
  return total;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.words) { return; }
  y[i] = stored(i);
}
