/** The products of the family `matrix`, in the form that the device's units take: loaded where there are such units. */
import { inDialect, type MatrixUnits } from '../../platform/matrix_units.js';
import filterGrad from '../../shaders/conv2d_filter_grad_matrix.wgsl';
import conv2d from '../../shaders/conv2d_matrix.wgsl';
import matmul from '../../shaders/matmul_matrix.wgsl';
import moments from '../../shaders/moments_matrix.wgsl';
import type { ProductOp } from './product_layouts.js';

const SHADERS = { matmul, conv2d, filterGrad };

export const matrixShader = (op: ProductOp, units: MatrixUnits): string => inDialect(SHADERS[op], units);

const storedIn = (result: string) => `fn stored(i: u32) -> StoredC { return ${result}[i]; }\n${moments}`;

/** What they end with where moments are wanted: a call, and the functions for it (see `endingWith`). */
export const matrixMoments: Readonly<Record<'matmul' | 'conv2d', readonly [call: string, functions: string]>> = {
  matmul: ['put_partial(group, local, u.m, u.n4);', storedIn('c')],
  conv2d: ['put_partial(group, local, u.batches * u.rows * u.columns, u.to_c4);', storedIn('destination')],
};
