// The centroid of largest dot product for each pixel, for software adapters, where a load costs as much as a dozen
// multiplications and workgroups are best kept to one quad: each of the four lanes takes eight pixels of its own
// against sixteen centroids at a time, loads a quarter of these, and gets the others by quadBroadcast.
enable subgroups;

struct Uniforms { pixels: u32, clusters: u32, padded: u32, channels: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> features: array<vec4f>;
@group(0) @binding(2) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(3) var<storage, read> handicap: array<vec4f>;
@group(0) @binding(4) var<storage, read> before: array<i32>;
@group(0) @binding(5) var<storage, read_write> clusters: array<i32>;

// Four channels of sixteen centroids, and a pixel's similarities to them.
struct Slab { a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f }
struct Similarities { a: vec4f, b: vec4f, c: vec4f, d: vec4f }
struct Best { similarity: f32, cluster: i32 }

fn centroidVector(image: u32, k: u32, channel: u32) -> vec4f {
  return centroids[(image * u.clusters + min(k, u.clusters - 1u)) * u.channels + channel];
}

fn slabOf(image: u32, k: u32, channel: u32) -> Slab {
  let v0 = centroidVector(image, k, channel);
  let v1 = centroidVector(image, k + 1u, channel);
  let v2 = centroidVector(image, k + 2u, channel);
  let v3 = centroidVector(image, k + 3u, channel);
  return Slab(
    mat4x4f(quadBroadcast(v0, 0u), quadBroadcast(v1, 0u), quadBroadcast(v2, 0u), quadBroadcast(v3, 0u)),
    mat4x4f(quadBroadcast(v0, 1u), quadBroadcast(v1, 1u), quadBroadcast(v2, 1u), quadBroadcast(v3, 1u)),
    mat4x4f(quadBroadcast(v0, 2u), quadBroadcast(v1, 2u), quadBroadcast(v2, 2u), quadBroadcast(v3, 2u)),
    mat4x4f(quadBroadcast(v0, 3u), quadBroadcast(v1, 3u), quadBroadcast(v2, 3u), quadBroadcast(v3, 3u)),
  );
}

fn added(s: Similarities, slab: Slab, feature: vec4f) -> Similarities {
  return Similarities(s.a + feature * slab.a, s.b + feature * slab.b, s.c + feature * slab.c, s.d + feature * slab.d);
}

// Ties go to the lower cluster: the lanes are in order, and only a larger value replaces.
fn betterOfFour(best: Best, similarities: vec4f, k: i32) -> Best {
  let largest = max(max(similarities.x, similarities.y), max(similarities.z, similarities.w));
  var lane = select(3, 2, similarities.z == largest);
  lane = select(lane, 1, similarities.y == largest);
  lane = select(lane, 0, similarities.x == largest);
  let nearer = largest > best.similarity;
  return Best(select(best.similarity, largest, nearer), select(best.cluster, k + lane, nearer));
}

fn better(best: Best, s: Similarities, k: i32) -> Best {
  let first = betterOfFour(betterOfFour(best, s.a, k), s.b, k + 4);
  return betterOfFour(betterOfFour(first, s.c, k + 8), s.d, k + 12);
}

fn store(image: u32, pixel: u32, cluster: i32) {
  if (pixel >= u.pixels) { return; }
  let at = image * u.pixels + pixel;
  let current = before[at];
  // A pixel outside of the clustering stays outside; one without any centroid to go to stays where it is.
  clusters[at] = select(cluster, current, (current < 0) | (cluster < 0));
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) invocation: u32) {
  let lane = invocation & 3u;
  let image = group.y;
  let first = group.x * 32u + lane * 8u;
  let last = u.pixels - 1u;
  let start = image * u.pixels;
  let p0 = (start + min(first, last)) * u.channels;
  let p1 = (start + min(first + 1u, last)) * u.channels;
  let p2 = (start + min(first + 2u, last)) * u.channels;
  let p3 = (start + min(first + 3u, last)) * u.channels;
  let p4 = (start + min(first + 4u, last)) * u.channels;
  let p5 = (start + min(first + 5u, last)) * u.channels;
  let p6 = (start + min(first + 6u, last)) * u.channels;
  let p7 = (start + min(first + 7u, last)) * u.channels;
  // Below any similarity, above any handicap.
  let none = Best(-3.0e38, -1);
  var b0 = none; var b1 = none; var b2 = none; var b3 = none;
  var b4 = none; var b5 = none; var b6 = none; var b7 = none;
  for (var k = 0u; k < u.padded; k += 16u) {
    let h = (image * u.padded + k) / 4u;
    let initial = Similarities(handicap[h], handicap[h + 1u], handicap[h + 2u], handicap[h + 3u]);
    var s0 = initial; var s1 = initial; var s2 = initial; var s3 = initial;
    var s4 = initial; var s5 = initial; var s6 = initial; var s7 = initial;
    for (var c = 0u; c < u.channels; c++) {
      let slab = slabOf(image, k + lane * 4u, c);
      s0 = added(s0, slab, features[p0 + c]);
      s1 = added(s1, slab, features[p1 + c]);
      s2 = added(s2, slab, features[p2 + c]);
      s3 = added(s3, slab, features[p3 + c]);
      s4 = added(s4, slab, features[p4 + c]);
      s5 = added(s5, slab, features[p5 + c]);
      s6 = added(s6, slab, features[p6 + c]);
      s7 = added(s7, slab, features[p7 + c]);
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
  store(image, first, b0.cluster);
  store(image, first + 1u, b1.cluster);
  store(image, first + 2u, b2.cluster);
  store(image, first + 3u, b3.cluster);
  store(image, first + 4u, b4.cluster);
  store(image, first + 5u, b5.cluster);
  store(image, first + 6u, b6.cluster);
  store(image, first + 7u, b7.cluster);
}
