/** The products of the family `matrix`, in the form that the device's units take: loaded where there are such units. */
import { inDialect, type MatrixUnits } from '../../platform/matrix_units.js';
import filterGrad from '../../shaders/conv2d_filter_grad_matrix.wgsl';
import conv2d from '../../shaders/conv2d_matrix.wgsl';
import matmul from '../../shaders/matmul_matrix.wgsl';
import type { ProductOp } from './product_layouts.js';

const SHADERS = { matmul, conv2d, filterGrad };

export const matrixShader = (op: ProductOp, units: MatrixUnits): string => inDialect(SHADERS[op], units);
