// Bilinear resize of [N,H,W,C]. A source coordinate is the fraction (scale * o + offset) / denominator, kept in
// integers: exact at any size, where f32 coordinates would lose digits to the right of the pixel.
alias V = f32;  // @param
alias S = f32;  // @param  how V is stored: as it is, or as four halves in two words
fn widen(v: S) -> V { return v; }  // @param
fn narrow(v: V) -> S { return v; }  // @param

struct Uniforms {
  count: u32, height: u32, width: u32, channels: u32, pitch: u32, outHeight: u32, outWidth: u32, run: u32, runs: u32,
  // pitch: from one pixel of the resized image to the next, whose channels may be some of a wider value's
  scaleH: i32, offsetH: i32, denominatorH: i32, scaleW: i32, offsetW: i32, denominatorW: i32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<S>;
@group(0) @binding(2) var<storage, read_write> y: array<S>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let pixel = index / u.runs;
  let firstChannel = (index - pixel * u.runs) * u.run;
  let row = pixel / u.outWidth;
  let image = row / u.outHeight;
  let sourceH = clamp(u.scaleH * i32(row - image * u.outHeight) + u.offsetH, 0, i32(u.height - 1u) * u.denominatorH);
  let sourceW = clamp(u.scaleW * i32(pixel - row * u.outWidth) + u.offsetW, 0, i32(u.width - 1u) * u.denominatorW);
  let h0 = sourceH / u.denominatorH;
  let w0 = sourceW / u.denominatorW;
  let down = f32(sourceH - h0 * u.denominatorH) / f32(u.denominatorH);
  let right = f32(sourceW - w0 * u.denominatorW) / f32(u.denominatorW);
  let stepDown = select(0u, u.width * u.channels, u32(h0) + 1u < u.height);
  let stepRight = select(0u, u.channels, u32(w0) + 1u < u.width);
  let corner = ((image * u.height + u32(h0)) * u.width + u32(w0)) * u.channels;
  for (var c = firstChannel; c < min(firstChannel + u.run, u.channels); c++) {
    let at = corner + c;
    let a = widen(x[at]);
    let b = widen(x[at + stepRight]);
    let d = widen(x[at + stepDown]);
    let e = widen(x[at + stepDown + stepRight]);
    let upper = a + (b - a) * right;
    let lower = d + (e - d) * right;
    y[pixel * u.pitch + c] = narrow(upper + (lower - upper) * down);
  }
}
