// Empties the tables that the next passes count and write into.
struct Uniforms { pairs: u32, clusters: u32, images: u32, rows: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> present: array<u32>;
@group(0) @binding(2) var<storage, read_write> perCluster: array<u32>;
@group(0) @binding(3) var<storage, read_write> stray: array<u32>;
@group(0) @binding(4) var<storage, read_write> segmentLabels: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index < u.pairs) { present[index] = 0u; }
  if (index < u.clusters) { perCluster[index] = 0u; }
  if (index < u.images) { stray[index] = 0u; }
  if (index < u.rows) { segmentLabels[index] = -1; }
}
