// One-hot rows of indices: 1 at the index, 0 elsewhere; all zeros for an index outside of the row.
struct Uniforms { count: u32, depth: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let position = index / u.depth;
  y[index] = select(0.0, 1.0, indices[position] == index - position * u.depth);
}
