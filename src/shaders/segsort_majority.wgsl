// The index of the largest count of each row, the lower one of equals; -1 for a row of zeros.
struct Uniforms { count: u32, classes: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> histogram: array<i32>;
@group(0) @binding(2) var<storage, read_write> winner: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.count) { return; }
  var most = 0;
  var best = -1;
  for (var label = 0u; label < u.classes; label++) {
    let count = histogram[row * u.classes + label];
    let more = count > most;
    best = select(best, i32(label), more);
    most = select(most, count, more);
  }
  winner[row] = best;
}
