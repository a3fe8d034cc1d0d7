// Nearest-neighbour resize of [N,H,W,C]: copies the bits of the source pixel, whatever the element type.
alias V = u32;  // @param

struct Uniforms {
  count: u32, height: u32, width: u32, channels: u32, pitch: u32, outHeight: u32, outWidth: u32, run: u32, runs: u32,
  // pitch: from one pixel of the resized image to the next, whose channels may be some of a wider value's
  scaleH: i32, offsetH: i32, denominatorH: i32, scaleW: i32, offsetW: i32, denominatorW: i32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let pixel = index / u.runs;
  let firstChannel = (index - pixel * u.runs) * u.run;
  let row = pixel / u.outWidth;
  let image = row / u.outHeight;
  let h = (u.scaleH * i32(row - image * u.outHeight) + u.offsetH) / u.denominatorH;
  let w = (u.scaleW * i32(pixel - row * u.outWidth) + u.offsetW) / u.denominatorW;
  let source = ((image * u.height + u32(h)) * u.width + u32(w)) * u.channels;
  for (var c = firstChannel; c < min(firstChannel + u.run, u.channels); c++) {
    y[pixel * u.pitch + c] = x[source + c];
  }
}
