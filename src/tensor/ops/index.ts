/** Every op, for the generic tests and for the list of kernels that `segsort doctor` prints. */
import type { Op } from '../op.js';
import { alongOps } from './along.js';
import { batchNormOps } from './batch_norm.js';
import { castOps } from './cast.js';
import { convOps } from './conv.js';
import { depthwiseOps } from './depthwise.js';
import { elementwiseOps } from './elementwise.js';
import { gatherOps } from './gather.js';
import { imageOps } from './image.js';
import { layoutOps } from './layout.js';
import { matmulOps } from './matmul.js';
import { nonFiniteOps } from './non_finite.js';
import { normalizeOps } from './normalize.js';
import { packOps } from './pack.js';
import { poolOps } from './pool.js';
import { randomOps } from './random.js';
import { reduceOps } from './reduce.js';
import { resizeOps } from './resize.js';
import { selectKOps } from './select_k.js';
import { shapeOps } from './shape.js';

export const allOps: readonly Op[] = [
  ...elementwiseOps,
  ...shapeOps,
  ...castOps,
  ...reduceOps,
  ...packOps,
  ...batchNormOps,
  ...matmulOps,
  ...convOps,
  ...depthwiseOps,
  ...alongOps,
  ...gatherOps,
  ...imageOps,
  ...layoutOps,
  ...nonFiniteOps,
  ...normalizeOps,
  ...poolOps,
  ...randomOps,
  ...resizeOps,
  ...selectKOps,
];
