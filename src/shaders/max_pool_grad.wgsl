// Gradient of max pooling by gathering: each input pixel visits the windows that contain it and takes the gradient
// of those it won. No two invocations write the same place, so there are no atomics and the order of sums is fixed.
alias V = f32;  // @param
alias S = f32;  // @param  how V is stored: as it is, or as four halves in two words
fn widen(v: S) -> V { return v; }  // @param
fn narrow(v: V) -> S { return v; }  // @param
alias I = i32;  // @param

struct Uniforms {
  count: u32, height: u32, width: u32, channels: u32, pitch: u32, outHeight: u32, outWidth: u32, run: u32, runs: u32,
  // pitch: from one pixel of the image to the next, whose channels may be some of a wider value's
  sizeH: i32, sizeW: i32, strideH: i32, strideW: i32, padTop: i32, padLeft: i32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> dy: array<S>;
@group(0) @binding(2) var<storage, read> winner: array<I>;
@group(0) @binding(3) var<storage, read_write> dx: array<S>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let pixel = index / u.runs;
  let firstChannel = (index - pixel * u.runs) * u.run;
  let row = pixel / u.width;
  let image = row / u.height;
  let fromTop = i32(row - image * u.height) + u.padTop;
  let fromLeft = i32(pixel - row * u.width) + u.padLeft;
  let here = I(i32(pixel - image * u.height * u.width));
  // Windows o with o * stride <= from < o * stride + size.
  let h0 = u32(max(fromTop - u.sizeH + u.strideH, 0) / u.strideH);
  let w0 = u32(max(fromLeft - u.sizeW + u.strideW, 0) / u.strideW);
  let h1 = min(u32(fromTop / u.strideH) + 1u, u.outHeight);
  let w1 = min(u32(fromLeft / u.strideW) + 1u, u.outWidth);
  for (var c = firstChannel; c < min(firstChannel + u.run, u.channels); c++) {
    let base = image * u.outHeight * u.outWidth * u.channels + c;
    var sum = V();
    for (var h = h0; h < h1; h++) {
      var at = base + (h * u.outWidth + w0) * u.channels;
      for (var w = w0; w < w1; w++) {
        sum += select(V(), widen(dy[at]), winner[at] == here);
        at += u.channels;
      }
    }
    dx[pixel * u.pitch + c] = narrow(sum);
  }
}
