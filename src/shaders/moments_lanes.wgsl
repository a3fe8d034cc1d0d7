// First pass of moments for GPUs: mean and sum of squared deviations of each chunk of rows. A workgroup takes 8 vectors of four
// channels of a chunk, 32 invocations each, so that neighbours read neighbours and there are many of them. The mean comes
// first, so that no digits cancel where it is large.
alias StoredX = vec4f;  // @param  or vec2u, of halves
fn widen_x(v: StoredX) -> vec4f { return v; }  // @param

struct Uniforms { rows: u32, channels4: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredX>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4f>;  // [chunks, 2, channels4]

var<workgroup> shares: array<vec4f, 256>;

fn total(share: vec4f, local: u32) -> vec4f {
  workgroupBarrier();
  shares[local] = share;
  for (var half = 128u; half >= 8u; half /= 2u) {
    workgroupBarrier();
    if (local < half) { shares[local] += shares[local + half]; }
  }
  workgroupBarrier();
  return shares[local % 8u];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = group.y * groups.x + group.x;
  let blocks = (u.channels4 + 7u) / 8u;
  let chunk = index / blocks;
  let channel = (index - chunk * blocks) * 8u + local % 8u;
  let first = min(chunk * u.chunk, u.rows);
  let end = select(first, min(first + u.chunk, u.rows), channel < u.channels4);
  let count = f32(min(u.chunk, u.rows - first));
  var sum = vec4f(0.0);
  for (var row = first + local / 8u; row < end; row += 32u) { sum += widen_x(x[row * u.channels4 + channel]); }
  let mean = total(sum, local) / count;
  var squares = vec4f(0.0);
  for (var row = first + local / 8u; row < end; row += 32u) {
    let d = widen_x(x[row * u.channels4 + channel]) - mean;
    squares += d * d;
  }
  squares = total(squares, local);
  if ((local >= 8u) | (channel >= u.channels4) | (chunk >= u.chunks)) { return; }
  partial[chunk * 2u * u.channels4 + channel] = mean;
  partial[(chunk * 2u + 1u) * u.channels4 + channel] = squares;
}
