// Marks the (cluster, label) pairs of each image that have a pixel, and counts them by cluster. Only integers are
// updated atomically, so the result does not depend on the order.
struct Uniforms { count: u32, pixels: u32, clusters: u32, classes: u32, ignored: i32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> clusters: array<i32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> present: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> perCluster: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> stray: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let pixel = (group.y * groups.x + group.x) * 64u + local;
  if (pixel >= u.count) { return; }
  let image = pixel / u.pixels;
  let cluster = clusters[pixel];
  let label = labels[pixel];
  let known = (label >= 0) & (label < i32(u.classes)) & (label != u.ignored);
  if (!known & (label != u.ignored)) { atomicMax(&stray[image], u32(max(label, 0)) + 1u); }
  if (known & (cluster >= 0) & (cluster < i32(u.clusters))) {
    let row = image * u.clusters + u32(cluster);
    let pair = row * u.classes + u32(label);
    // Most pixels find their pair marked; looking first spares them the update.
    if (atomicLoad(&present[pair]) == 0u) {
      if (atomicExchange(&present[pair], 1u) == 0u) { atomicAdd(&perCluster[row], 1u); }
    }
  }
}
