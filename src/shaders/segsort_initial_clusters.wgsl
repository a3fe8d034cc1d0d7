// The cell of a uniform grid that each pixel lies in, over the valid part of its image; -1 in the padding.
struct Uniforms { count: u32, height: u32, width: u32, rows: u32, columns: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> sizes: array<f32>;
@group(0) @binding(2) var<storage, read_write> clusters: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let line = index / u.width;
  let image = line / u.height;
  let y = line - image * u.height;
  let x = index - line * u.width;
  let height = u32(sizes[image * 2u]);
  let width = u32(sizes[image * 2u + 1u]);
  let cellHeight = max(1u, (height + u.rows - 1u) / u.rows);
  let cellWidth = max(1u, (width + u.columns - 1u) / u.columns);
  let rowsUsed = (height + cellHeight - 1u) / cellHeight;
  let cluster = y / cellHeight + rowsUsed * (x / cellWidth);
  clusters[index] = select(-1, i32(cluster), (y < height) & (x < width));
}
