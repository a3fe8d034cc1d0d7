// Copies matrices [from_rows, from_columns] into matrices [to_rows, to_columns], with zeros where those are larger.

alias StoredA = f32;  // @param  elements in memory: f32, or u32 of two halves
alias StoredC = f32;  // @param  an invocation writes one

struct Uniforms { words: u32, from_rows: u32, from_columns: u32, to_rows: u32, to_columns: u32 }

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> original: array<StoredA>;
@group(0) @binding(2) var<storage, read_write> resized: array<StoredC>;

fn load_a(i: u32) -> f32 { return original[i]; }  // @param
fn stored(i: u32) -> StoredC { return element(i); }  // @param

fn element(i: u32) -> f32 {
  let column = i % u.to_columns;
  let row = i / u.to_columns % u.to_rows;
  let plane = i / (u.to_columns * u.to_rows);
  let inside = (column < u.from_columns) & (row < u.from_rows);
  let at = select(0u, (plane * u.from_rows + row) * u.from_columns + column, inside);
  return select(0.0, load_a(at), inside);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + local;
  if (i >= u.words) { return; }
  resized[i] = stored(i);
}
