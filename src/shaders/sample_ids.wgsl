// Cuts out of two maps of ids, packed in one word a pixel, the crops that sample_crop.wgsl cuts out of the images: the
// same placements and the same nearest pixels. One invocation a pixel.

struct Uniforms {
  canvasHeight: u32,
  canvasWidth: u32,
  height: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> canvas: array<u32>;     // [N, canvasHeight, canvasWidth]
@group(0) @binding(2) var<storage, read> placement: array<f32>;  // [N, 8]
@group(0) @binding(3) var<storage, read_write> regions: array<i32>;    // [N, height, width]
@group(0) @binding(4) var<storage, read_write> instances: array<i32>;  // [N, height, width]

const NONE = 0xffffu;

fn id_or_none(id: u32, inside: bool) -> i32 {
  return select(-1, i32(id), inside & (id != NONE));
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
  let last = min(max(size, vec2u(1u)), vec2u(u.canvasHeight, u.canvasWidth)) - 1u;
  let source = min(dst * size / max(resized, vec2u(1u)), last);

  let word = canvas[(n * u.canvasHeight + source.x) * u.canvasWidth + source.y];
  let pixel = (n * u.height + id.y) * u.width + id.x;
  regions[pixel] = id_or_none(word & NONE, inside);
  instances[pixel] = id_or_none(word >> 16u, inside);
}
