// For each pixel the logarithms of two sums of exp(concentration * (similarity - 1)): over the other prototypes of the
// pixel's label, and over the prototypes of other labels. The largest term is taken out of each sum first, so it
// holds for any concentration.
struct Uniforms { count: u32, prototypes: u32, owned: u32, concentration: f32, empty: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> similarities: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> own: array<i32>;
@group(0) @binding(4) var<storage, read> prototypeLabels: array<i32>;
@group(0) @binding(5) var<storage, read_write> others: array<f32>;
@group(0) @binding(6) var<storage, read_write> different: array<f32>;
@group(0) @binding(7) var<storage, read_write> itself: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let pixel = (group.y * groups.x + group.x) * 64u + local;
  if (pixel >= u.count) { return; }
  let label = labels[pixel];
  let mine = own[pixel];
  let valid = mine >= 0;
  let skipped = select(-1, mine, u.owned != 0u);
  let row = pixel * u.prototypes;
  var largestOther = -3.4e38;
  var largestDifferent = -3.4e38;
  for (var j = 0u; j < u.prototypes; j++) {
    let its = prototypeLabels[j];
    let exponent = u.concentration * (similarities[row + j] - 1.0);
    let isOther = (its == label) & (i32(j) != skipped);
    let isDifferent = (its != label) & (its >= 0);
    largestOther = max(largestOther, select(-3.4e38, exponent, isOther));
    largestDifferent = max(largestDifferent, select(-3.4e38, exponent, isDifferent));
  }
  var otherSum = 0.0;
  var differentSum = 0.0;
  for (var j = 0u; j < u.prototypes; j++) {
    let its = prototypeLabels[j];
    let exponent = u.concentration * (similarities[row + j] - 1.0);
    let isOther = (its == label) & (i32(j) != skipped);
    let isDifferent = (its != label) & (its >= 0);
    otherSum += select(0.0, exp(exponent - largestOther), isOther);
    differentSum += select(0.0, exp(exponent - largestDifferent), isDifferent);
  }
  // Only a sum of nothing is 0; NaN passes through.
  let otherLog = select(largestOther + log(otherSum), u.empty, otherSum == 0.0);
  let differentLog = select(largestDifferent + log(differentSum), u.empty, differentSum == 0.0);
  others[pixel] = select(0.0, otherLog, valid);
  different[pixel] = select(u.empty, differentLog, valid);
  let similarity = similarities[row + u32(clamp(skipped, 0, i32(u.prototypes) - 1))];
  itself[pixel] = select(0.0, u.concentration * (similarity - 1.0), skipped >= 0);
}
