// Gradient of nearest-neighbour resize by gathering: each input pixel adds up the rectangle of output pixels that
// copied it, which is empty for pixels that a reduction skipped.
alias V = f32;  // @param

struct Uniforms {
  count: u32, height: u32, width: u32, channels: u32, pitch: u32, outHeight: u32, outWidth: u32, run: u32, runs: u32,
  // pitch: from one pixel of the resized image to the next, whose channels may be some of a wider value's
  scaleH: i32, offsetH: i32, denominatorH: i32, scaleW: i32, offsetW: i32, denominatorW: i32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> dy: array<V>;
@group(0) @binding(2) var<storage, read_write> dx: array<V>;

// The first output whose source is at or beyond `edge` / denominator.
fn firstAt(edge: i32, scale: i32, offset: i32) -> u32 {
  return u32((max(edge - offset, 0) + scale - 1) / scale);
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
  let h0 = firstAt(hereH * u.denominatorH, u.scaleH, u.offsetH);
  let w0 = firstAt(hereW * u.denominatorW, u.scaleW, u.offsetW);
  let h1 = min(firstAt((hereH + 1) * u.denominatorH, u.scaleH, u.offsetH), u.outHeight);
  let w1 = min(firstAt((hereW + 1) * u.denominatorW, u.scaleW, u.offsetW), u.outWidth);
  for (var c = firstChannel; c < min(firstChannel + u.run, u.channels); c++) {
    let base = image * u.outHeight * u.outWidth * u.pitch + c;
    var sum = V();
    for (var h = h0; h < h1; h++) {
      var at = base + (h * u.outWidth + w0) * u.pitch;
      for (var w = w0; w < w1; w++) {
        sum += dy[at];
        at += u.pitch;
      }
    }
    dx[pixel * u.channels + c] = sum;
  }
}
