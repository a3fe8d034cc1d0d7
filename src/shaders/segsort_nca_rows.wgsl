// As segsort_nca_naive.wgsl, four prototypes at a time and in one pass: for similarities up to 1 and concentrations
// up to 40 no term overflows or vanishes, so there is no need to look for the largest. For software adapters, where a
// load costs more than the sums it feeds: an invocation takes four pixels, which share the prototypes' labels.
struct Uniforms { count: u32, prototypes4: u32, owned: u32, concentration: f32, empty: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> similarities: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> own: array<i32>;
@group(0) @binding(4) var<storage, read> prototypeLabels: array<vec4i>;
@group(0) @binding(5) var<storage, read_write> others: array<f32>;
@group(0) @binding(6) var<storage, read_write> different: array<f32>;
@group(0) @binding(7) var<storage, read_write> itself: array<f32>;

struct Pixel { label: vec4i, skipped: vec4i, row: u32 }
struct Sums { others: vec4f, different: vec4f }

fn pixelAt(index: u32) -> Pixel {
  let pixel = min(index, u.count - 1u);
  return Pixel(vec4i(labels[pixel]), vec4i(select(-1, own[pixel], u.owned != 0u)), pixel * u.prototypes4);
}

fn added(sums: Sums, pixel: Pixel, its: vec4i, ids: vec4i, j: u32) -> Sums {
  let none = vec4f(0.0);
  let term = exp(u.concentration * (similarities[pixel.row + j] - 1.0));
  let same = its == pixel.label;
  return Sums(
    sums.others + select(none, term, same & (ids != pixel.skipped)),
    sums.different + select(none, term, !same & (its >= vec4i(0))),
  );
}

fn store(index: u32, sums: Sums) {
  if (index >= u.count) { return; }
  let mine = own[index];
  let valid = mine >= 0;
  let othersTotal = (sums.others.x + sums.others.y) + (sums.others.z + sums.others.w);
  let differentTotal = (sums.different.x + sums.different.y) + (sums.different.z + sums.different.w);
  // Only a sum of nothing is 0; NaN passes through.
  let othersLog = select(log(othersTotal), u.empty, othersTotal == 0.0);
  let differentLog = select(log(differentTotal), u.empty, differentTotal == 0.0);
  others[index] = select(0.0, othersLog, valid);
  different[index] = select(u.empty, differentLog, valid);
  let at = u32(clamp(mine, 0, i32(u.prototypes4 * 4u) - 1));
  let similarity = similarities[index * u.prototypes4 + at / 4u][at % 4u];
  itself[index] = select(0.0, u.concentration * (similarity - 1.0), valid & (u.owned != 0u));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let first = ((group.y * groups.x + group.x) * 64u + local) * 4u;
  if (first >= u.count) { return; }
  let p0 = pixelAt(first);
  let p1 = pixelAt(first + 1u);
  let p2 = pixelAt(first + 2u);
  let p3 = pixelAt(first + 3u);
  let zero = Sums(vec4f(0.0), vec4f(0.0));
  var s0 = zero;
  var s1 = zero;
  var s2 = zero;
  var s3 = zero;
  var ids = vec4i(0, 1, 2, 3);
  for (var j = 0u; j < u.prototypes4; j++) {
    let its = prototypeLabels[j];
    // Rows not in use stand together at the end of each image's.
    if (any(its >= vec4i(0))) {
      s0 = added(s0, p0, its, ids, j);
      s1 = added(s1, p1, its, ids, j);
      s2 = added(s2, p2, its, ids, j);
      s3 = added(s3, p3, its, ids, j);
    }
    ids += 4;
  }
  store(first, s0);
  store(first + 1u, s1);
  store(first + 2u, s2);
  store(first + 3u, s3);
}
