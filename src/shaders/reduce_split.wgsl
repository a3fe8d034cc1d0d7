// First pass of a long reduction: [outer, length, inner] to [outer, chunks, inner], four columns an invocation.
const MAX: bool = false;  // @param

alias StoredX = vec4f;  // @param  or vec2u, of halves
fn widen_x(v: StoredX) -> vec4f { return v; }  // @param

struct Uniforms { outer: u32, length: u32, inner4: u32, chunks: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<StoredX>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.outer * u.chunks * u.inner4) { return; }
  let row = index / u.inner4;
  let column = index - row * u.inner4;
  let outer = row / u.chunks;
  let first = (row - outer * u.chunks) * u.chunk;
  let last = min(first + u.chunk, u.length);
  var at = (outer * u.length + first) * u.inner4 + column;
  var result = select(vec4f(0.0), widen_x(x[at]), MAX);
  for (var r = first; r < last; r++) {
    let value = widen_x(x[at]);
    result = select(result + value, max(result, value), MAX);
    at += u.inner4;
  }
  y[index] = result;
}
