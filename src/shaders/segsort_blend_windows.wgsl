// The output of a network over one image, out of its outputs for overlapping windows: [outHeight,outWidth,C]. An invocation
// looks at one pixel: in every window that covers it the features are interpolated, made unit vectors or probabilities,
// and added up by weights that fall from the middle of the window to its edges.
alias V = f32;  // @param
const LANES = vec4f(1.0, 0.0, 0.0, 0.0);  // @param
const SOFTMAX = false;  // @param

struct Uniforms {
  count: u32, windows: u32, featureHeight: i32, featureWidth: i32, channels: i32, outWidth: u32, stride: i32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> features: array<V>;   // [windows, featureHeight, featureWidth, C]
@group(0) @binding(2) var<storage, read> origins: array<i32>;  // [windows, 2]
@group(0) @binding(3) var<storage, read> grid: array<i32>;     // [2, 4]: scale, offset, denominator, extent
@group(0) @binding(4) var<storage, read_write> blended: array<V>;

struct Position { pixel: i32, part: f32 }

// Where output o lies along an axis: a pixel of the view, and how far beyond it.
fn positionOf(o: u32, axis: u32) -> Position {
  let denominator = grid[axis * 4u + 2u];
  let last = (grid[axis * 4u + 3u] - 1) * denominator;
  let at = clamp(grid[axis * 4u] * i32(o) + grid[axis * 4u + 1u], 0, last);
  let pixel = at / denominator;
  return Position(pixel, f32(at - pixel * denominator) / f32(denominator));
}

struct Taps { first: i32, step: i32, part: f32, weight: f32 }

fn tapsOf(pixel: i32, part: f32, cells: i32) -> Taps {
  let cell = pixel / u.stride;
  let extent = f32(cells * u.stride);
  let at = f32(pixel) + part;
  return Taps(cell, select(0, 1, cell + 1 < cells), (f32(pixel - cell * u.stride) + part) / f32(u.stride),
              min(at + 1.0, extent - at) / extent);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let row = index / u.outWidth;
  let y = positionOf(row, 0u);
  let x = positionOf(index - row * u.outWidth, 1u);
  let out = i32(index) * u.channels;
  for (var c = 0; c < u.channels; c++) { blended[out + c] = V(0.0); }
  var total = 0.0;
  for (var w = 0u; w < u.windows; w++) {
    let top = y.pixel - origins[w * 2u];
    let left = x.pixel - origins[w * 2u + 1u];
    if ((top < 0) | (left < 0) | (top >= u.featureHeight * u.stride) | (left >= u.featureWidth * u.stride)) { continue; }
    let down = tapsOf(top, y.part, u.featureHeight);
    let right = tapsOf(left, x.part, u.featureWidth);
    let corner = ((i32(w) * u.featureHeight + down.first) * u.featureWidth + right.first) * u.channels;
    let below = down.step * u.featureWidth * u.channels;
    let beside = right.step * u.channels;
    var most = -3.4e38;
    var sum = 0.0;
    if (SOFTMAX) {
      for (var c = 0; c < u.channels; c++) {
        let value = vec4f(sampleAt(corner + c, below, beside, down.part, right.part));
        most = max(most, max(max(value.x, value.y), max(value.z, value.w)));
      }
    }
    for (var c = 0; c < u.channels; c++) {
      let value = vec4f(sampleAt(corner + c, below, beside, down.part, right.part));
      sum += dot(select(value * value, exp(value - most), vec4<bool>(SOFTMAX)), LANES);
    }
    let weight = down.weight * right.weight;
    total += weight;
    let factor = weight * select(inverseSqrt(max(sum, 1e-24)), 1.0 / sum, SOFTMAX);
    for (var c = 0; c < u.channels; c++) {
      let value = sampleAt(corner + c, below, beside, down.part, right.part);
      if (SOFTMAX) { blended[out + c] += exp(value - V(most)) * factor; } else { blended[out + c] += value * factor; }
    }
  }
  let share = 1.0 / max(total, 1e-24);
  for (var c = 0; c < u.channels; c++) { blended[out + c] *= share; }
}

fn sampleAt(corner: i32, below: i32, beside: i32, down: f32, right: f32) -> V {
  let upper = mix(features[corner], features[corner + beside], V(right));
  let lower = mix(features[corner + below], features[corner + below + beside], V(right));
  return mix(upper, lower, V(down));
}
