// Where in the valid part of its image each pixel lies, as (y / height, x / width), then zeros; all 0 in the padding.
struct Uniforms { count: u32, height: u32, width: u32, channels: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> sizes: array<f32>;
@group(0) @binding(2) var<storage, read_write> locations: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let line = index / u.width;
  let image = line / u.height;
  let y = f32(line - image * u.height);
  let x = f32(index - line * u.width);
  let height = sizes[image * 2u];
  let width = sizes[image * 2u + 1u];
  let inside = (y < height) & (x < width);
  let at = index * u.channels;
  locations[at] = select(0.0, y / max(height, 1.0), inside);
  locations[at + 1u] = select(0.0, x / max(width, 1.0), inside);
  for (var c = 2u; c < u.channels; c++) { locations[at + c] = 0.0; }
}
