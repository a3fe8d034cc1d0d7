/** Every op, for the generic tests and for the list of kernels that `segsort doctor` prints. */
import type { Op } from '../op.js';
import { batchNormOps } from './batch_norm.js';
import { convOps } from './conv.js';
import { elementwiseOps } from './elementwise.js';
import { matmulOps } from './matmul.js';
import { packOps } from './pack.js';
import { reduceOps } from './reduce.js';
import { shapeOps } from './shape.js';

export const allOps: readonly Op[] = [
  ...elementwiseOps,
  ...shapeOps,
  ...reduceOps,
  ...packOps,
  ...batchNormOps,
  ...matmulOps,
  ...convOps,
];
