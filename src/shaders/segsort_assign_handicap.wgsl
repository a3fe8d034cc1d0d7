// For each centroid 0, or where it is all zeros (an empty cluster, or filling up to a multiple of four) a number that
// keeps it from being chosen.
struct Uniforms { count: u32, clusters: u32, padded: u32, channels: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> handicap: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let image = index / u.padded;
  let k = index - image * u.padded;
  var at = (image * u.clusters + min(k, u.clusters - 1u)) * u.channels;
  var length = 0.0;
  for (var c = 0u; c < u.channels; c++) {
    length += dot(centroids[at], centroids[at]);
    at++;
  }
  handicap[index] = select(-3.4e38, 0.0, (length > 0.0) & (k < u.clusters));
}
