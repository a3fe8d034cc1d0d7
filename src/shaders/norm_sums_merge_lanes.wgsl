// Second pass of the parameter gradients of batch normalisation for GPUs: adds up the chunks, 16 invocations for each four
// channels. In a fixed order, as all sums are.
struct Uniforms { rows: u32, channels4: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> partial: array<vec4f>;  // [chunks, 2, channels4]
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> products: array<vec4f>;

var<workgroup> shares: array<array<vec4f, 2>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let channel = (group.y * groups.x + group.x) * 4u + local % 4u;
  let at = min(channel, u.channels4 - 1u);
  var sum = vec4f(0.0);
  var product = vec4f(0.0);
  for (var chunk = local / 4u; chunk < u.chunks; chunk += 16u) {
    sum += partial[chunk * 2u * u.channels4 + at];
    product += partial[(chunk * 2u + 1u) * u.channels4 + at];
  }
  shares[local] = array<vec4f, 2>(sum, product);
  workgroupBarrier();
  if ((channel >= u.channels4) | (local >= 4u)) { return; }
  for (var lane = 1u; lane < 16u; lane++) {
    sum += shares[lane * 4u + local][0];
    product += shares[lane * 4u + local][1];
  }
  sums[channel] = sum;
  products[channel] = product;
}
