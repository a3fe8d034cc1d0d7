/** Where the windows of a pooling op lie: shapes, taps and the launch common to its four kernels. */
import { input, type Kernel, linearGrid, OpError, output, pitchOf } from '../op.js';
import { isFloat, type Shape, showShape, type TensorType } from '../types.js';
import { lanesOf, suitLanes } from './stored.js';

export interface Pool {
  readonly size: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number, number, number];
  /** Average pooling only: divide by the window's whole area even where it hangs over the edge. */
  readonly countIncludePad: boolean;
}

/** A gradient also needs the shape it is the gradient for: several image sizes pool to the same output. */
export interface PoolGrad extends Pool {
  readonly imageShape: Shape;
}

export function outputShape(op: string, x: TensorType, { size, stride, padding }: Pool): Shape {
  if (x.shape.length !== 4) throw new OpError(op, `expects an image [N,H,W,C], got ${showShape(x.shape)}`);
  if (!isFloat(x.dtype)) throw new OpError(op, `expects floats, got ${x.dtype}${showShape(x.shape)}`);
  if (![...size, ...stride].every((n) => Number.isInteger(n) && n > 0))
    throw new OpError(op, `size [${size}] and stride [${stride}] must be positive integers`);
  if (!padding.every((n, side) => Number.isInteger(n) && n >= 0 && n < size[side >> 1]!))
    throw new OpError(op, `padding [${padding}] must be integers from 0 to less than the size [${size}]`);
  const extent = (axis: 0 | 1) =>
    Math.floor((x.shape[axis + 1]! + padding[2 * axis]! + padding[2 * axis + 1]! - size[axis]) / stride[axis]) + 1;
  const [height, width] = [extent(0), extent(1)];
  if (height < 1 || width < 1)
    throw new OpError(op, `window [${size}] is larger than the image ${showShape(x.shape)} with padding [${padding}]`);
  return [x.shape[0]!, height, width, x.shape[3]!];
}

export function checkGradient(op: string, dy: TensorType, params: PoolGrad): TensorType {
  const expected = outputShape(op, { shape: params.imageShape, dtype: 'f32' }, params);
  if (!isFloat(dy.dtype) || showShape(dy.shape) !== showShape(expected))
    throw new OpError(op, `expects the gradient, floats ${showShape(expected)}, got ${dy.dtype}${showShape(dy.shape)}`);
  return { shape: params.imageShape, dtype: dy.dtype };
}

/** First and last + 1 row (column) of window `o` that lie in the image. */
function clip(o: number, axis: 0 | 1, extent: number, { size, stride, padding }: Pool): [number, number] {
  const begin = o * stride[axis] - padding[2 * axis]!;
  return [Math.max(begin, 0), Math.min(begin + size[axis], extent)];
}

/** Calls `visit` for each pixel of each window, with positions of the output and the input element. */
export function forEachTap(
  image: Shape,
  pooled: Shape,
  params: Pool,
  visit: (to: number, from: number, area: number) => void,
) {
  const [, H, W, C] = image as [number, number, number, number];
  const [N, OH, OW] = pooled as [number, number, number, number];
  for (let n = 0; n < N; n++)
    for (let oh = 0; oh < OH; oh++)
      for (let ow = 0; ow < OW; ow++) {
        const [h0, h1] = clip(oh, 0, H, params);
        const [w0, w1] = clip(ow, 1, W, params);
        const area = params.countIncludePad ? params.size[0] * params.size[1] : (h1 - h0) * (w1 - w0);
        for (let h = h0; h < h1; h++)
          for (let w = w0; w < w1; w++)
            for (let c = 0; c < C; c++) visit(((n * OH + oh) * OW + ow) * C + c, ((n * H + h) * W + w) * C + c, area);
      }
}

/**
 * The two variants of each of the four kernels. A software adapter is better off with several channels an
 * invocation, which share the index arithmetic; a GPU with neighbouring invocations on neighbouring channels.
 */
export function poolKernels<P extends Pool>(
  source: string,
  kind: { readonly gradient: boolean; readonly max: boolean },
): Kernel<P>[] {
  const variant = (name: string, lanes: 1 | 4): Kernel<P> => ({
    name,
    when: ({ inputs }) => inputs[0]!.shape[3]! % lanes === 0 && suitLanes(inputs, lanes),
    pitched: [kind.gradient ? output(0) : input(0)],
    commands({ inputs, outputs, params, adapter }) {
      const { size, stride, padding, countIncludePad } = params;
      const large = (kind.gradient ? outputs : inputs)[0]!;
      const image = large.shape;
      const pooled = (kind.gradient ? inputs : outputs)[0]!.shape;
      const channels = image[3]! / lanes;
      const run = lanes === 4 && adapter.cpu ? Math.min(channels, 8) : 1;
      const runs = Math.ceil(channels / run);
      const written = kind.gradient ? image : pooled;
      const count = written[0]! * written[1]! * written[2]! * runs;
      const I = lanes === 4 ? 'vec4i' : 'i32';
      const own: Record<string, string | boolean> = kind.max ? { I } : { COUNT_PAD: countIncludePad };
      const constants = { ...lanesOf(inputs[0]!.dtype, lanes), ...own };
      return [
        {
          source,
          constants,
          uniforms: {
            count,
            height: image[1]!,
            width: image[2]!,
            channels,
            pitch: pitchOf(large) / lanes,
            outHeight: pooled[1]!,
            outWidth: pooled[2]!,
            run,
            runs,
            sizeH: size[0],
            sizeW: size[1],
            strideH: stride[0],
            strideW: stride[1],
            padTop: padding[0],
            padLeft: padding[2],
          },
          buffers: [...inputs.map((_, i) => input(i)), ...outputs.map((_, i) => output(i))],
          workgroups: linearGrid(count, 64),
        },
      ];
    },
  });
  return [variant('vec4', 4), variant('naive', 1)];
}

export const poolParams = (
  size: [number, number],
  stride: [number, number],
  padding: Pool['padding'],
  include = false,
): Pool => ({
  size,
  stride,
  padding,
  countIncludePad: include,
});

/** Odd sizes, windows that overlap, tile or leave gaps, one-sided padding, one window over everything. */
export const poolCases = (): readonly (readonly [Shape, Pool])[] => [
  [[2, 5, 7, 3], poolParams([3, 3], [2, 2], [1, 1, 1, 1])],
  [[1, 8, 6, 8], poolParams([3, 2], [1, 2], [0, 1, 1, 0])],
  [[2, 6, 6, 4], poolParams([2, 2], [2, 2], [0, 0, 0, 0])],
  [[1, 7, 5, 20], poolParams([2, 1], [3, 2], [1, 1, 0, 0])],
  [[1, 4, 3, 4], poolParams([4, 3], [4, 3], [0, 0, 0, 0])],
];
