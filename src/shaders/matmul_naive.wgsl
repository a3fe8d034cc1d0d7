// c[batch, m, n] = sum over k of a[batch, m, k] * b[batch, k, n]: one invocation an element.
// Transposed operands are a matter of strides: element (m, k) of `a` lies at m * a_m + k * a_k.

struct Uniforms {
  batches: u32, m: u32, n: u32, k: u32,
  a_batch: u32, a_m: u32, a_k: u32,  // strides in elements; a_batch is 0 where all batches share `a`
  b_batch: u32, b_k: u32, b_n: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.batches * u.m * u.n) { return; }
  let col = i % u.n;
  let row = i / u.n % u.m;
  let batch = i / (u.n * u.m);

  var at_a = batch * u.a_batch + row * u.a_m;
  var at_b = batch * u.b_batch + col * u.b_n;
  var total = 0.0;
  for (var k = 0u; k < u.k; k++) {
    total += a[at_a] * b[at_b];
    at_a += u.a_k;
    at_b += u.b_k;
  }
  c[i] = total;
}
