// First pass of the parameter gradients of batch normalisation: sums over chunks of rows, four channels an invocation.
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

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.chunks * u.channels4) { return; }
  let chunk = index / u.channels4;
  let channel = index - chunk * u.channels4;
  let first = chunk * u.chunk;
  let rows = min(u.chunk, u.rows - first);
  let m = mean[channel];
  var sum = vec4f(0.0);
  var product = vec4f(0.0);
  var at = first * u.channels4 + channel;
  for (var row = 0u; row < rows; row++) {
    let g = widen_g(grad[at]);
    sum += g;
    product += g * (widen_x(x[at]) - m);
    at += u.channels4;
  }
  partial[chunk * 2u * u.channels4 + channel] = sum;
  partial[(chunk * 2u + 1u) * u.channels4 + channel] = product * inverse[channel];
}
