// The k largest of each row of [rows, length], descending, equal ones by column: k scans of the row, each for the
// largest of those that come after the one found last.
struct Uniforms { rows: u32, length: u32, k: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> columns: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64u + local;
  if (row >= u.rows) { return; }
  let start = row * u.length;
  var last = 0.0;
  var lastAt = -1;
  for (var j = 0u; j < u.k; j++) {
    var best = 0.0;
    var at = -1;
    for (var i = 0; i < i32(u.length); i++) {
      let value = x[start + u32(i)];
      let later = (value < last) | ((value == last) & (i > lastAt)) | (j == 0u);
      let better = later & ((value > best) | (at < 0));
      best = select(best, value, better);
      at = select(at, i, better);
    }
    values[row * u.k + j] = best;
    columns[row * u.k + j] = at;
    last = best;
    lastAt = at;
  }
}
