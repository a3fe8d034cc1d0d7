// Index of the first maximum of each row of [rows, length], for long rows on a GPU: a workgroup shares a row, and its
// invocations' findings are merged in a tree.
struct Uniforms { rows: u32, length: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<i32>;

var<workgroup> values: array<f32, 64>;
var<workgroup> columns: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= u.rows) { return; }
  let start = row * u.length;
  var at = min(local, u.length - 1u);
  var best = x[start + at];
  for (var i = local + 64u; i < u.length; i += 64u) {
    let value = x[start + i];
    let better = value > best;
    best = select(best, value, better);
    at = select(at, i, better);
  }
  values[local] = best;
  columns[local] = at;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) {
      let other = values[local + half];
      let column = columns[local + half];
      let better = (other > best) | ((other == best) & (column < at));
      best = select(best, other, better);
      at = select(at, column, better);
      values[local] = best;
      columns[local] = at;
    }
  }
  if (local == 0u) { y[row] = i32(at); }
}
