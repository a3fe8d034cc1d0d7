/** SegSort's own kernels, which no peer has: clustering, loss and retrieval. Checked by the engine's float64 references. */
import { grad } from '../../src/autograd/grad.js';
import { sphericalKMeans } from '../../src/segsort/clustering.js';
import { ncaLoss } from '../../src/segsort/loss.js';
import { nearestPrototypes } from '../../src/segsort/retrieval.js';
import type { Tensor, TensorLike } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import { matmul } from '../../src/tensor/ops/matmul.js';
import { l2Normalize } from '../../src/tensor/ops/normalize.js';
import { mean } from '../../src/tensor/ops/reduce.js';
import { traceStep } from '../../src/tensor/trace.js';
import { type HostTensor, hostTensor, ndarray } from '../../src/tensor/types.js';
import { relativeError } from '../../test/support/compare.js';
import { preparedStep } from '../harness/engine.js';
import type { Workload } from '../harness/types.js';
import { noise } from './operands.js';
import type { SuiteOptions } from './suites.js';
import { CAPACITY } from './training.js';

type Body = (...operands: TensorLike[]) => Record<string, Tensor>;

/** A step over given operands; `compare` says how far results are from the references'. */
function workload(
  name: string,
  operands: () => HostTensor[],
  body: Body,
  compare: (results: readonly ArrayLike<number>[], expected: readonly Float64Array[]) => number,
  tolerance: number,
): Workload {
  let expected: Float64Array[] | undefined;
  return {
    name,
    tolerance,
    async prepare(runtime) {
      const residents = operands().map((value, i) => runtime.resident(`operand ${i}`, value));
      const step = runtime.compile(() => body(...residents), name);
      return preparedStep(runtime, step, await step.plan(), residents);
    },
    errorOf(results) {
      if (!expected) {
        const values = operands();
        const { graph, results: wanted } = traceStep((...tensors) => body(...tensors), values);
        const exact = values.map(({ shape, data, dtype }) => ndarray(shape, data, dtype));
        expected = interpret(graph, wanted, { arguments: exact }).map(({ data }) => data);
      }
      return compare(results, expected);
    },
  };
}

/** Share of the integers that are others: what is a tie in float32 need not be one in float64. */
function shareOfOthers(results: readonly ArrayLike<number>[], expected: readonly Float64Array[]): number {
  const [found, wanted] = [results[0]!, expected[0]!];
  if (found.length !== wanted.length) return Number.POSITIVE_INFINITY;
  return wanted.reduce((others, value, i) => others + (value === found[i] ? 0 : 1), 0) / wanted.length;
}

const largestError = (results: readonly ArrayLike<number>[], expected: readonly Float64Array[]) =>
  Math.max(...expected.map((values, i) => relativeError(results[i]!, values)));

const PIXELS = 42 * 42;
const CHANNELS = 32;

/** 0 to `length - 1` over and over; with `labels`, the labels of these, which go round likewise. */
const cycle = (shape: readonly number[], length: number, labels = length) =>
  hostTensor(
    shape,
    Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i % length) % labels),
    'i32',
  );

export function segsortWorkloads({ batch }: SuiteOptions): Workload[] {
  const clusters = 25;
  const queries = batch * PIXELS;
  const kmeans = workload(
    `k-means, 10 iterations, ${batch}x42x42x36, ${clusters} clusters`,
    () => [noise([batch, PIXELS, CHANNELS + 4], 1), cycle([batch, PIXELS], clusters)],
    (features, initial) => ({
      ids: sphericalKMeans(l2Normalize(features!), initial!, { clusters, iterations: 10 }),
    }),
    shareOfOthers,
    0.01,
  );
  const loss = workload(
    `NCA loss + gradient, ${queries} pixels, 3x${batch * CAPACITY} prototypes`,
    () => [
      noise([queries, CHANNELS], 1),
      noise([batch * CAPACITY, CHANNELS], 2),
      noise([2 * batch * CAPACITY, CHANNELS], 3),
      // A pixel has the label of its own segment.
      cycle([queries], batch * CAPACITY, 21),
      cycle([queries], batch * CAPACITY),
      cycle([batch * CAPACITY], 21),
      cycle([2 * batch * CAPACITY], 21),
    ],
    (embedding, prototypes, bank, labels, own, prototypeLabels, bankLabels) => {
      const unit = l2Normalize(embedding!);
      const block = (table: TensorLike, tableLabels: TensorLike) => ({
        similarities: matmul(unit, l2Normalize(table), { transposeB: true }),
        labels: tableLabels,
      });
      const value = mean(
        ncaLoss(
          { labels: labels!, own: own! },
          { concentration: 10, numerator: 'nca' },
          block(prototypes!, prototypeLabels!),
          block(bank!, bankLabels!),
        ),
      );
      const [toEmbedding, toPrototypes] = grad(value, [embedding!, prototypes!]);
      return { value, toEmbedding: toEmbedding!, toPrototypes: toPrototypes! };
    },
    largestError,
    1e-4,
  );
  const retrieval = [10_000, 100_000].map((rows) =>
    workload(
      `retrieval, 128 queries, ${rows} prototypes, k 15`,
      () => [noise([128, CHANNELS], 1), noise([rows, CHANNELS], 2)],
      (wanted, prototypes) => ({ similarities: nearestPrototypes(wanted!, prototypes!, 15).similarities }),
      largestError,
      1e-4,
    ),
  );
  return [kmeans, loss, ...retrieval];
}
