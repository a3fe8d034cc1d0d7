/**
 * The sums over prototypes that the SegSort loss is made of, as logarithms, for one block of prototypes: those of the
 * batch, or those of the memory banks. `loss.ts` joins the blocks.
 */
import sourceWorkgroup from '../../shaders/segsort_nca_workgroup.wgsl';
import { apply, apply1, type Tensor, type TensorLike } from '../../tensor/graph.js';
import { type Command, input, type Kernel, linearGrid, type Op, output, type ShaderSource } from '../../tensor/op.js';
import { concat } from '../../tensor/ops/layout.js';
import { zerosLike } from '../../tensor/ops/shape.js';
import { sizeOf, type TensorType } from '../../tensor/types.js';
import { ncaTermsGradOp } from './nca_grad.js';
import { blockInputs, blockSamples, checkInputs, emptyLog, extentsOf, logTerms, type NcaTerms } from './nca_terms.js';

/** Up to here exp(-2 * concentration) is a normal f32, and no largest term need be taken out of the sums. */
const DIRECT_CONCENTRATION = 40;

function kernel(
  name: string,
  source: ShaderSource,
  lanes: 1 | 4,
  invocationsPerPixel: number,
  when: Kernel<NcaTerms>['when'],
): Kernel<NcaTerms> {
  return {
    name,
    when,
    commands({ inputs, params: { concentration, owned } }): Command[] {
      const { pixels, prototypes } = extentsOf(inputs);
      const extent: Record<string, number> = lanes === 4 ? { prototypes4: prototypes / 4 } : { prototypes };
      return [
        {
          source,
          uniforms: { count: pixels, ...extent, owned: Number(owned), concentration, empty: emptyLog(concentration) },
          buffers: [input(0), input(1), input(2), input(3), output(0), output(1), output(2)],
          workgroups: linearGrid(Math.ceil(pixels * invocationsPerPixel), 64),
        },
      ];
    },
  };
}

const direct = (inputs: readonly TensorType[], { concentration }: NcaTerms) =>
  extentsOf(inputs).prototypes % 4 === 0 && concentration <= DIRECT_CONCENTRATION;

export const ncaTermsOp: Op<NcaTerms> = {
  name: 'ncaTerms',
  infer(inputs, params) {
    checkInputs('ncaTerms', inputs, params);
    const { pixels } = extentsOf(inputs);
    return Array.from({ length: 3 }, () => ({ shape: [pixels], dtype: 'f32' as const }));
  },
  grad({ inputs, outputs: [others, different], grads: [gOthers, gDifferent, gOwn], params }) {
    const zeros = zerosLike(others!);
    const terms = concat([others!, different!, gOthers ?? zeros, gDifferent ?? zeros, gOwn ?? zeros], 0);
    return [apply1(ncaTermsGradOp, [...inputs, terms], params), null, null, null];
  },
  reference: logTerms,
  samples: () => [
    ...blockSamples(),
    {
      name: 'labels that occur once, or not at all',
      inputs: blockInputs([0, 1, 2, 1, -1, -1, -1, -1], [0, 2, 3, -1], [0, 2, 1, 2]),
      params: { concentration: 10, owned: true },
    },
    {
      name: 'an unused block',
      inputs: blockInputs([-1, -1, -1, -1], [0, 1, -1], [2, 2, 3]),
      params: { concentration: 10, owned: false },
    },
  ],
  kernels: [
    kernel(
      'workgroup',
      sourceWorkgroup,
      4,
      64,
      ({ inputs, params, adapter }) => !adapter.cpu && direct(inputs, params),
    ),
    kernel(
      'rows',
      async () => (await import('./cpu_shaders.js')).ncaRows,
      4,
      1 / 4,
      ({ inputs, params }) => direct(inputs, params),
    ),
    kernel('naive', async () => (await import('./naive_shaders.js')).nca, 1, 1, undefined),
  ],
  flops: ([similarities]) => 6 * sizeOf(similarities!.shape),
};

export const ncaOps: Op[] = [ncaTermsOp, ncaTermsGradOp];

export interface LogTerms {
  /** f32 [Q]: log of the sum over the other prototypes of the pixel's label; `emptyLog` if there is none. */
  readonly others: Tensor;
  /** f32 [Q]: log of the sum over the prototypes of other labels; `emptyLog` if there is none. */
  readonly different: Tensor;
  /** f32 [Q]: log of the pixel's own term, `concentration * (similarity - 1)`; 0 unless the block is `owned`. */
  readonly own: Tensor;
}

/**
 * Logarithms of sums of exp(concentration * (similarity - 1)) over the prototypes of a block. `similarities` are
 * cosines f32 [Q,S]; `labels` i32 [Q] and `prototypeLabels` i32 [S], where -1 is an unused row; `own` i32 [Q] is the
 * row of each pixel's own prototype, and -1 for an ignored pixel, whose terms are 0, `emptyLog` and 0.
 */
export function ncaTerms(
  similarities: TensorLike,
  labels: TensorLike,
  own: TensorLike,
  prototypeLabels: TensorLike,
  params: NcaTerms,
): LogTerms {
  const [others, different, itself] = apply(ncaTermsOp, [similarities, labels, own, prototypeLabels], params);
  return { others: others!, different: different!, own: itself! };
}
