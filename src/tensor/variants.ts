/** Which kernel variants an adapter can run, and which of them the planner takes: what `segsort doctor` lists. */
import { type AdapterFacts, type Op, specified } from './op.js';
import { missingFeatures, selectKernel } from './select.js';

export interface Variant {
  readonly op: string;
  readonly variant: string;
  /** Features it cannot do without. */
  readonly needs: readonly string[];
  /** Those of them that the adapter lacks. */
  readonly missing: readonly string[];
  /** Whether it is chosen for at least one of the op's sample shapes. */
  readonly selected: boolean;
}

export function kernelVariants(ops: readonly Op[], adapter: AdapterFacts): Variant[] {
  return ops.flatMap((op) => {
    if (!op.kernels) return [];
    const chosen = new Set(
      specified(op)
        .samples()
        .map(({ inputs, params }) => {
          const outputs = op.infer(inputs, params);
          return selectKernel(op, { inputs, outputs, params, adapter }, {}).name;
        }),
    );
    return op.kernels.map((kernel) => ({
      op: op.name,
      variant: kernel.name,
      needs: kernel.needs ?? [],
      missing: missingFeatures(kernel, { adapter }),
      selected: chosen.has(kernel.name),
    }));
  });
}
