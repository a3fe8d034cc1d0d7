// Rows of a table by index: table [batch, rows, width], indices [batch, positions] to [batch, positions, width].
// An index outside of the table gives zeros. Copies bits, so any element type will do.
alias V = u32;  // @param

struct Uniforms { count: u32, run: u32, runs: u32, width: u32, rows: u32, positions: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> rows: array<V>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let position = index / u.runs;
  let first = (index - position * u.runs) * u.run;
  // Read as unsigned, negative indices lie beyond the table too.
  let row = indices[position];
  let known = row < u.rows;
  let base = (position / u.positions * u.rows + select(0u, row, known)) * u.width;
  for (var d = first; d < min(first + u.run, u.width); d++) {
    y[position * u.width + d] = select(V(), rows[base + d], known);
  }
}
