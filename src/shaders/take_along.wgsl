// From each row of [rows, length] the elements at the row's k columns: x [rows, length], columns [rows, k] to [rows, k].
alias T = f32;  // @param

struct Uniforms { count: u32, length: u32, k: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> columns: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let column = columns[index];
  let known = column < u.length;
  y[index] = select(T(), x[index / u.k * u.length + select(0u, column, known)], known);
}
