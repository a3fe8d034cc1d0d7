/** The probe of matrix units, as far as it goes without them: its shader in each form, and what it says. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inDialect, MATRIX_DIALECTS, probeMatrixUnits, probeShader } from '../../src/platform/matrix_units.js';
import { testGpu } from '../support/gpu.js';
import { type NullGpu, nullGpu } from '../support/null_gpu.node.js';

let nothing: NullGpu;
beforeAll(async () => {
  nothing = await nullGpu();
});
afterAll(() => nothing.close());

const config = { componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 };

it.for(MATRIX_DIALECTS)('is a valid shader in the form %s', async (dialect) => {
  for (const [M, N, K] of [
    [16, 16, 16],
    [16, 8, 16],
    [8, 8, 8],
    [8, 32, 16],
  ] as const)
    for (const component of ['f16', 'f32'] as const) {
      const code = probeShader({ M, N, K, component, dialect, lanes: nothing.lanes });
      expect(await nothing.failureOf(code), `${M}x${N}x${K} ${component}`).toBeUndefined();
      expect(code.includes('enable f16;')).toBe(component === 'f16');
    }
});

it('writes each form as Dawn wants it', () => {
  const source = `enable f16;
var<workgroup> tile: array<Staged, SIZE>;
fn stage(at: u32, values: Staged) { tile[at] = values; }
let left = subgroupMatrixLoad<Left, col_major>(&tile, at, STRIDE);
subgroupMatrixStore<row_major>(&results, slot, sums[i], N);
`;
  expect(inDialect(source, { component: 'f16', dialect: 'vectors' })).toBe(source);
  expect(inDialect(source, { component: 'f32', dialect: 'scalars' })).toBe(
    `var<workgroup> tile: array<Component, 4u * SIZE>;
fn stage(at: u32, values: Staged) { for (var i = 0u; i < 4u; i++) { tile[4u * at + i] = values[i]; } }
let left = subgroupMatrixLoad<Left, col_major>(&tile, 4u * at, 4u * STRIDE);
subgroupMatrixStore<row_major>(&results, slot, sums[i], N);
`,
  );
  expect(inDialect(source, { component: 'f16', dialect: 'flags' })).toContain(
    `subgroupMatrixLoad<Left>(&tile, 4u * at, true, 4u * STRIDE);
subgroupMatrixStore(&results, slot, sums[i], false, N);`,
  );
});

it('offers no units that do not compute', async () => {
  const probe = await probeMatrixUnits(nothing.device, [config], nothing.lanes);
  expect(probe.units).toBeUndefined();
  // The Null backend takes every form and computes nothing.
  expect(probe.outcome).toMatch(
    /^no product comes out right: 16x16x16 of f16 \(vectors\): element \[0, 0\] came out as/,
  );
  const int = { ...config, componentType: 'i8', resultComponentType: 'i32' };
  expect((await probeMatrixUnits(nothing.device, [int], nothing.lanes)).outcome).toContain(
    'none of its matrix products',
  );
});

it('says what the adapter lacks', async () => {
  const { facts } = await testGpu();
  if (facts.features.has('chromium-experimental-subgroup-matrix')) return;
  expect(facts.matrixUnits).toBeUndefined();
  expect(facts.matrixProbe).toBe('the adapter does not offer chromium-experimental-subgroup-matrix');
});
