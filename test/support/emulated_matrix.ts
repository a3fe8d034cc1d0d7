/**
 * The kernels for matrix units where there are none: the text of the very kernels, in which a subgroup is one invocation,
 * which multiplies fragments by loops. So what remains untested are the units themselves.
 */
import { matrix } from '../../src/tensor/ops/matrix_family.js';
import { matrixMoments, matrixShader } from '../../src/tensor/ops/matrix_shaders.js';
import type { Family } from '../../src/tensor/ops/product_families.js';
import { layoutOf } from '../../src/tensor/ops/product_layouts.js';
import { endingWith } from '../../src/tensor/ops/product_moments.js';

/** Fragments of operands are places in workgroup memory, read when they are multiplied; results are M = 4 rows of N = 8. */
const TYPES = `
struct Place { first: u32, row_step: u32, column_step: u32 }
struct Sums { left: mat4x4f, right: mat4x4f }

fn multiply_accumulate(left: Left, right: Right, sums: Result) -> Result {
  var total = sums;
  for (var k = 0u; k < K; k++) {
    var column: vec4f;
    var row_left: vec4f;
    var row_right: vec4f;
    for (var i = 0u; i < 4u; i++) {
      column[i] = tile_a[left.first + i * left.row_step + k * left.column_step];
      let at = right.first + k * right.row_step + i * right.column_step;
      row_left[i] = tile_b[at];
      row_right[i] = tile_b[at + 4u * right.column_step];
    }
    total.left += mat4x4f(column.x * row_left, column.y * row_left, column.z * row_left, column.w * row_left);
    total.right += mat4x4f(column.x * row_right, column.y * row_right, column.z * row_right, column.w * row_right);
  }
  return total;
}

fn store_result(first: u32, values: Result, stride: u32) {
  for (var i = 0u; i < 32u; i++) {
    let row = i / 8u;
    let column = i % 8u;
    results[first + row * stride + column] =
      select(values.left[row][column % 4u], values.right[row][column % 4u], column >= 4u);
  }
}
`;

/** The shader, in the form `scalars`, with subgroups of one invocation, for units of M = 4, N = 8. */
export function emulated(source: string): string {
  const text = source
    .replace(/^(enable|diagnostic).*\n/gm, '')
    .replace(/subgroup_matrix_(left|right)<Component, \w, \w>/g, 'Place')
    .replace(/subgroup_matrix_result<f32, N, M>/, 'Sums')
    .replace(/subgroupMatrixLoad<Left, row_major>\(&tile_a, ([^,]+), (\w+ \* \w+)\)/g, 'Place($1, $2, 1u)')
    .replace(/subgroupMatrixLoad<Left, col_major>\(&tile_a, ([^,]+), (\w+ \* \w+)\)/g, 'Place($1, 1u, $2)')
    .replace(/subgroupMatrixLoad<Right, row_major>\(&tile_b, ([^,]+), (\w+ \* \w+)\)/g, 'Place($1, $2, 1u)')
    .replace(/subgroupMatrixLoad<Right, col_major>\(&tile_b, ([^,]+), (\w+ \* \w+)\)/g, 'Place($1, 1u, $2)')
    .replace(/subgroupMatrixMultiplyAccumulate\(/g, 'multiply_accumulate(')
    .replace(/subgroupMatrixStore<row_major>\(&results, /g, 'store_result(')
    .replace(/,\s*@builtin\(subgroup_id\) subgroup: u32/, '')
    .replace(/\bsubgroup\b(?=[^\n]*;)/g, 'local');
  return `${text}${TYPES}`;
}

export interface Emulation {
  readonly K: number;
  /** Fragments of a subgroup, and subgroups of a tile, down and across. */
  readonly fragments: readonly [number, number];
  readonly subgroups: readonly [number, number];
  readonly depth: number;
  /** Parts of every sum that may be split. */
  readonly parts: number;
}

/** A family of kernels that any adapter can run. */
export function emulatedFamily(name: string, { K, fragments, subgroups, depth, parts }: Emulation): Family {
  const [M, N] = [4, 8];
  const [down, across] = subgroups;
  const lanes = 32 / (down * across);
  const tile = {
    rows: M * fragments[0] * down,
    columns: N * fragments[1] * across,
    constants: {
      ...{ M, N, K, FRAGMENTS_DOWN: fragments[0], FRAGMENTS_ACROSS: fragments[1] },
      ...{ DOWN: down, ACROSS: across, DEPTH: depth, LANES: lanes },
    },
  };
  const matrixUnits = { M, N, K, component: 'f32', dialect: 'scalars', lanes } as const;
  const step = Math.max(matrix.step, depth);
  return {
    ...matrix,
    name,
    needs: [],
    suits: () => true,
    source: (op) => emulated(matrixShader(op, matrixUnits)),
    parameters: (stored, adapter) => matrix.parameters(stored, { ...adapter, matrixUnits }),
    moments: {
      source: (op) => emulated(endingWith(matrixShader(op, matrixUnits), ...matrixMoments[op])),
      parameters: (stored, adapter) => matrix.moments!.parameters(stored, { ...adapter, matrixUnits }),
    },
    layouts: ({ length, splits }) => [layoutOf(tile, length, splits ? parts : 1, step)],
  };
}
