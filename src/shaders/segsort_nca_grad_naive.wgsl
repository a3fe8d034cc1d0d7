// Gradient of the logarithmic sums with respect to each similarity: one invocation an element. `terms` holds, one after
// another, for every pixel: the two logarithms, then the gradients of these two and of the pixel's own term.
struct Uniforms { count: u32, pixels: u32, prototypes: u32, owned: u32, concentration: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> similarities: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> own: array<i32>;
@group(0) @binding(4) var<storage, read> prototypeLabels: array<i32>;
@group(0) @binding(5) var<storage, read> terms: array<f32>;
@group(0) @binding(6) var<storage, read_write> grad: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let pixel = index / u.prototypes;
  let j = index - pixel * u.prototypes;
  let mine = own[pixel];
  let its = prototypeLabels[j];
  let isOwn = (u.owned != 0u) & (i32(j) == mine);
  let same = its == labels[pixel];
  let used = (mine >= 0) & (its >= 0);
  let logSum = terms[select(u.pixels, 0u, same) + pixel];
  let gradLogSum = terms[select(3u, 2u, same) * u.pixels + pixel];
  let share = exp(u.concentration * (similarities[index] - 1.0) - logSum);
  let gradient = select(gradLogSum * share, terms[4u * u.pixels + pixel], isOwn);
  grad[index] = select(0.0, u.concentration * gradient, used);
}
