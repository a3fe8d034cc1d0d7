// Adds up `rounds` ones, so that what it takes is known beforehand.

const ROUNDS: u32 = 1u;  // @param

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
  var sum = x[i];
  for (var round = 0u; round < ROUNDS; round++) { sum = sum * 0.5 + 1.0; }
  y[i] = sum;
}
