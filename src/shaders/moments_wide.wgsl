// First pass of moments for CPU adapters: mean and sum of squared deviations of each chunk of rows, sixteen neighbouring
// channels an invocation, so that each row is read in long pieces, and once. Deviations are taken from the chunk's first row,
// so that no digits cancel where the mean is large.
alias StoredX = vec4f;  // @param  or vec2u, of halves
fn widen_x(v: StoredX) -> vec4f { return v; }  // @param

struct Uniforms { rows: u32, channels4: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredX>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4f>;  // [chunks, 2, channels4]

fn write(at: u32, shift: vec4f, sum: vec4f, squares: vec4f, rows: f32) {
  let mean = sum / rows;
  partial[at] = shift + mean;
  partial[at + u.channels4] = max(squares - sum * mean, vec4f(0.0));
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
  var at = first * u.channels4 + channel;
  let shift0 = widen_x(x[at]);
  let shift1 = widen_x(x[at + 1u]);
  let shift2 = widen_x(x[at + 2u]);
  let shift3 = widen_x(x[at + 3u]);
  var sum0 = vec4f(0.0);
  var sum1 = vec4f(0.0);
  var sum2 = vec4f(0.0);
  var sum3 = vec4f(0.0);
  var squares0 = vec4f(0.0);
  var squares1 = vec4f(0.0);
  var squares2 = vec4f(0.0);
  var squares3 = vec4f(0.0);
  for (var row = 1u; row < rows; row++) {
    at += u.channels4;
    let d0 = widen_x(x[at]) - shift0;
    let d1 = widen_x(x[at + 1u]) - shift1;
    let d2 = widen_x(x[at + 2u]) - shift2;
    let d3 = widen_x(x[at + 3u]) - shift3;
    sum0 += d0;
    sum1 += d1;
    sum2 += d2;
    sum3 += d3;
    squares0 += d0 * d0;
    squares1 += d1 * d1;
    squares2 += d2 * d2;
    squares3 += d3 * d3;
  }
  let to = chunk * 2u * u.channels4 + channel;
  let count = f32(rows);
  write(to, shift0, sum0, squares0, count);
  write(to + 1u, shift1, sum1, squares1, count);
  write(to + 2u, shift2, sum2, squares2, count);
  write(to + 3u, shift3, sum3, squares3, count);
}
