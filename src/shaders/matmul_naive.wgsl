// c[batch, m, n] = sum over k of a[batch, m, k] * b[batch, k, n]: one invocation an element.
// Transposed operands are a matter of strides: element (m, k) of `a` lies at m * a_m + k * a_k.

alias StoredA = f32;  // @param  elements of `a` in memory: f32, or u32 of two halves
alias StoredB = f32;  // @param  of `b`
alias StoredC = f32;  // @param  of `c`: an invocation writes one

struct Uniforms {
  words: u32,  // that are written
  batches: u32, m: u32, n: u32, k: u32,
  a_batch: u32, a_m: u32, a_k: u32,  // strides in elements; a_batch is 0 where all batches share `a`
  b_batch: u32, b_k: u32, b_n: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<StoredA>;
@group(0) @binding(2) var<storage, read> b: array<StoredB>;
@group(0) @binding(3) var<storage, read_write> c: array<StoredC>;

fn load_a(i: u32) -> f32 { return a[i]; }  // @param
fn load_b(i: u32) -> f32 { return b[i]; }  // @param
fn stored(i: u32) -> StoredC { return element(i); }  // @param

fn element(i: u32) -> f32 {
  let col = i % u.n;
  let row = i / u.n % u.m;
  let batch = i / (u.n * u.m);

  var at_a = batch * u.a_batch + row * u.a_m;
  var at_b = batch * u.b_batch + col * u.b_n;
  var total = 0.0;
  for (var k = 0u; k < u.k; k++) {
    total += load_a(at_a) * load_b(at_b);
    at_a += u.a_k;
    at_b += u.b_k;
  }
  return total;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.words) { return; }
  c[i] = stored(i);
}
