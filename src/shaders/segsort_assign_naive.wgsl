// The centroid of largest dot product for each pixel: one invocation a pixel.
struct Uniforms { count: u32, pixels: u32, clusters: u32, channels: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> features: array<f32>;
@group(0) @binding(2) var<storage, read> centroids: array<f32>;
@group(0) @binding(3) var<storage, read> before: array<i32>;
@group(0) @binding(4) var<storage, read_write> clusters: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let pixel = (group.y * groups.x + group.x) * 64u + local;
  if (pixel >= u.count) { return; }
  var nearest = before[pixel];
  var largest = -3.4e38;
  if (nearest >= 0) {
    let at = pixel * u.channels;
    var centroid = pixel / u.pixels * u.clusters * u.channels;
    for (var k = 0u; k < u.clusters; k++) {
      var similarity = 0.0;
      var length = 0.0;
      for (var c = 0u; c < u.channels; c++) {
        let value = centroids[centroid + c];
        similarity += features[at + c] * value;
        length += value * value;
      }
      centroid += u.channels;
      // An empty cluster has a centroid of zeros.
      let nearer = (length > 0.0) & (similarity > largest);
      nearest = select(nearest, i32(k), nearer);
      largest = select(largest, similarity, nearer);
    }
  }
  clusters[pixel] = nearest;
}
