// The segment of each pixel: its number in the image, and its row in the table of all images.
struct Uniforms { count: u32, pixels: u32, clusters: u32, classes: u32, capacity: u32, ignored: i32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> clusters: array<i32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read> numbers: array<u32>;
@group(0) @binding(4) var<storage, read_write> segments: array<i32>;
@group(0) @binding(5) var<storage, read_write> rows: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let pixel = (group.y * groups.x + group.x) * 64u + local;
  if (pixel >= u.count) { return; }
  let image = pixel / u.pixels;
  let cluster = clusters[pixel];
  let label = labels[pixel];
  let known = (label >= 0) & (label < i32(u.classes)) & (label != u.ignored);
  let clustered = (cluster >= 0) & (cluster < i32(u.clusters));
  let pair = (image * u.clusters + u32(select(0, cluster, clustered))) * u.classes + u32(select(0, label, known));
  let number = select(0u, numbers[pair], known & clustered);
  let segment = select(-1, i32(number) - 1, number <= u.capacity);
  segments[pixel] = segment;
  rows[pixel] = select(-1, i32(image * u.capacity) + segment, segment >= 0);
}
