/**
 * What the sums of the SegSort loss and their gradient have in common: parameters, inputs, and the sums in plain
 * float64.
 */
import { OpError, type Sample } from '../../tensor/op.js';
import { sampleIntegers, sampleValues } from '../../tensor/ops/sample_values.js';
import { type NdArray, ndarray, type Shape, sameShape, showShape, type TensorType } from '../../tensor/types.js';

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

export function extentsOf([similarities]: readonly TensorType[]) {
  const [pixels, prototypes] = similarities!.shape as [number, number];
  return { pixels, prototypes };
}

export function checkInputs(op: string, inputs: readonly TensorType[], { concentration }: NcaTerms): void {
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

/** Calls `visit` for each pixel that counts and each prototype in use. */
export function forEachTerm(
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

/** The terms of each pixel: others, different and own (see `ncaTerms`). */
export function logTerms(inputs: readonly NdArray[], params: NcaTerms): NdArray[] {
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
}

export function blockInputs(prototypeLabels: number[], own: number[], labels: number[]): NdArray[] {
  return [
    sampleValues([own.length, prototypeLabels.length], own.length),
    ndarray([labels.length], labels, 'i32'),
    ndarray([own.length], own, 'i32'),
    ndarray([prototypeLabels.length], prototypeLabels, 'i32'),
  ];
}

/** Blocks of several sizes, in which every pixel has prototypes of its own label and of others. */
export function blockSamples(): Sample<NcaTerms>[] {
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
    const prototypeLabels = Array.from({ length: prototypes }, (_, j) => (j % 4) - 1);
    const rows = sampleIntegers([pixels], 0, prototypes, i).data;
    const own = Array.from(rows, (row, pixel) => (pixel % 5 === 3 || prototypeLabels[row]! < 0 ? -1 : row));
    const labels = own.map((row) => (row < 0 ? 1 : prototypeLabels[row]!));
    return { inputs: blockInputs(prototypeLabels, own, labels), params: { concentration, owned } };
  });
}
