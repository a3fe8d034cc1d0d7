// Gradient of a 2-D convolution with respect to its filter: one invocation computes one weight, a sum over all
// output pixels.

alias StoredA = f32;  // @param  elements of `x` in memory: f32, or u32 of two halves
alias StoredB = f32;  // @param  of `dy`
alias StoredC = f32;  // @param  of `dfilter`: an invocation writes one

struct Uniforms {
  words: u32,  // that are written
  batches: u32, in_h: u32, in_w: u32, in_c: u32, out_h: u32, out_w: u32, out_c: u32,
  kernel_h: u32, kernel_w: u32, stride_h: u32, stride_w: u32, dilation_h: u32, dilation_w: u32,
  pad_top: u32, pad_left: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredA>;
@group(0) @binding(2) var<storage, read> dy: array<StoredB>;
@group(0) @binding(3) var<storage, read_write> dfilter: array<StoredC>;

fn load_a(i: u32) -> f32 { return x[i]; }  // @param
fn load_b(i: u32) -> f32 { return dy[i]; }  // @param
fn stored(i: u32) -> StoredC { return element(i); }  // @param

fn element(i: u32) -> f32 {
  let channel_out = i % u.out_c;
  let channel_in = i / u.out_c % u.in_c;
  let kx = i / (u.out_c * u.in_c) % u.kernel_w;
  let ky = i / (u.out_c * u.in_c * u.kernel_w);

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
        let gradient = load_b((row * u.out_w + out_x) * u.out_c + channel_out);
        total += load_a((in_row + in_x) * u.in_c + channel_in) * gradient;
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
  dfilter[i] = stored(i);
}
