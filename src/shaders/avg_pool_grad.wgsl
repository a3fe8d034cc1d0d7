// Gradient of average pooling by gathering: each input pixel adds up the gradients of the windows that contain it,
// each divided by the number of pixels which that window averaged.
alias V = f32;  // @param
alias S = f32;  // @param  how V is stored: as it is, or as four halves in two words
fn widen(v: S) -> V { return v; }  // @param
fn narrow(v: V) -> S { return v; }  // @param
const COUNT_PAD: bool = false;  // @param

struct Uniforms {
  count: u32, height: u32, width: u32, channels: u32, pitch: u32, outHeight: u32, outWidth: u32, run: u32, runs: u32,
  // pitch: from one pixel of the image to the next, whose channels may be some of a wider value's
  sizeH: i32, sizeW: i32, strideH: i32, strideW: i32, padTop: i32, padLeft: i32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> dy: array<S>;
@group(0) @binding(2) var<storage, read_write> dx: array<S>;

// Rows or columns of the image that window `o` covers.
fn covered(o: i32, stride: i32, pad: i32, size: i32, extent: u32) -> f32 {
  let begin = o * stride - pad;
  return f32(select(min(begin + size, i32(extent)) - max(begin, 0), size, COUNT_PAD));
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
  let fromTop = i32(row - image * u.height) + u.padTop;
  let fromLeft = i32(pixel - row * u.width) + u.padLeft;
  // Windows o with o * stride <= from < o * stride + size.
  let h0 = max(fromTop - u.sizeH + u.strideH, 0) / u.strideH;
  let w0 = max(fromLeft - u.sizeW + u.strideW, 0) / u.strideW;
  let h1 = min(fromTop / u.strideH + 1, i32(u.outHeight));
  let w1 = min(fromLeft / u.strideW + 1, i32(u.outWidth));
  for (var c = firstChannel; c < min(firstChannel + u.run, u.channels); c++) {
    let base = image * u.outHeight * u.outWidth * u.channels + c;
    var sum = V();
    for (var h = h0; h < h1; h++) {
      let rows = covered(h, u.strideH, u.padTop, u.sizeH, u.height);
      var at = base + (u32(h) * u.outWidth + u32(w0)) * u.channels;
      for (var w = w0; w < w1; w++) {
        sum += widen(dy[at]) / (rows * covered(w, u.strideW, u.padLeft, u.sizeW, u.width));
        at += u.channels;
      }
    }
    dx[pixel * u.pitch + c] = narrow(sum);
  }
}
