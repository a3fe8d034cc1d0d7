/** What ops on rows, the vectors along the last axis, have in common. */
import { input, type Kernel, linearGrid, output } from '../op.js';
import { type NdArray, ndarray, type Shape, sizeOf, type TensorType } from '../types.js';

export function rowsOf(x: TensorType): { rows: number; length: number } {
  const length = x.shape[x.shape.length - 1]!;
  return { rows: sizeOf(x.shape) / length, length };
}

/** An invocation a row; the variants differ in how many elements of it they read at once. */
export function rowKernels<P>(
  source: string,
  uniforms: (params: P) => Record<string, number>,
  constants: (lanes: 1 | 4) => Record<string, string> = () => ({}),
): Kernel<P>[] {
  const variant = (name: string, lanes: 1 | 4): Kernel<P> => ({
    name,
    when: ({ inputs: [x] }) => rowsOf(x!).length % lanes === 0,
    commands({ inputs, params }) {
      const { rows, length } = rowsOf(inputs[0]!);
      return [
        {
          source,
          constants: { V: lanes === 4 ? 'vec4f' : 'f32', LANES: lanes, ...constants(lanes) },
          uniforms: { rows, length: length / lanes, ...uniforms(params) },
          buffers: [...inputs.map((_, i) => input(i)), output(0)],
          workgroups: linearGrid(rows, 64),
        },
      ];
    },
  });
  return [variant('vec4', 4), variant('naive', 1)];
}

/** The reference of an op on rows: `compute` fills one row of the output from the same row of each input. */
export function byRow(
  inputs: readonly NdArray[],
  compute: (y: Float64Array, ...rows: Float64Array[]) => void,
): NdArray[] {
  const { rows, length } = rowsOf(inputs[0]!);
  const y = ndarray(inputs[0]!.shape);
  const row = (data: Float64Array, i: number) => data.subarray(i * length, (i + 1) * length);
  for (let i = 0; i < rows; i++) compute(row(y.data, i), ...inputs.map(({ data }) => row(data, i)));
  return [y];
}

/** Writes the softmax of a row and returns log(sum(exp(x))). */
export function softmaxRow(y: Float64Array, x: Float64Array): number {
  const top = x.reduce((a, b) => Math.max(a, b));
  const total = x.reduce((sum, value) => sum + Math.exp(value - top), 0);
  for (let i = 0; i < x.length; i++) y[i] = Math.exp(x[i]! - top) / total;
  return top + Math.log(total);
}

/** Shapes with odd and even rows, short and long, and more rows than a workgroup has invocations. */
export const sampleRows: readonly Shape[] = [[3, 5, 7], [2, 66, 12], [1], [6, 32]];

export const scaled = (x: NdArray, scale: number): NdArray => ({ ...x, data: x.data.map((value) => value * scale) });
