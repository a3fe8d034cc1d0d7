/** The engine itself as a contender. */
import type { Gpu } from '../../src/platform/gpu.js';
import { type CompiledStep, Result, type Results } from '../../src/tensor/compiled_step.js';
import type { Plan } from '../../src/tensor/plan.js';
import { Runtime, type RuntimeOptions } from '../../src/tensor/runtime.js';
import type { Returned } from '../../src/tensor/trace.js';
import { computed } from './engine_ops.js';
import type { Contender, PreparedWorkload } from './types.js';

export const ENGINE = 'segsort-webgpu';

export interface EngineContender extends Contender {
  readonly runtime: Runtime;
}

export function engineContender(gpu: Gpu, version: string, options: RuntimeOptions = {}): EngineContender {
  const runtime = new Runtime(gpu, options);
  return {
    name: ENGINE,
    version,
    on: 'webgpu',
    runtime,
    async prepare({ name, computation, operands }) {
      const residents = operands().map((value, i) => runtime.resident(`operand ${i}`, value));
      const step = runtime.compile(
        () => Object.fromEntries(computed(computation, residents).map((tensor, i) => [`${i}`, tensor])),
        name,
      );
      return preparedStep(runtime, step, await step.plan(), residents);
    },
    dispose: () => runtime[Symbol.dispose](),
  };
}

/** A compiled step without arguments, ready to be measured. Disposing of it disposes of the step and of `owned`. */
export function preparedStep<R extends Returned>(
  runtime: Runtime,
  step: CompiledStep<R>,
  plan: Plan,
  owned: readonly Disposable[] = [],
): PreparedWorkload {
  let results: Results<Returned> | null = null;
  const runMany = async (count: number) => {
    for (let i = 0; i < count; i++) results = await step.run();
    await runtime.device.queue.onSubmittedWorkDone();
    runtime.check();
  };
  return {
    flops: plan.steps.reduce((sum, { flops }) => sum + flops, 0),
    bytes: plan.steps.reduce((sum, { bytes }) => sum + bytes, 0),
    run: () => runMany(1),
    runMany,
    read: () => readResults(results),
    note: () => variantsOf(plan),
    dispose() {
      step[Symbol.dispose]();
      for (const each of owned) each[Symbol.dispose]();
    },
  };
}

async function readResults(results: Results<Returned> | null): Promise<ArrayLike<number>[]> {
  if (!results) throw new Error('nothing was run yet');
  const values: ArrayLike<number>[] = [];
  for (const result of results instanceof Result ? [results] : Object.values(results))
    values.push((await result.read()).data);
  return values;
}

/** `conv2d:quads x18, moments:chunked x18`: the kernels of a plan, the most frequent first. */
function variantsOf({ steps }: Plan): string {
  const counts = new Map<string, number>();
  for (const { op, variant } of steps) {
    const name = variant === 'fused' ? 'fused' : `${op}:${variant}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => (count > 1 ? `${name} x${count}` : name))
    .join(', ');
}
