// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2,
// 3", SC 2011). Key (seed, 0), counter (block, step, stream, 0); a block makes four neighbouring elements. Uniform
// numbers are the upper 24 bits of a word; normal ones are pairs by Box and Muller, with logarithm, sine and cosine
// spelt out, because WGSL's own may be off by 2^-11.
const NORMAL: bool = false;  // @param

struct Uniforms { blocks: u32, stream: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> seed: array<u32>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

// Upper and lower word of the 64-bit product.
fn multiply(a: u32, b: u32) -> vec2u {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let middle = a1 * b0 + ((a0 * b0) >> 16u);
  let carry = a0 * b1 + (middle & 0xffffu);
  return vec2u(a1 * b1 + (middle >> 16u) + (carry >> 16u), a * b);
}

fn philox(start: vec4u, seedKey: u32) -> vec4u {
  var counter = start;
  var key = vec2u(seedKey, 0u);
  for (var round = 0u; round < 10u; round++) {
    let a = multiply(0xd2511f53u, counter.x);
    let b = multiply(0xcd9e8d57u, counter.z);
    counter = vec4u(b.x ^ counter.y ^ key.x, b.y, a.x ^ counter.w ^ key.y, a.y);
    key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return counter;
}

// Natural logarithm of x in (0, 1]: by the exponent, and the series of 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172.
fn logarithm(x: vec2f) -> vec2f {
  let bits = bitcast<vec2u>(x) - bitcast<vec2u>(vec2f(0.70710678));
  let exponent = vec2f(bitcast<vec2i>(bits) >> vec2u(23u));
  let mantissa = bitcast<vec2f>((bits & vec2u(0x7fffffu)) + bitcast<vec2u>(vec2f(0.70710678)));
  let s = (mantissa - 1.0) / (mantissa + 1.0);
  let t = s * s;
  let series = 2.0 * s * (1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t * (1.0 / 9.0)))));
  return exponent * 0.69314718 + series;
}

// Cosine and sine of `turns` in [0, 1) full turns: by quadrant, then Taylor's series up to an eighth of a turn.
fn cosines(turns: vec2f) -> array<vec2f, 2> {
  let quadrant = floor(turns * 4.0 + 0.5);
  let angle = (turns - quadrant * 0.25) * 6.2831853;
  let t = angle * angle;
  let c = 1.0 + t * (-1.0 / 2.0 + t * (1.0 / 24.0 + t * (-1.0 / 720.0 + t * (1.0 / 40320.0))));
  let s = angle * (1.0 + t * (-1.0 / 6.0 + t * (1.0 / 120.0 + t * (-1.0 / 5040.0 + t * (1.0 / 362880.0)))));
  let which = vec2u(quadrant);
  let swapped = (which & vec2u(1u)) == vec2u(1u);
  let cosine = select(c, s, swapped);
  let sine = select(s, c, swapped);
  let cosineNegative = ((which + 1u) & vec2u(2u)) == vec2u(2u);
  let sineNegative = (which & vec2u(2u)) == vec2u(2u);
  return array<vec2f, 2>(select(cosine, -cosine, cosineNegative), select(sine, -sine, sineNegative));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let block = (group.y * groups.x + group.x) * 64u + local;
  if (block >= u.blocks) { return; }
  let words = philox(vec4u(block, step[0], u.stream, 0u), seed[0]) >> vec4u(8u);
  if (NORMAL) {
    let radius = sqrt(-2.0 * logarithm(vec2f(words.xz + 1u) * 0x1p-24));
    let directions = cosines(vec2f(words.yw) * 0x1p-24);
    let a = radius * directions[0];
    let b = radius * directions[1];
    y[block] = vec4f(a.x, b.x, a.y, b.y);
  } else {
    y[block] = vec4f(words) * 0x1p-24;
  }
}
