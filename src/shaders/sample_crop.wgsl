// Cuts one crop out of each image of a batch, resized and mirrored as its placement says, and unpacks it:
// the image (bilinear) with the mean subtracted, and the labels (nearest). One invocation a pixel.
//
// Source coordinates are dst * inSize / outSize, in integers, so that host and GPU agree on every pixel.

struct Uniforms {
  canvasHeight: u32,
  canvasWidth: u32,
  height: u32,
  width: u32,
  meanR: f32,
  meanG: f32,
  meanB: f32,
  ignored: i32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> canvas: array<u32>;     // [N, canvasHeight, canvasWidth]
@group(0) @binding(2) var<storage, read> placement: array<f32>;  // [N, 8]
@group(0) @binding(3) var<storage, read_write> image: array<f32>;   // [N, height, width, 3]
@group(0) @binding(4) var<storage, read_write> labels: array<i32>;  // [N, height, width]

fn colour(word: u32) -> vec3f {
  return vec3f(f32(word & 255u), f32((word >> 8u) & 255u), f32((word >> 16u) & 255u));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if ((id.x >= u.width) | (id.y >= u.height)) {
    return;
  }
  let n = id.z;
  let size = vec2u(u32(placement[n * 8u]), u32(placement[n * 8u + 1u]));  // rows, columns
  let scale = vec2f(placement[n * 8u + 2u], placement[n * 8u + 3u]);
  let offset = vec2i(i32(placement[n * 8u + 4u]), i32(placement[n * 8u + 5u]));
  let mirror = placement[n * 8u + 6u] != 0.0;

  let resized = vec2u(floor(vec2f(size) * scale + 0.5));
  let at = vec2i(id.yx) + offset;
  let inside = all(at >= vec2i(0)) & all(at < vec2i(resized)) & all(size > vec2u(0u));

  var dst = vec2u(clamp(at, vec2i(0), max(vec2i(resized) - 1, vec2i(0))));
  dst.y = select(dst.y, max(resized.y, 1u) - 1u - dst.y, mirror);
  let divisor = max(resized, vec2u(1u));
  let position = dst * size;
  let last = min(max(size, vec2u(1u)), vec2u(u.canvasHeight, u.canvasWidth)) - 1u;
  let low = min(position / divisor, last);
  let high = min(low + 1u, last);
  let t = vec2f(position % divisor) / vec2f(divisor);

  let row0 = (n * u.canvasHeight + low.x) * u.canvasWidth;
  let row1 = (n * u.canvasHeight + high.x) * u.canvasWidth;
  let word = canvas[row0 + low.y];
  let c00 = colour(word);
  let c01 = colour(canvas[row0 + high.y]);
  let c10 = colour(canvas[row1 + low.y]);
  let c11 = colour(canvas[row1 + high.y]);
  let top = c00 + (c01 - c00) * t.y;
  let bottom = c10 + (c11 - c10) * t.y;
  let value = top + (bottom - top) * t.x - vec3f(u.meanR, u.meanG, u.meanB);

  let pixel = (n * u.height + id.y) * u.width + id.x;
  let result = select(vec3f(0.0), value, inside);
  image[pixel * 3u] = result.x;
  image[pixel * 3u + 1u] = result.y;
  image[pixel * 3u + 2u] = result.z;
  labels[pixel] = select(u.ignored, i32(word >> 24u), inside);
}
