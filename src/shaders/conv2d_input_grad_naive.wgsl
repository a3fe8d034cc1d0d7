// Gradient of a 2-D convolution with respect to its input, in gather form: one invocation computes one channel of
// one input pixel from all the output pixels that read it.

alias StoredA = f32;  // @param  elements of `dy` in memory: f32, or u32 of two halves
alias StoredB = f32;  // @param  of `filter_`
alias StoredC = f32;  // @param  of `dx`: an invocation writes one

struct Uniforms {
  words: u32,  // that are written
  batches: u32, in_h: u32, in_w: u32, in_c: u32, out_h: u32, out_w: u32, out_c: u32,
  kernel_h: u32, kernel_w: u32, stride_h: u32, stride_w: u32, dilation_h: u32, dilation_w: u32,
  pad_top: u32, pad_left: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> dy: array<StoredA>;
@group(0) @binding(2) var<storage, read> filter_: array<StoredB>;
@group(0) @binding(3) var<storage, read_write> dx: array<StoredC>;

fn load_a(i: u32) -> f32 { return dy[i]; }  // @param
fn load_b(i: u32) -> f32 { return filter_[i]; }  // @param
fn stored(i: u32) -> StoredC { return element(i); }  // @param

fn element(i: u32) -> f32 {
  let channel = i % u.in_c;
  let in_x = i / u.in_c % u.in_w;
  let in_y = i / (u.in_c * u.in_w) % u.in_h;
  let image = i / (u.in_c * u.in_w * u.in_h);

  var total = 0.0;
  for (var ky = 0u; ky < u.kernel_h; ky++) {
    // Distance from the first row of the padded image; negative wraps to a huge number, which no output row reaches.
    let from_top = in_y + u.pad_top - ky * u.dilation_h;
    let out_y = from_top / u.stride_h;
    if ((out_y * u.stride_h != from_top) | (out_y >= u.out_h)) { continue; }
    for (var kx = 0u; kx < u.kernel_w; kx++) {
      let from_left = in_x + u.pad_left - kx * u.dilation_w;
      let out_x = from_left / u.stride_w;
      if ((out_x * u.stride_w != from_left) | (out_x >= u.out_w)) { continue; }
      let pixel = ((image * u.out_h + out_y) * u.out_w + out_x) * u.out_c;
      let weights = ((ky * u.kernel_w + kx) * u.in_c + channel) * u.out_c;
      for (var c = 0u; c < u.out_c; c++) {
        total += load_a(pixel + c) * load_b(weights + c);
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
  dx[i] = stored(i);
}
