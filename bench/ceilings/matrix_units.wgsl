// The rate of subgroup matrices (tensor cores): products of matrices that stay in registers. Written in the newest form of the
// extension; src/platform/matrix_units.ts, which rewrites it for older ones, lists the lines that it knows.
enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);

alias Component = f16;
alias Staged = vec4<Component>;
alias Total = f32;  // @param  what sums are kept in
const M: u32 = 16u;  // @param
const N: u32 = 16u;  // @param
const K: u32 = 16u;  // @param
const SIZE: u32 = 128u;  // @param

alias Left = subgroup_matrix_left<Component, K, M>;
alias Right = subgroup_matrix_right<Component, N, K>;
alias Result = subgroup_matrix_result<Total, N, M>;

// Vectors of a line and of a matrix, of either operand.
const LEFT_LINE = K / 4u;
const LEFT_SIZE = M * LEFT_LINE;
const RIGHT_LINE = N / 4u;
const RIGHT_SIZE = K * RIGHT_LINE;
const LEFTS = 2u * LEFT_SIZE;
const RIGHTS = 2u * RIGHT_SIZE;

struct Uniforms {
  iterations: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> operands: array<Staged>;
@group(0) @binding(2) var<storage, read_write> result: array<Total>;

var<workgroup> left: array<Staged, LEFTS>;
var<workgroup> right: array<Staged, RIGHTS>;

fn stage_left(at: u32, values: Staged) { left[at] = values; }
fn stage_right(at: u32, values: Staged) { right[at] = values; }

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  for (var i = local; i < LEFTS; i += SIZE) { stage_left(i, operands[i]); }
  for (var i = local; i < RIGHTS; i += SIZE) { stage_right(i, operands[i]); }
  workgroupBarrier();
  let first = 0u;
  let left0 = subgroupMatrixLoad<Left, row_major>(&left, first, LEFT_LINE);
  let left1 = subgroupMatrixLoad<Left, row_major>(&left, LEFT_SIZE, LEFT_LINE);
  let right0 = subgroupMatrixLoad<Right, row_major>(&right, first, RIGHT_LINE);
  let right1 = subgroupMatrixLoad<Right, row_major>(&right, RIGHT_SIZE, RIGHT_LINE);
  var a = Result();
  var b = Result();
  var c = Result();
  var d = Result();
  for (var i = 0u; i < u.iterations; i++) {
    a = subgroupMatrixMultiplyAccumulate(left0, right0, a);
    b = subgroupMatrixMultiplyAccumulate(left0, right1, b);
    c = subgroupMatrixMultiplyAccumulate(left1, right0, c);
    d = subgroupMatrixMultiplyAccumulate(left1, right1, d);
  }
  // The subgroups of a workgroup store the same numbers in the same place: a loop without a result would be removed.
  let at = group.x * 4u * M * N;
  subgroupMatrixStore<row_major>(&result, at, a, N);
  subgroupMatrixStore<row_major>(&result, at + M * N, b, N);
  subgroupMatrixStore<row_major>(&result, at + 2u * M * N, c, N);
  subgroupMatrixStore<row_major>(&result, at + 3u * M * N, d, N);
}
