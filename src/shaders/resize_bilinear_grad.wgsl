// Gradient of bilinear resize by gathering: each input pixel visits the output pixels that read it, a rectangle
// found by inverting the source coordinate, and weighs them with the tent 1 - |source - here|.
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
@group(0) @binding(1) var<storage, read> dy: array<S>;
@group(0) @binding(2) var<storage, read_write> dx: array<S>;

// The first output whose source is at or beyond `edge` / denominator.
fn firstAt(edge: i32, scale: i32, offset: i32) -> i32 {
  return (max(edge - offset, 0) + scale - 1) / scale;
}

fn weight(o: i32, here: i32, extent: u32, scale: i32, offset: i32, denominator: i32) -> f32 {
  let source = clamp(scale * o + offset, 0, (i32(extent) - 1) * denominator);
  return f32(max(denominator - abs(source - here * denominator), 0)) / f32(denominator);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let pixel = index / u.runs;
  let firstChannel = (index - pixel * u.runs) * u.run;
  let row = pixel / u.width;
  let image = row / u.height;
  let hereH = i32(row - image * u.height);
  let hereW = i32(pixel - row * u.width);
  let h0 = firstAt((hereH - 1) * u.denominatorH, u.scaleH, u.offsetH);
  let w0 = firstAt((hereW - 1) * u.denominatorW, u.scaleW, u.offsetW);
  // The last row and column also serve the outputs beyond them, which the clamp pulls back.
  let lastH = hereH + 1 == i32(u.height);
  let lastW = hereW + 1 == i32(u.width);
  let h1 = select(min(firstAt((hereH + 1) * u.denominatorH, u.scaleH, u.offsetH), i32(u.outHeight)), i32(u.outHeight), lastH);
  let w1 = select(min(firstAt((hereW + 1) * u.denominatorW, u.scaleW, u.offsetW), i32(u.outWidth)), i32(u.outWidth), lastW);
  for (var c = firstChannel; c < min(firstChannel + u.run, u.channels); c++) {
    let base = image * u.outHeight * u.outWidth * u.pitch + c;
    var sum = V();
    for (var h = h0; h < h1; h++) {
      var line = V();
      var at = base + (u32(h) * u.outWidth + u32(w0)) * u.pitch;
      for (var w = w0; w < w1; w++) {
        line += widen(dy[at]) * weight(w, hereW, u.width, u.scaleW, u.offsetW, u.denominatorW);
        at += u.pitch;
      }
      sum += line * weight(h, hereH, u.height, u.scaleH, u.offsetH, u.denominatorH);
    }
    dx[pixel * u.channels + c] = narrow(sum);
  }
}
