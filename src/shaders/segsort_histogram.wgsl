// Counts the pixels of each label in each cluster. Counts are integers: the order of the updates makes no difference.
// An invocation takes a run of pixels and hands on a count when the pair changes, as neighbours mostly agree.
struct Uniforms { count: u32, run: u32, runs: u32, pixels: u32, clusters: u32, classes: u32, ignored: i32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> clusters: array<i32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> histogram: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let image = index / u.runs;
  let first = (index - image * u.runs) * u.run;
  let last = min(first + u.run, u.pixels);
  var current = 0u;
  var pending = 0u;
  for (var p = first; p < last; p++) {
    let cluster = clusters[image * u.pixels + p];
    let label = labels[image * u.pixels + p];
    let known = (label >= 0) & (label < i32(u.classes)) & (label != u.ignored);
    let counted = known & (cluster >= 0) & (cluster < i32(u.clusters));
    let pair = (image * u.clusters + u32(select(0, cluster, counted))) * u.classes + u32(select(0, label, counted));
    let changed = counted & (pair != current);
    if (changed & (pending > 0u)) { atomicAdd(&histogram[current], pending); }
    pending = select(pending, 0u, changed) + select(0u, 1u, counted);
    current = select(current, pair, changed);
  }
  if (pending > 0u) { atomicAdd(&histogram[current], pending); }
}
