// Second pass of the parameter gradients of batch normalisation: adds up the chunks in order.
struct Uniforms { rows: u32, channels4: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> partial: array<vec4f>;  // [chunks, 2, channels4]
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> products: array<vec4f>;

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let channel = (group.y * groups.x + group.x) * 4u + local;
  if (channel >= u.channels4) { return; }
  var sum = vec4f(0.0);
  var product = vec4f(0.0);
  for (var chunk = 0u; chunk < u.chunks; chunk++) {
    sum += partial[chunk * 2u * u.channels4 + channel];
    product += partial[(chunk * 2u + 1u) * u.channels4 + channel];
  }
  sums[channel] = sum;
  products[channel] = product;
}
