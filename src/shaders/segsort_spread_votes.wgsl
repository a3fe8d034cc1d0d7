// Votes of clusters as a soft map of the image: each pixel takes the votes of the clusters at the four pixels of the view
// around its place there, interpolated. One invocation an element of [outHeight,outWidth,C].
struct Uniforms { count: u32, classes: u32, outWidth: u32, height: i32, width: i32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> votes: array<f32>;     // [K, classes]
@group(0) @binding(2) var<storage, read> clusters: array<i32>;  // [height, width]
@group(0) @binding(3) var<storage, read> grid: array<i32>;      // [2, 4]: scale, offset, denominator, extent
@group(0) @binding(4) var<storage, read_write> spread: array<f32>;

struct Taps { first: i32, second: i32, part: f32 }

fn tapsOf(o: u32, axis: u32) -> Taps {
  let denominator = grid[axis * 4u + 2u];
  let extent = grid[axis * 4u + 3u];
  let at = clamp(grid[axis * 4u] * i32(o) + grid[axis * 4u + 1u], 0, (extent - 1) * denominator);
  let first = at / denominator;
  return Taps(first, min(first + 1, extent - 1), f32(at - first * denominator) / f32(denominator));
}

fn votesAt(y: i32, x: i32, label: u32) -> f32 {
  let cluster = clusters[y * u.width + x];
  return select(0.0, votes[u32(max(cluster, 0)) * u.classes + label], cluster >= 0);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let pixel = index / u.classes;
  let label = index - pixel * u.classes;
  let row = pixel / u.outWidth;
  let y = tapsOf(row, 0u);
  let x = tapsOf(pixel - row * u.outWidth, 1u);
  let upper = mix(votesAt(y.first, x.first, label), votesAt(y.first, x.second, label), x.part);
  let lower = mix(votesAt(y.second, x.first, label), votesAt(y.second, x.second, label), x.part);
  spread[index] = mix(upper, lower, y.part);
}
