/** SegSort's ops against their float64 references and finite differences. */
import { segsortOps } from '../../src/segsort/ops/index.js';
import { testOps } from '../support/op_suite.js';

testOps(segsortOps);
