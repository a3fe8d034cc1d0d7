// Second pass of moments for GPUs: merges the chunks (Chan, Golub and LeVeque, 1979), 16 invocations for each four channels.
// The mean comes first, so that squares are added up around it and nowhere divided. In a fixed order, as all sums are.
struct Uniforms { rows: u32, channels4: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> partial: array<vec4f>;  // [chunks, 2, channels4]
@group(0) @binding(2) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> variance: array<vec4f>;

var<workgroup> shares: array<vec4f, 64>;

fn total(share: vec4f, local: u32) -> vec4f {
  workgroupBarrier();
  shares[local] = share;
  workgroupBarrier();
  var sum = vec4f(0.0);
  for (var i = local % 4u; i < 64u; i += 4u) { sum += shares[i]; }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let channel = (group.y * groups.x + group.x) * 4u + local % 4u;
  let at = min(channel, u.channels4 - 1u);
  var sum = vec4f(0.0);
  for (var i = local / 4u; i < u.chunks; i += 16u) {
    sum += partial[i * 2u * u.channels4 + at] * f32(min(u.chunk, u.rows - i * u.chunk));
  }
  let m = total(sum, local) / f32(u.rows);
  var squares = vec4f(0.0);
  for (var i = local / 4u; i < u.chunks; i += 16u) {
    let d = partial[i * 2u * u.channels4 + at] - m;
    squares += partial[(i * 2u + 1u) * u.channels4 + at] + d * d * f32(min(u.chunk, u.rows - i * u.chunk));
  }
  squares = total(squares, local);
  if ((channel >= u.channels4) | (local >= 4u)) { return; }
  mean[channel] = m;
  variance[channel] = squares / f32(u.rows);
}
