// As segsort_nca_grad_naive.wgsl, four prototypes at a time; an invocation takes `run` of these fours of a pixel.
struct Uniforms { count: u32, pixels: u32, prototypes4: u32, run: u32, runs: u32, owned: u32, concentration: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> similarities: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> own: array<i32>;
@group(0) @binding(4) var<storage, read> prototypeLabels: array<vec4i>;
@group(0) @binding(5) var<storage, read> terms: array<f32>;
@group(0) @binding(6) var<storage, read_write> grad: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let pixel = index / u.runs;
  let first = (index - pixel * u.runs) * u.run;
  let label = vec4i(labels[pixel]);
  let mine = own[pixel];
  let skipped = vec4i(select(-1, mine, u.owned != 0u));
  // exp(concentration * (similarity - 1) - logSum), with what is the same for a whole row taken together.
  let othersShift = vec4f(-u.concentration - terms[pixel]);
  let differentShift = vec4f(-u.concentration - terms[u.pixels + pixel]);
  let scale = select(0.0, u.concentration, mine >= 0);
  let gradOthers = vec4f(scale * terms[2u * u.pixels + pixel]);
  let gradDifferent = vec4f(scale * terms[3u * u.pixels + pixel]);
  let gradOwn = vec4f(scale * terms[4u * u.pixels + pixel]);
  let row = pixel * u.prototypes4;
  var ids = vec4i(i32(first) * 4) + vec4i(0, 1, 2, 3);
  for (var j = first; j < min(first + u.run, u.prototypes4); j++) {
    let its = prototypeLabels[j];
    let same = its == label;
    let exponent = u.concentration * similarities[row + j] + select(differentShift, othersShift, same);
    let share = exp(min(exponent, vec4f(0.0)));
    let gradient = select(select(gradDifferent, gradOthers, same) * share, gradOwn, ids == skipped);
    grad[row + j] = select(vec4f(0.0), gradient, its >= vec4i(0));
    ids += 4;
  }
}
