/** The family of kernels for matrix units (tensor cores), where the device has some that compute. */

import type { MatrixUnits } from '../../platform/matrix_units.js';
import type { AdapterFacts } from '../op.js';
import type { Family } from './product_families.js';
import { rankLayouts, type TileCost } from './product_layouts.js';
import { endingWith } from './product_moments.js';
import { reads4, type Stored, writes4 } from './stored.js';

/** Subgroups down and across a tile, and the columns of a subgroup's part of it, which has 32 rows. */
const ARRANGEMENTS = [
  [4, 2, 64],
  [2, 2, 64],
  [4, 1, 64],
  [2, 2, 32],
  [4, 1, 32],
  [2, 1, 32],
  [1, 1, 32],
] as const;

/** Tiles that the adapter can hold, the largest first. */
export function matrixTiles(units: MatrixUnits, limits: AdapterFacts['limits']): TileCost[] {
  const { M, N, K, component, lanes } = units;
  const bytes = component === 'f16' ? 2 : 4;
  const depth = Math.max(K, component === 'f16' ? 32 : 16);
  const tiles: TileCost[] = [];
  for (const [down, across, width] of ARRANGEMENTS) {
    const [rows, columns] = [32 * down, width * across];
    const invocations = down * across * lanes;
    // Lines of a tile, by rows or columns or along the sum, with their margin of 8 elements.
    const lines = (extent: number) => Math.max(extent * (depth + 8), depth * (extent + 8));
    const storage = (lines(rows) + lines(columns)) * bytes + 8 * down * across * M * N + 16 * depth;
    // An invocation fetches along a line: the longest has 32 vec4s.
    if (invocations % 32 !== 0 || invocations > limits.maxComputeInvocationsPerWorkgroup) continue;
    if (storage > limits.maxComputeWorkgroupStorageSize) continue;
    tiles.push({
      rows,
      columns,
      constants: {
        ...{ M, N, K, DEPTH: depth, LANES: lanes, DOWN: down, ACROSS: across },
        FRAGMENTS_DOWN: 32 / M,
        FRAGMENTS_ACROSS: width / N,
      },
      invocations,
      // Units wait for the staging, of which small tiles need more for what they compute.
      multiplyAdds: (component === 'f16' ? 1024 : 256) / (1 + (16 * (rows + columns)) / (rows * columns)),
      bytes,
    });
  }
  return tiles;
}

/** The deepest tiles' steps. */
const STEP = 32;

function parameters({ a, b, c }: Stored, { matrixUnits: units }: AdapterFacts): Readonly<Record<string, string>> {
  // Where the units take halves, so can the shader; else it must do without the feature.
  if (units!.component === 'f16') {
    const stored = { StoredA: a, StoredB: b, StoredC: c };
    const aliases = Object.entries(stored).map(([alias, dtype]) => [alias, dtype === 'f16' ? 'vec4<f16>' : 'vec4f']);
    return { ...Object.fromEntries(aliases), ...(c === 'f16' ? { narrow: 'vec4<f16>(v)' } : {}) };
  }
  return {
    Component: 'f32',
    ...reads4(a, 'StoredA', 'staged_a'),
    ...reads4(b, 'StoredB', 'staged_b'),
    ...writes4(c, 'StoredC', 'narrow'),
  };
}

export const matrix: Family = {
  name: 'matrix',
  needs: ['chromium-experimental-subgroup-matrix'],
  suits({ adapter, inputs }) {
    const { matrixUnits: units } = adapter;
    if (adapter.cpu || !units || matrixTiles(units, adapter.limits).length === 0) return false;
    return units.component === 'f32' || adapter.roundsProducts === true || inputs.every(({ dtype }) => dtype === 'f16');
  },
  source:
    (op, { matrixUnits: units }) =>
    async () =>
      (await import('./matrix_shaders.js')).matrixShader(op, units!),
  parameters,
  moments: {
    // Invocations leave 4 numbers each in the memory of two fragments a subgroup.
    suits: ({ matrixUnits: units }) => 2 * units!.lanes <= units!.M * units!.N,
    source:
      (op, { matrixUnits: units }) =>
      async () => {
        const { matrixMoments, matrixShader } = await import('./matrix_shaders.js');
        return endingWith(matrixShader(op, units!), ...matrixMoments[op]);
      },
    parameters: (stored, adapter) => ({
      ...parameters(stored, adapter),
      ...(adapter.matrixUnits!.component === 'f32'
        ? reads4(stored.c, 'StoredC', 'widen_c')
        : { widen_c: stored.c === 'f16' ? 'vec4f(v)' : 'v' }),
    }),
  },
  layouts: (shape, adapter) => rankLayouts(shape, matrixTiles(adapter.matrixUnits!, adapter.limits), STEP, adapter),
  step: STEP,
  splitsConvolutions: true,
};
