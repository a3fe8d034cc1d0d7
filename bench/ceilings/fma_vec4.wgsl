// The rate of multiply-adds: chains of them in registers, and nothing read or written in the loop. Several chains an
// invocation hide the latency of each; how many are best depends on how many registers there are.
alias S = f32;  // @param
alias V = vec4f;  // @param
const CHAINS: u32 = 8u;  // @param
const FUSED: bool = true;  // @param
const SIZE: u32 = 64u;  // @param

struct Uniforms {
  iterations: u32,
  scale: f32,
  offset: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;

fn next(a: V, x: V, y: V) -> V {
  if (FUSED) {
    return fma(a, x, y);
  }
  return a * x + y;
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let x = V(S(u.scale));
  let y = V(S(u.offset) + S(local) * S(u.offset));
  var a = V(S(local));
  var b = a + y;
  var c = b + y;
  var d = c + y;
  var e = d + y;
  var f = e + y;
  var g = f + y;
  var h = g + y;
  for (var i = 0u; i < u.iterations; i++) {
    a = next(a, x, y);
    b = next(b, x, y);
    if (CHAINS > 2u) {
      c = next(c, x, y);
      d = next(d, x, y);
    }
    if (CHAINS > 4u) {
      e = next(e, x, y);
      f = next(f, x, y);
      g = next(g, x, y);
      h = next(h, x, y);
    }
  }
  result[group.x * SIZE + local] = vec4f(a + b + c + d + e + f + g + h);
}
