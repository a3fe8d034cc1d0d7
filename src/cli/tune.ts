/** `--tune`: measures how this machine computes its matrix products fastest, and keeps it for later. */

import { grad } from '../autograd/grad.js';
import type { Gpu } from '../platform/gpu.js';
import { TuningCache } from '../platform/tuning_cache.js';
import { fileTuningStore } from '../platform/tuning_cache.node.js';
import type { AdapterFacts } from '../tensor/op.js';
import { conv2d } from '../tensor/ops/conv.js';
import { square } from '../tensor/ops/elementwise.js';
import { matmul } from '../tensor/ops/matmul.js';
import { sum } from '../tensor/ops/reduce.js';
import { makePlan, type Plan } from '../tensor/plan.js';
import { traceStep } from '../tensor/trace.js';
import { tunePlans } from '../tensor/tune.js';
import { f32 } from '../tensor/types.js';

/** Measures what the plans leave open and is not known yet, and adds it to this adapter's table. */
export async function tune(gpu: Gpu, plans: readonly Plan[], print: (line: string) => void): Promise<TuningCache> {
  const cache = await TuningCache.open(fileTuningStore(), gpu.facts);
  if (cache.note) print(cache.note);
  const choices = await tunePlans(gpu, plans, {
    known: cache.table,
    progress: ({ key, candidate, milliseconds, untuned, done, total }) =>
      print(
        `[${done}/${total}] ${key}: ${candidate}, ${milliseconds.toFixed(3)} ms (untuned ${untuned.toFixed(3)} ms)`,
      ),
  });
  const count = Object.keys(choices).length;
  if (count === 0) {
    print(`nothing to tune: ${Object.keys(cache.table).length} choices are in ${cache.where}`);
    return cache;
  }
  const changed = await cache.with(choices);
  print(`${count} choices written to ${changed.where}`);
  return changed;
}

/** Convolutions of ResNet-101 at output stride 8: image, filter, stride, dilation, padding. */
const CONVOLUTIONS = [
  [[1, 42, 42, 1024], [1, 1, 1024, 256], 1, 1, 0],
  [[1, 42, 42, 256], [1, 1, 256, 1024], 1, 1, 0],
  [[1, 42, 42, 256], [3, 3, 256, 256], 1, 2, 2],
  [[1, 42, 42, 512], [3, 3, 512, 512], 1, 4, 4],
  [[1, 42, 42, 128], [3, 3, 128, 128], 1, 1, 1],
  [[1, 84, 84, 64], [3, 3, 64, 64], 1, 1, 1],
  [[1, 336, 336, 3], [7, 7, 3, 64], 2, 1, 3],
] as const;

/** Plans of products that networks are made of, and their gradients. */
export function commonPlans(facts: AdapterFacts, batch = 1): Plan[] {
  const plans = CONVOLUTIONS.map(([[, ...image], filter, stride, dilation, padding]) => {
    const { graph, structure } = traceStep(
      (x, weights) => {
        const [dx, dw] = grad(sum(square(conv2d(x!, weights!, { stride, dilation, padding }))), [x!, weights!]);
        return { dx: dx!, dw: dw! };
      },
      [f32([batch, ...image]), f32(filter)],
    );
    return makePlan(graph, Object.values(structure), facts);
  });
  const { graph, structure } = traceStep((a, b) => ({ c: matmul(a!, b!) }), [f32([1024, 1024]), f32([1024, 1024])]);
  return [...plans, makePlan(graph, Object.values(structure), facts)];
}
