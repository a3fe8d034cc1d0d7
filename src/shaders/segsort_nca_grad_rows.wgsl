// As segsort_nca_grad_naive.wgsl for software adapters: an invocation takes four pixels, which share the prototypes'
// labels, and `run` fours of prototypes.
struct Uniforms { pixels: u32, prototypes4: u32, run: u32, runs: u32, owned: u32, concentration: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> similarities: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> own: array<i32>;
@group(0) @binding(4) var<storage, read> prototypeLabels: array<vec4i>;
@group(0) @binding(5) var<storage, read> terms: array<f32>;
@group(0) @binding(6) var<storage, read_write> grad: array<vec4f>;

struct Pixel {
  row: u32, label: vec4i, skipped: vec4i,
  // exp(concentration * (similarity - 1) - logSum) is exp(concentration * similarity + shift).
  othersShift: vec4f, differentShift: vec4f, gradOthers: vec4f, gradDifferent: vec4f, gradOwn: vec4f,
}

fn pixelAt(index: u32) -> Pixel {
  // Pixels past the end repeat the last: the same values are written again.
  let pixel = min(index, u.pixels - 1u);
  let mine = own[pixel];
  let scale = select(0.0, u.concentration, mine >= 0);
  return Pixel(
    pixel * u.prototypes4,
    vec4i(labels[pixel]),
    vec4i(select(-1, mine, u.owned != 0u)),
    vec4f(-u.concentration - terms[pixel]),
    vec4f(-u.concentration - terms[u.pixels + pixel]),
    vec4f(scale * terms[2u * u.pixels + pixel]),
    vec4f(scale * terms[3u * u.pixels + pixel]),
    vec4f(scale * terms[4u * u.pixels + pixel]),
  );
}

fn gradient(pixel: Pixel, its: vec4i, ids: vec4i, j: u32) -> vec4f {
  let same = its == pixel.label;
  let shift = select(pixel.differentShift, pixel.othersShift, same);
  // No share is above 1; without the bound, an ignored pixel's would be infinite, and 0 times that is NaN.
  let share = exp(min(u.concentration * similarities[pixel.row + j] + shift, vec4f(0.0)));
  let each = select(pixel.gradDifferent, pixel.gradOthers, same) * share;
  return select(vec4f(0.0), select(each, pixel.gradOwn, ids == pixel.skipped), its >= vec4i(0));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  let four = index / u.runs;
  if (four * 4u >= u.pixels) { return; }
  let first = (index - four * u.runs) * u.run;
  let p0 = pixelAt(four * 4u);
  let p1 = pixelAt(four * 4u + 1u);
  let p2 = pixelAt(four * 4u + 2u);
  let p3 = pixelAt(four * 4u + 3u);
  var ids = vec4i(i32(first) * 4) + vec4i(0, 1, 2, 3);
  for (var j = first; j < min(first + u.run, u.prototypes4); j++) {
    let its = prototypeLabels[j];
    var g0 = vec4f(0.0);
    var g1 = vec4f(0.0);
    var g2 = vec4f(0.0);
    var g3 = vec4f(0.0);
    if (any(its >= vec4i(0))) {
      g0 = gradient(p0, its, ids, j);
      g1 = gradient(p1, its, ids, j);
      g2 = gradient(p2, its, ids, j);
      g3 = gradient(p3, its, ids, j);
    }
    grad[p0.row + j] = g0;
    grad[p1.row + j] = g1;
    grad[p2.row + j] = g2;
    grad[p3.row + j] = g3;
    ids += 4;
  }
}
