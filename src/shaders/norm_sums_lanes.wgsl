// First pass of the parameter gradients of batch normalisation for GPUs: sums over chunks of rows. A workgroup takes 8 vectors of
// four channels of a chunk, 32 invocations each, so that neighbours read neighbours and there are many of them.
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

var<workgroup> sums: array<vec4f, 256>;
var<workgroup> products: array<vec4f, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = group.y * groups.x + group.x;
  let blocks = (u.channels4 + 7u) / 8u;
  let chunk = index / blocks;
  let channel = (index - chunk * blocks) * 8u + local % 8u;
  let first = min(chunk * u.chunk, u.rows);
  let end = select(first, min(first + u.chunk, u.rows), channel < u.channels4);
  let m = mean[min(channel, u.channels4 - 1u)];
  var sum = vec4f(0.0);
  var product = vec4f(0.0);
  for (var row = first + local / 8u; row < end; row += 32u) {
    let at = row * u.channels4 + channel;
    let g = widen_g(grad[at]);
    sum += g;
    product += g * (widen_x(x[at]) - m);
  }
  sums[local] = sum;
  products[local] = product;
  for (var half = 128u; half >= 8u; half /= 2u) {
    workgroupBarrier();
    if (local < half) {
      sums[local] += sums[local + half];
      products[local] += products[local + half];
    }
  }
  if ((local >= 8u) | (channel >= u.channels4) | (chunk >= u.chunks)) { return; }
  partial[chunk * 2u * u.channels4 + channel] = sums[local];
  partial[(chunk * 2u + 1u) * u.channels4 + channel] = products[local] * inverse[channel];
}
