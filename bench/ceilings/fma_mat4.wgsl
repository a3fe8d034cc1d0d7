// The same with products of 4x4 matrices and vectors, 16 multiply-adds each, which CPU adapters like best.
const CHAINS: u32 = 4u;  // @param
const SIZE: u32 = 64u;  // @param

struct Uniforms {
  iterations: u32,
  scale: f32,
  offset: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = vec4f(u.scale / 4.0, u.offset, u.offset, u.offset);
  let m = mat4x4f(row, row.yxzw, row.yzxw, row.yzwx);
  let y = vec4f(u.offset + f32(local) * u.offset);
  var a = vec4f(f32(local));
  var b = a + y;
  var c = b + y;
  var d = c + y;
  for (var i = 0u; i < u.iterations; i++) {
    a = y + m * a;
    b = y + m * b;
    if (CHAINS > 2u) {
      c = y + m * c;
      d = y + m * d;
    }
  }
  result[group.x * SIZE + local] = a + b + c + d;
}
