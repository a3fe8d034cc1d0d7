// First pass of moments: mean and sum of squared deviations of each chunk of rows, four channels an invocation.
// The deviations are taken from the chunk's own mean, so that no digits cancel where the mean is large.
alias StoredX = vec4f;  // @param  or vec2u, of halves
fn widen_x(v: StoredX) -> vec4f { return v; }  // @param

struct Uniforms { rows: u32, channels4: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredX>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4f>;  // [chunks, 2, channels4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.chunks * u.channels4) { return; }
  let chunk = index / u.channels4;
  let channel = index - chunk * u.channels4;
  let first = chunk * u.chunk;
  let rows = min(u.chunk, u.rows - first);
  let start = first * u.channels4 + channel;
  var sum = vec4f(0.0);
  var at = start;
  for (var row = 0u; row < rows; row++) {
    sum += widen_x(x[at]);
    at += u.channels4;
  }
  let mean = sum / f32(rows);
  var squares = vec4f(0.0);
  at = start;
  for (var row = 0u; row < rows; row++) {
    let d = widen_x(x[at]) - mean;
    squares += d * d;
    at += u.channels4;
  }
  partial[chunk * 2u * u.channels4 + channel] = mean;
  partial[(chunk * 2u + 1u) * u.channels4 + channel] = squares;
}
