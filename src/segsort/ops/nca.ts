/**
 * The sums over prototypes that the SegSort loss is made of, as logarithms, for one block of prototypes: those of the
 * batch, or those of the memory banks. `loss.ts` joins the blocks.
 */
import sourceGradNaive from '../../shaders/segsort_nca_grad_naive.wgsl';
import sourceGradRows from '../../shaders/segsort_nca_grad_rows.wgsl';
import sourceNaive from '../../shaders/segsort_nca_naive.wgsl';
import sourceRows from '../../shaders/segsort_nca_rows.wgsl';
import sourceWorkgroup from '../../shaders/segsort_nca_workgroup.wgsl';
import { apply, apply1, type Tensor, type TensorLike } from '../../tensor/graph.js';
import {
  type Command,
  input,
  type Kernel,
  linearGrid,
  type Op,
  OpError,
  output,
  type Sample,
} from '../../tensor/op.js';
import { concat } from '../../tensor/ops/layout.js';
import { sampleIntegers, sampleValues } from '../../tensor/ops/sample_values.js';
import { zerosLike } from '../../tensor/ops/shape.js';
import {
  type NdArray,
  ndarray,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  type TensorType,
} from '../../tensor/types.js';

export interface NcaTerms {
  /** The concentration of the von Mises-Fisher distributions: what cosines are multiplied by. */
  readonly concentration: number;
  /** Whether the pixels' own prototypes are rows of this block. If not, `own` only tells which pixels are ignored. */
  readonly owned: boolean;
}

/** Stands for the logarithm of an empty sum: far below what any sum can have, so that it vanishes beside one. */
export function emptyLog(concentration: number): number {
  return -(2 * concentration + 100);
}

/** Up to here exp(-2 * concentration) is a normal f32, and no largest term need be taken out of the sums. */
const DIRECT_CONCENTRATION = 40;

function extentsOf([similarities]: readonly TensorType[]) {
  const [pixels, prototypes] = similarities!.shape as [number, number];
  return { pixels, prototypes };
}

function checkInputs(op: string, inputs: readonly TensorType[], { concentration }: NcaTerms): void {
  const [similarities, labels, own, prototypeLabels] = inputs as [TensorType, TensorType, TensorType, TensorType];
  if (similarities.dtype !== 'f32' || similarities.shape.length !== 2)
    throw new OpError(op, `similarities must be f32 [Q,S], got ${similarities.dtype}${showShape(similarities.shape)}`);
  const { pixels, prototypes } = extentsOf(inputs);
  const check = (what: string, { shape, dtype }: TensorType, expected: Shape) => {
    if (dtype !== 'i32' || !sameShape(shape, expected))
      throw new OpError(
        op,
        `similarities ${showShape(similarities.shape)} expect ${what} i32${showShape(expected)}, got ${dtype}${showShape(shape)}`,
      );
  };
  check('labels', labels, [pixels]);
  check('own', own, [pixels]);
  check('prototypeLabels', prototypeLabels, [prototypes]);
  if (!(concentration > 0)) throw new OpError(op, `concentration must be positive, got ${concentration}`);
}

function kernel(
  name: string,
  source: string,
  invocationsPerPixel: number,
  when: Kernel<NcaTerms>['when'],
): Kernel<NcaTerms> {
  const lanes = source === sourceNaive ? 1 : 4;
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
          workgroups: linearGrid(pixels * invocationsPerPixel, 64),
        },
      ];
    },
  };
}

const direct = (inputs: readonly TensorType[], { concentration }: NcaTerms) =>
  extentsOf(inputs).prototypes % 4 === 0 && concentration <= DIRECT_CONCENTRATION;

/** Calls `visit` for each pixel that counts and each prototype in use. */
function forEachTerm(
  [similarities, labels, own, prototypeLabels]: readonly NdArray[],
  { concentration, owned }: NcaTerms,
  visit: (pixel: number, at: number, exponent: number, kind: 'own' | 'other' | 'different') => void,
): void {
  const { pixels, prototypes } = extentsOf([similarities!]);
  for (let pixel = 0; pixel < pixels; pixel++) {
    if (own!.data[pixel]! < 0) continue;
    for (let j = 0; j < prototypes; j++) {
      const label = prototypeLabels!.data[j]!;
      if (label < 0) continue;
      const at = pixel * prototypes + j;
      const same = label === labels!.data[pixel];
      const kind = owned && j === own!.data[pixel] ? 'own' : same ? 'other' : 'different';
      visit(pixel, at, concentration * (similarities!.data[at]! - 1), kind);
    }
  }
}

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
  reference(inputs, params): NdArray[] {
    const { pixels } = extentsOf(inputs);
    const sums = { other: new Float64Array(pixels), different: new Float64Array(pixels) };
    const own = ndarray([pixels]);
    forEachTerm(inputs, params, (pixel, _, exponent, kind) => {
      if (kind === 'own') own.data[pixel] = exponent;
      else sums[kind][pixel]! += Math.exp(exponent);
    });
    const log = (sum: number) => (sum > 0 ? Math.log(sum) : emptyLog(params.concentration));
    const others = sums.other.map((sum, pixel) => (inputs[2]!.data[pixel]! < 0 ? 0 : log(sum)));
    return [ndarray([pixels], others), ndarray([pixels], sums.different.map(log)), own];
  },
  samples: () => [
    ...samples(),
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
    kernel('workgroup', sourceWorkgroup, 64, ({ inputs, params, adapter }) => !adapter.cpu && direct(inputs, params)),
    kernel('rows', sourceRows, 1, ({ inputs, params }) => direct(inputs, params)),
    kernel('naive', sourceNaive, 1, undefined),
  ],
  flops: ([similarities]) => 6 * sizeOf(similarities!.shape),
};

function gradKernel(name: string, lanes: 1 | 4): Kernel<NcaTerms> {
  return {
    name,
    when: ({ inputs }) => extentsOf(inputs).prototypes % lanes === 0,
    commands({ inputs, params: { concentration, owned }, adapter }): Command[] {
      const { pixels, prototypes } = extentsOf(inputs);
      const run = adapter.cpu ? 64 : 1;
      const runs = Math.ceil(prototypes / 4 / run);
      const count = lanes === 4 ? pixels * runs : pixels * prototypes;
      const extents: Record<string, number> = lanes === 4 ? { prototypes4: prototypes / 4, run, runs } : { prototypes };
      return [
        {
          source: lanes === 4 ? sourceGradRows : sourceGradNaive,
          uniforms: { count, pixels, ...extents, owned: Number(owned), concentration },
          buffers: [input(0), input(1), input(2), input(3), input(4), output(0)],
          workgroups: linearGrid(count, 64),
        },
      ];
    },
  };
}

/** Its last input holds, one after another: others, different, and the gradients of others, different and own. */
export const ncaTermsGradOp: Op<NcaTerms> = {
  name: 'ncaTermsGrad',
  infer(inputs, params) {
    checkInputs('ncaTermsGrad', inputs, params);
    const { pixels } = extentsOf(inputs);
    if (!sameShape(inputs[4]!.shape, [5 * pixels]) || inputs[4]!.dtype !== 'f32')
      throw new OpError('ncaTermsGrad', `terms must be f32 [${5 * pixels}], got ${showShape(inputs[4]!.shape)}`);
    return [{ shape: inputs[0]!.shape, dtype: 'f32' }];
  },
  reference(inputs, params): NdArray[] {
    const { pixels } = extentsOf(inputs);
    const grad = ndarray(inputs[0]!.shape);
    const term = (index: number, pixel: number) => inputs[4]!.data[index * pixels + pixel]!;
    forEachTerm(inputs, params, (pixel, at, exponent, kind) => {
      const which = kind === 'other' ? 0 : 1;
      const share = () => term(which + 2, pixel) * Math.exp(exponent - term(which, pixel));
      grad.data[at] = params.concentration * (kind === 'own' ? term(4, pixel) : share());
    });
    return [grad];
  },
  samples: () =>
    samples().map(({ inputs, params }) => {
      const [others, different] = ncaTermsOp.reference(inputs, params);
      const { pixels } = extentsOf(inputs);
      const grads = sampleValues([3 * pixels], 77).data;
      return { inputs: [...inputs, ndarray([5 * pixels], [...others!.data, ...different!.data, ...grads])], params };
    }),
  kernels: [gradKernel('vec4', 4), gradKernel('naive', 1)],
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

function blockInputs(prototypeLabels: number[], own: number[], labels: number[]): NdArray[] {
  return [
    sampleValues([own.length, prototypeLabels.length], own.length),
    ndarray([labels.length], labels, 'i32'),
    ndarray([own.length], own, 'i32'),
    ndarray([prototypeLabels.length], prototypeLabels, 'i32'),
  ];
}

function samples(): Sample<NcaTerms>[] {
  return (
    [
      [9, 12, 10, true],
      [7, 9, 3, true],
      [70, 20, 5, true],
      [6, 16, 10, false],
      [5, 280, 10, true],
      [5, 8, 90, true],
    ] as const
  ).map(([pixels, prototypes, concentration, owned], i) => {
    // Three labels and unused rows, so that every pixel has prototypes of its own and of other labels.
    const prototypeLabels = Array.from({ length: prototypes }, (_, j) => (j % 4) - 1);
    const rows = sampleIntegers([pixels], 0, prototypes, i).data;
    const own = Array.from(rows, (row, pixel) => (pixel % 5 === 3 || prototypeLabels[row]! < 0 ? -1 : row));
    const labels = own.map((row) => (row < 0 ? 1 : prototypeLabels[row]!));
    return { inputs: blockInputs(prototypeLabels, own, labels), params: { concentration, owned } };
  });
}
