// The centroid of largest dot product for each pixel: eight pixels of an image an invocation, against four centroids
// at a time, so that every vector loaded serves four or eight products.
struct Uniforms { tiles: u32, tilesPerImage: u32, pixels: u32, clusters: u32, channels: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> features: array<vec4f>;
@group(0) @binding(2) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(3) var<storage, read> handicap: array<vec4f>;
@group(0) @binding(4) var<storage, read> before: array<i32>;
@group(0) @binding(5) var<storage, read_write> clusters: array<i32>;

struct Best { similarity: f32, cluster: i32 }

// Ties go to the lower cluster: the lanes are in order, and only a larger value replaces.
fn better(best: Best, similarities: vec4f, k: i32) -> Best {
  let largest = max(max(similarities.x, similarities.y), max(similarities.z, similarities.w));
  var lane = select(3, 2, similarities.z == largest);
  lane = select(lane, 1, similarities.y == largest);
  lane = select(lane, 0, similarities.x == largest);
  let nearer = largest > best.similarity;
  return Best(select(best.similarity, largest, nearer), select(best.cluster, k + lane, nearer));
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let tile = (group.y * groups.x + group.x) * 32u + local;
  if (tile >= u.tiles) { return; }
  let image = tile / u.tilesPerImage;
  let first = image * u.pixels + (tile - image * u.tilesPerImage) * 8u;
  let last = (image + 1u) * u.pixels - 1u;
  let p0 = first * u.channels;
  let p1 = min(first + 1u, last) * u.channels;
  let p2 = min(first + 2u, last) * u.channels;
  let p3 = min(first + 3u, last) * u.channels;
  let p4 = min(first + 4u, last) * u.channels;
  let p5 = min(first + 5u, last) * u.channels;
  let p6 = min(first + 6u, last) * u.channels;
  let p7 = min(first + 7u, last) * u.channels;
  // Below any similarity, above any handicap.
  let none = Best(-3.0e38, -1);
  var b0 = none;
  var b1 = none;
  var b2 = none;
  var b3 = none;
  var b4 = none;
  var b5 = none;
  var b6 = none;
  var b7 = none;
  let groupsOfFour = (u.clusters + 3u) / 4u;
  for (var j = 0u; j < groupsOfFour; j++) {
    let k = j * 4u;
    let c0 = (image * u.clusters + k) * u.channels;
    let c1 = (image * u.clusters + min(k + 1u, u.clusters - 1u)) * u.channels;
    let c2 = (image * u.clusters + min(k + 2u, u.clusters - 1u)) * u.channels;
    let c3 = (image * u.clusters + min(k + 3u, u.clusters - 1u)) * u.channels;
    let start = handicap[image * groupsOfFour + j];
    var s0 = start;
    var s1 = start;
    var s2 = start;
    var s3 = start;
    var s4 = start;
    var s5 = start;
    var s6 = start;
    var s7 = start;
    for (var c = 0u; c < u.channels; c++) {
      let m = mat4x4f(centroids[c0 + c], centroids[c1 + c], centroids[c2 + c], centroids[c3 + c]);
      s0 += features[p0 + c] * m;
      s1 += features[p1 + c] * m;
      s2 += features[p2 + c] * m;
      s3 += features[p3 + c] * m;
      s4 += features[p4 + c] * m;
      s5 += features[p5 + c] * m;
      s6 += features[p6 + c] * m;
      s7 += features[p7 + c] * m;
    }
    b0 = better(b0, s0, i32(k));
    b1 = better(b1, s1, i32(k));
    b2 = better(b2, s2, i32(k));
    b3 = better(b3, s3, i32(k));
    b4 = better(b4, s4, i32(k));
    b5 = better(b5, s5, i32(k));
    b6 = better(b6, s6, i32(k));
    b7 = better(b7, s7, i32(k));
  }
  store(first, last, b0.cluster);
  store(first + 1u, last, b1.cluster);
  store(first + 2u, last, b2.cluster);
  store(first + 3u, last, b3.cluster);
  store(first + 4u, last, b4.cluster);
  store(first + 5u, last, b5.cluster);
  store(first + 6u, last, b6.cluster);
  store(first + 7u, last, b7.cluster);
}

fn store(pixel: u32, last: u32, cluster: i32) {
  if (pixel <= last) {
    let current = before[pixel];
    // A pixel outside of the clustering stays outside; one without any centroid to go to stays where it is.
    clusters[pixel] = select(cluster, current, (current < 0) | (cluster < 0));
  }
}
