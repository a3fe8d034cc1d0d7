// Max pooling over [N,H,W,C]: an invocation computes `run` neighbouring channels (or groups of four) of one output
// pixel. The window is clipped to the image beforehand, so the loops need no test, and padding never wins.
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
@group(0) @binding(1) var<storage, read> x: array<S>;
@group(0) @binding(2) var<storage, read_write> y: array<S>;
@group(0) @binding(3) var<storage, read_write> winner: array<I>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let pixel = index / u.runs;
  let firstChannel = (index - pixel * u.runs) * u.run;
  let row = pixel / u.outWidth;
  let image = row / u.outHeight;
  let top = i32(row - image * u.outHeight) * u.strideH - u.padTop;
  let left = i32(pixel - row * u.outWidth) * u.strideW - u.padLeft;
  let h0 = u32(max(top, 0));
  let w0 = u32(max(left, 0));
  let h1 = u32(min(top + u.sizeH, i32(u.height)));
  let w1 = u32(min(left + u.sizeW, i32(u.width)));
  for (var c = firstChannel; c < min(firstChannel + u.run, u.channels); c++) {
    let base = image * u.height * u.width * u.pitch + c;
    var best = widen(x[base + (h0 * u.width + w0) * u.pitch]);
    var place = I(i32(h0 * u.width + w0));
    for (var h = h0; h < h1; h++) {
      var at = base + (h * u.width + w0) * u.pitch;
      for (var w = w0; w < w1; w++) {
        let value = widen(x[at]);
        let better = value > best;
        best = select(best, value, better);
        place = select(place, I(i32(h * u.width + w)), better);
        at += u.pitch;
      }
    }
    y[pixel * u.channels + c] = narrow(best);
    winner[pixel * u.channels + c] = place;
  }
}
