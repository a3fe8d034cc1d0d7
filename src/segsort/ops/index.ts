/** SegSort's own ops, for the generic tests and the list of kernels that `segsort doctor` prints. */
import type { Op } from '../../tensor/op.js';
import { assignClustersOp } from './assign.js';
import { bernoulliKlGradOp, bernoulliKlOp } from './bernoulli_kl.js';
import { blendWindowsOp } from './blend_windows.js';
import { initialClustersOp, locationsOp } from './grid.js';
import { logAddExpOp } from './log_add_exp.js';
import { ncaOps } from './nca.js';
import { nearestGroupsOps } from './nearest_groups.js';
import { segmentsOfOp } from './segments.js';
import { spreadVotesOp } from './spread_votes.js';
import { labelHistogramOp, majorityOp, voteLabelsOp } from './votes.js';

export const segsortOps: readonly Op[] = [
  initialClustersOp,
  locationsOp,
  assignClustersOp,
  segmentsOfOp,
  ...ncaOps,
  logAddExpOp,
  bernoulliKlOp,
  bernoulliKlGradOp,
  ...nearestGroupsOps,
  labelHistogramOp,
  majorityOp,
  voteLabelsOp,
  blendWindowsOp,
  spreadVotesOp,
];
