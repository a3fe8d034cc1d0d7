// Second pass of a segment sum: adds up the tables of a batch's chunks, in order.
alias V = f32;  // @param

struct Uniforms { count: u32, chunks: u32, size: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> parts: array<V>;
@group(0) @binding(2) var<storage, read_write> sums: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  // `size` elements make up the table of one chunk.
  let batch = index / u.size;
  var at = batch * u.chunks * u.size + (index - batch * u.size);
  var sum = V();
  for (var chunk = 0u; chunk < u.chunks; chunk++) {
    sum += parts[at];
    at += u.size;
  }
  sums[index] = sum;
}
