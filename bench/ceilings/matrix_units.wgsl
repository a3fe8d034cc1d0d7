// The rate of subgroup matrices (tensor cores): products of matrices that stay in registers.
enable f16;
enable chromium_experimental_subgroup_matrix;

alias R = f32;  // @param
const M: u32 = 16u;  // @param
const N: u32 = 16u;  // @param
const K: u32 = 16u;  // @param
const SIZE: u32 = 128u;  // @param

struct Uniforms {
  iterations: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> operands: array<f16>;
@group(0) @binding(2) var<storage, read_write> result: array<R>;

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u) {
  let left0 = subgroupMatrixLoad<subgroup_matrix_left<f16, K, M>>(&operands, 0u, false, K);
  let left1 = subgroupMatrixLoad<subgroup_matrix_left<f16, K, M>>(&operands, M * K, false, K);
  let right0 = subgroupMatrixLoad<subgroup_matrix_right<f16, N, K>>(&operands, 0u, false, N);
  let right1 = subgroupMatrixLoad<subgroup_matrix_right<f16, N, K>>(&operands, K * N, false, N);
  var a: subgroup_matrix_result<R, N, M>;
  var b: subgroup_matrix_result<R, N, M>;
  var c: subgroup_matrix_result<R, N, M>;
  var d: subgroup_matrix_result<R, N, M>;
  for (var i = 0u; i < u.iterations; i++) {
    a = subgroupMatrixMultiplyAccumulate(left0, right0, a);
    b = subgroupMatrixMultiplyAccumulate(left0, right1, b);
    c = subgroupMatrixMultiplyAccumulate(left1, right0, c);
    d = subgroupMatrixMultiplyAccumulate(left1, right1, d);
  }
  // The subgroups of a workgroup store the same numbers in the same place: a loop without a result would be removed.
  let at = group.x * 4u * M * N;
  subgroupMatrixStore(&result, at, a, false, N);
  subgroupMatrixStore(&result, at + M * N, b, false, N);
  subgroupMatrixStore(&result, at + 2u * M * N, c, false, N);
  subgroupMatrixStore(&result, at + 3u * M * N, d, false, N);
}
