// First pass of the parameter gradients of batch normalisation for CPU adapters: sums over chunks of rows, sixteen
// neighbouring channels an invocation, so that each row is read in long pieces.
alias StoredG = vec4f;  // @param  or vec2u, of halves
fn widen_g(v: StoredG) -> vec4f { return v; }  // @param
alias StoredX = vec4f;  // @param
fn widen_x(v: StoredX) -> vec4f { return v; }  // @param

struct Uniforms { rows: u32, channels4: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> grad: array<StoredG>;
@group(0) @binding(2) var<storage, read> x: array<StoredX>;
@group(0) @binding(3) var<storage, read> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read> inverse: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> partial: array<vec4f>;  // [chunks, 2, channels4]

fn write(at: u32, channel: u32, sum: vec4f, product: vec4f) {
  partial[at] = sum;
  partial[at + u.channels4] = product * inverse[channel];
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 4u + local;
  let blocks = u.channels4 / 4u;
  if (index >= u.chunks * blocks) { return; }
  let chunk = index / blocks;
  let channel = (index - chunk * blocks) * 4u;
  let first = chunk * u.chunk;
  let rows = min(u.chunk, u.rows - first);
  let mean0 = mean[channel];
  let mean1 = mean[channel + 1u];
  let mean2 = mean[channel + 2u];
  let mean3 = mean[channel + 3u];
  var sum0 = vec4f(0.0);
  var sum1 = vec4f(0.0);
  var sum2 = vec4f(0.0);
  var sum3 = vec4f(0.0);
  var product0 = vec4f(0.0);
  var product1 = vec4f(0.0);
  var product2 = vec4f(0.0);
  var product3 = vec4f(0.0);
  var at = first * u.channels4 + channel;
  for (var row = 0u; row < rows; row++) {
    let g0 = widen_g(grad[at]);
    let g1 = widen_g(grad[at + 1u]);
    let g2 = widen_g(grad[at + 2u]);
    let g3 = widen_g(grad[at + 3u]);
    sum0 += g0;
    sum1 += g1;
    sum2 += g2;
    sum3 += g3;
    product0 += g0 * (widen_x(x[at]) - mean0);
    product1 += g1 * (widen_x(x[at + 1u]) - mean1);
    product2 += g2 * (widen_x(x[at + 2u]) - mean2);
    product3 += g3 * (widen_x(x[at + 3u]) - mean3);
    at += u.channels4;
  }
  let to = chunk * 2u * u.channels4 + channel;
  write(to, channel, sum0, product0);
  write(to + 1u, channel + 1u, sum1, product1);
  write(to + 2u, channel + 2u, sum2, product2);
  write(to + 3u, channel + 3u, sum3, product3);
}
