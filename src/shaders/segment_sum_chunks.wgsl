// First pass of a segment sum: an invocation owns one column (or group of four) of one chunk of positions. It clears
// that column of the chunk's own table of sums, then walks the chunk once, adding each value to its segment's row.
// One writer to every place and a fixed order, without atomics.
alias V = f32;  // @param

struct Uniforms {
  count: u32, positions: u32, segments: u32, width: u32, chunks: u32, chunk: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> values: array<V>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums: array<V>;

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 16u + local;
  if (index >= u.count) { return; }
  let part = index / u.width;
  let column = index - part * u.width;
  let batch = part / u.chunks;
  let own = part * u.segments * u.width + column;
  for (var at = own; at < own + u.segments * u.width; at += u.width) { sums[at] = V(); }
  let first = (part - batch * u.chunks) * u.chunk;
  let start = batch * u.positions;
  for (var p = start + first; p < start + min(first + u.chunk, u.positions); p++) {
    let segment = ids[p];
    // As unsigned numbers negative ids are large.
    if (segment < u.segments) { sums[own + segment * u.width] += values[p * u.width + column]; }
  }
}
