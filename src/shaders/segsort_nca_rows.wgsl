// As segsort_nca_naive.wgsl, four prototypes at a time and in one pass: for similarities up to 1 and concentrations
// up to 40 no term overflows or vanishes, so there is no need to look for the largest. One invocation a pixel.
struct Uniforms { count: u32, prototypes4: u32, owned: u32, concentration: f32, empty: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> similarities: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> own: array<i32>;
@group(0) @binding(4) var<storage, read> prototypeLabels: array<vec4i>;
@group(0) @binding(5) var<storage, read_write> others: array<f32>;
@group(0) @binding(6) var<storage, read_write> different: array<f32>;
@group(0) @binding(7) var<storage, read_write> itself: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let pixel = (group.y * groups.x + group.x) * 64u + local;
  if (pixel >= u.count) { return; }
  let label = vec4i(labels[pixel]);
  let mine = own[pixel];
  let valid = mine >= 0;
  let skipped = select(-1, mine, u.owned != 0u);
  let row = pixel * u.prototypes4;
  let none = vec4f(0.0);
  var ids = vec4i(0, 1, 2, 3);
  var otherSum = none;
  var differentSum = none;
  for (var j = 0u; j < u.prototypes4; j++) {
    let its = prototypeLabels[j];
    let term = exp(u.concentration * (similarities[row + j] - 1.0));
    let same = its == label;
    otherSum += select(none, term, same & (ids != vec4i(skipped)));
    differentSum += select(none, term, !same & (its >= vec4i(0)));
    ids += 4;
  }
  let otherTotal = (otherSum.x + otherSum.y) + (otherSum.z + otherSum.w);
  let differentTotal = (differentSum.x + differentSum.y) + (differentSum.z + differentSum.w);
  let otherLog = select(u.empty, log(otherTotal), otherTotal > 0.0);
  let differentLog = select(u.empty, log(differentTotal), differentTotal > 0.0);
  others[pixel] = select(0.0, otherLog, valid);
  different[pixel] = select(u.empty, differentLog, valid);
  let at = u32(clamp(skipped, 0, i32(u.prototypes4 * 4u) - 1));
  let similarity = similarities[row + at / 4u][at % 4u];
  itself[pixel] = select(0.0, u.concentration * (similarity - 1.0), skipped >= 0);
}
