/** Every op of the engine against its float64 reference and finite differences. New ops are covered by `allOps`. */
import { allOps } from '../../src/tensor/ops/index.js';
import { testOps } from '../support/op_suite.js';

testOps(allOps);
