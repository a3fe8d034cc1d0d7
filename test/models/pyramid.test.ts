/** A pyramid of pooled grids beside the features, forward and back, against float64: nothing of it is copied. */
import { expect, it } from 'vitest';
import { grad } from '../../src/autograd/grad.js';
import { gridPools, spreadGrid } from '../../src/models/pyramid.js';
import type { Tensor } from '../../src/tensor/graph.js';
import { interpret } from '../../src/tensor/interpret.js';
import { conv2d } from '../../src/tensor/ops/conv.js';
import { exp, mulScalar, relu, square } from '../../src/tensor/ops/elementwise.js';
import { concat } from '../../src/tensor/ops/layout.js';
import { mean } from '../../src/tensor/ops/reduce.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { traceStep } from '../../src/tensor/trace.js';
import { hostTensor, ndarray, sizeOf } from '../../src/tensor/types.js';
import { expectClose, rounded } from '../support/compare.js';
import { testGpu } from '../support/gpu.js';
import { PLAIN_CONVOLUTIONS } from '../support/plain_kernels.js';

function step(images: Tensor, filter: Tensor, outputs: Tensor) {
  const features = relu(exp(mulScalar(images, 0.5)));
  const grids = gridPools(features, [1, 2, 3]).map((grid) => exp(mulScalar(grid, 0.25)));
  const spread = grids.map((grid) => spreadGrid(grid, [6, 6], { convention: 'tf1' }));
  const joined = conv2d(concat([...spread, features], 3), filter, { padding: 1 });
  const loss = mean(square(conv2d(joined, outputs)));
  const [dImages, dFilter] = grad(loss, [images, filter]);
  return { loss, dImages: dImages!, dFilter: dFilter! };
}

it.each([true, false])('joins grids and features in place, with kernels of a CPU adapter: %s', async (cpu) => {
  const inputs = [
    [2, 6, 6, 64],
    [3, 3, 256, 4],
    [1, 1, 4, 3],
  ].map((shape, seed) =>
    rounded(
      ndarray(
        shape,
        Float64Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 1.3 + seed)),
      ),
    ),
  );
  const { device, facts } = await testGpu();
  using runtime = new Runtime({ device, facts: { ...facts, cpu } }, { kernels: PLAIN_CONVOLUTIONS });
  using compiled = runtime.compile(step);
  const { steps } = compiled.plan(...inputs);
  expect(steps.filter(({ op }) => op === 'slice')).toEqual([]);
  expect(steps.find(({ op }) => op === 'concat')!.commands).toEqual([]);
  const results = await compiled.run(...inputs.map(({ shape, data }) => hostTensor(shape, data)));
  const trace = traceStep(step, inputs);
  const expected = interpret(trace.graph, trace.results, { arguments: inputs });
  for (const [i, name] of (['loss', 'dImages', 'dFilter'] as const).entries())
    expectClose(await results[name].read(), expected[i]!, 1e-5, name);
});
