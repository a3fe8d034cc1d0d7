// Transposes [batch, rows, columns] to [batch, columns, rows], both multiples of 4: an invocation turns a 4x4 block in
// registers, so that all memory traffic is in vectors.
struct Uniforms { count: u32, rows4: u32, columns4: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4u>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = (group.y * groups.x + group.x) * 64u + local;
  if (index >= u.count) { return; }
  let strip = index / u.columns4;
  let column = index - strip * u.columns4;
  let batch = strip / u.rows4;
  let row = strip - batch * u.rows4;
  let source = strip * 4u * u.columns4 + column;
  let a = x[source];
  let b = x[source + u.columns4];
  let c = x[source + 2u * u.columns4];
  let d = x[source + 3u * u.columns4];
  let to = (batch * u.columns4 + column) * 4u * u.rows4 + row;
  y[to] = vec4u(a.x, b.x, c.x, d.x);
  y[to + u.rows4] = vec4u(a.y, b.y, c.y, d.y);
  y[to + 2u * u.rows4] = vec4u(a.z, b.z, c.z, d.z);
  y[to + 3u * u.rows4] = vec4u(a.w, b.w, c.w, d.w);
}
