// As segsort_nca_grad_naive.wgsl, four prototypes an invocation.
struct Uniforms { count: u32, pixels: u32, prototypes4: u32, owned: u32, concentration: f32 }
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
  let pixel = index / u.prototypes4;
  let j = index - pixel * u.prototypes4;
  let mine = own[pixel];
  let its = prototypeLabels[j];
  let same = its == vec4i(labels[pixel]);
  let isOwn = (vec4i(i32(j) * 4) + vec4i(0, 1, 2, 3)) == vec4i(select(-1, mine, u.owned != 0u));
  let logSum = select(vec4f(terms[u.pixels + pixel]), vec4f(terms[pixel]), same);
  let gradLogSum = select(vec4f(terms[3u * u.pixels + pixel]), vec4f(terms[2u * u.pixels + pixel]), same);
  let share = exp(u.concentration * (similarities[index] - 1.0) - logSum);
  let gradient = select(gradLogSum * share, vec4f(terms[4u * u.pixels + pixel]), isOwn);
  grad[index] = select(vec4f(0.0), u.concentration * gradient, (its >= vec4i(0)) & vec4<bool>(mine >= 0));
}
