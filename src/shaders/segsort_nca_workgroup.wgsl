// As segsort_nca_rows.wgsl, with a workgroup a pixel: neighbouring invocations read neighbouring prototypes, and
// their sums meet in workgroup memory.
struct Uniforms { count: u32, prototypes4: u32, owned: u32, concentration: f32, empty: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> similarities: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> own: array<i32>;
@group(0) @binding(4) var<storage, read> prototypeLabels: array<vec4i>;
@group(0) @binding(5) var<storage, read_write> others: array<f32>;
@group(0) @binding(6) var<storage, read_write> different: array<f32>;
@group(0) @binding(7) var<storage, read_write> itself: array<f32>;

var<workgroup> partial: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let pixel = group.y * groups.x + group.x;
  if (pixel >= u.count) { return; }
  let label = vec4i(labels[pixel]);
  let mine = own[pixel];
  let valid = mine >= 0;
  let skipped = select(-1, mine, u.owned != 0u);
  let row = pixel * u.prototypes4;
  let none = vec4f(0.0);
  var otherSum = none;
  var differentSum = none;
  for (var j = local; j < u.prototypes4; j += 64u) {
    let its = prototypeLabels[j];
    let ids = vec4i(i32(j) * 4) + vec4i(0, 1, 2, 3);
    let term = exp(u.concentration * (similarities[row + j] - 1.0));
    let same = its == label;
    otherSum += select(none, term, same & (ids != vec4i(skipped)));
    differentSum += select(none, term, !same & (its >= vec4i(0)));
  }
  partial[local] = vec2f((otherSum.x + otherSum.y) + (otherSum.z + otherSum.w),
                         (differentSum.x + differentSum.y) + (differentSum.z + differentSum.w));
  for (var stride = 32u; stride > 0u; stride /= 2u) {
    workgroupBarrier();
    if (local < stride) { partial[local] += partial[local + stride]; }
  }
  if (local == 0u) {
    let total = partial[0];
    // Only a sum of nothing is 0; NaN passes through.
    let otherLog = select(log(total.x), u.empty, total.x == 0.0);
    let differentLog = select(log(total.y), u.empty, total.y == 0.0);
    others[pixel] = select(0.0, otherLog, valid);
    different[pixel] = select(u.empty, differentLog, valid);
    let at = u32(clamp(skipped, 0, i32(u.prototypes4 * 4u) - 1));
    let similarity = similarities[row + at / 4u][at % 4u];
    itself[pixel] = select(0.0, u.concentration * (similarity - 1.0), skipped >= 0);
  }
}
