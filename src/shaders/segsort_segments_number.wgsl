// Numbers the pairs that are present, in order of cluster and label: one invocation a cluster. `present` becomes the
// segment's id plus one.
struct Uniforms { count: u32, clusters: u32, classes: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> present: array<u32>;
@group(0) @binding(2) var<storage, read> perCluster: array<u32>;
@group(0) @binding(3) var<storage, read> stray: array<u32>;
@group(0) @binding(4) var<storage, read_write> segmentLabels: array<i32>;
@group(0) @binding(5) var<storage, read_write> counts: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.count) { return; }
  let image = row / u.clusters;
  var next = 0u;
  for (var before = image * u.clusters; before < row; before++) { next += perCluster[before]; }
  let pairs = row * u.classes;
  for (var label = 0u; label < u.classes; label++) {
    if (present[pairs + label] != 0u) {
      if (next < u.capacity) { segmentLabels[image * u.capacity + next] = i32(label); }
      next++;
      present[pairs + label] = next;
    }
  }
  if (row + 1u == (image + 1u) * u.clusters) {
    counts[image] = select(i32(next), -i32(stray[image]), stray[image] > 0u);
  }
}
