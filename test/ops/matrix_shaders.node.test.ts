/** The kernels for matrix units as Dawn's Null backend, which has the extension, sees them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { minifyWgsl } from '../../scripts/minify_wgsl.mjs';
import { inDialect, MATRIX_DIALECTS, type MatrixUnits } from '../../src/platform/matrix_units.js';
import filterGradMatrix from '../../src/shaders/conv2d_filter_grad_matrix.wgsl';
import conv2dMatrix from '../../src/shaders/conv2d_matrix.wgsl';
import matmulMatrix from '../../src/shaders/matmul_matrix.wgsl';
import { matrix, matrixTiles } from '../../src/tensor/ops/matrix_family.js';
import { matrixMoments } from '../../src/tensor/ops/matrix_shaders.js';
import type { ProductOp } from '../../src/tensor/ops/product_layouts.js';
import { endingWith } from '../../src/tensor/ops/product_moments.js';
import type { DType } from '../../src/tensor/types.js';
import { specialize } from '../../src/tensor/wgsl.js';
import { type NullGpu, nullGpu } from '../support/null_gpu.node.js';

const SOURCES = { matmul: matmulMatrix, conv2d: conv2dMatrix, filterGrad: filterGradMatrix };
const TRANSPOSES: Record<ProductOp, Record<string, boolean>[]> = {
  matmul: [
    { TRANSPOSE_A: false, TRANSPOSE_B: false },
    { TRANSPOSE_A: true, TRANSPOSE_B: true },
  ],
  conv2d: [{ TRANSPOSE: false }, { TRANSPOSE: true }],
  filterGrad: [{}],
};
const OPS = Object.keys(SOURCES) as ProductOp[];

let nothing: NullGpu;
beforeAll(async () => {
  nothing = await nullGpu();
});
afterAll(() => nothing.close());

function unitsOf(component: MatrixUnits['component'], dialect: MatrixUnits['dialect'], M = 16): MatrixUnits {
  return { M, N: 16, K: 16, component, dialect, lanes: nothing.lanes };
}

async function check(
  op: ProductOp,
  source: string,
  units: MatrixUnits,
  stored: DType,
  { parameters }: Pick<typeof matrix, 'parameters'> = matrix,
): Promise<void> {
  const adapter = { matrixUnits: units } as Parameters<typeof matrix.parameters>[1];
  const [tile] = matrixTiles(units, nothing.device.limits);
  for (const transposes of TRANSPOSES[op]) {
    const constants = {
      ...transposes,
      ...parameters({ a: stored, b: stored, c: op === 'filterGrad' ? 'f32' : stored }, adapter),
      ...tile!.constants,
    };
    const { code } = specialize(inDialect(source, units), constants);
    const title = `${op} ${units.component} ${units.dialect} of ${stored} ${JSON.stringify(transposes)}`;
    expect(await nothing.failureOf(code), title).toBeUndefined();
  }
}

it.for(OPS)('%s is valid in every form', async (op) => {
  for (const dialect of MATRIX_DIALECTS)
    for (const component of ['f16', 'f32'] as const) await check(op, SOURCES[op], unitsOf(component, dialect), 'f32');
});

it.for(OPS)('%s takes operands stored as halves', async (op) => {
  for (const component of ['f16', 'f32'] as const)
    await check(op, SOURCES[op], unitsOf(component, 'vectors', 8), 'f16');
});

it.for(['matmul', 'conv2d'] as const)('%s is valid with the moments of its tiles', async (op) => {
  for (const dialect of MATRIX_DIALECTS)
    for (const component of ['f16', 'f32'] as const)
      for (const stored of ['f16', 'f32'] as const) {
        const units = unitsOf(component, dialect, 8);
        await check(op, endingWith(SOURCES[op], ...matrixMoments[op]), units, stored, matrix.moments);
      }
});

it.for(OPS)('%s stays what it is without comments and blanks', async (op) => {
  for (const dialect of MATRIX_DIALECTS) await check(op, minifyWgsl(SOURCES[op]), unitsOf('f32', dialect), 'f32');
});

it('has tiles for the units of every vendor, within the limits', () => {
  const limits = (storage: number, invocations = 1024) => ({
    maxComputeInvocationsPerWorkgroup: invocations,
    maxComputeWorkgroupStorageSize: storage,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBufferBindingSize: 2 ** 30,
    maxStorageBuffersPerShaderStage: 10,
  });
  const sizes = (units: Partial<MatrixUnits>, storage: number, invocations?: number) =>
    matrixTiles(
      { M: 16, N: 16, K: 16, component: 'f16', dialect: 'vectors', lanes: 32, ...units },
      limits(storage, invocations),
    ).map(({ rows, columns }) => `${rows}x${columns}`);
  // NVIDIA, AMD (subgroups up to 64), Apple (f32 units), and the least that WebGPU allows.
  expect(sizes({}, 49152)[0]).toBe('128x128');
  expect(sizes({ lanes: 64 }, 32768)[0]).toBe('64x128');
  expect(sizes({ M: 8, N: 8, K: 8, component: 'f32' }, 32768)[0]).toBe('128x128');
  expect(sizes({}, 16384, 256)).toEqual(['64x32', '32x32']);
});
