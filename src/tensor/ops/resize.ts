/** Bilinear and nearest resize of NHWC images in both conventions, with gradients in gather form. */
import sourceBilinear from '../../shaders/resize_bilinear.wgsl';
import sourceBilinearGrad from '../../shaders/resize_bilinear_grad.wgsl';
import sourceNearest from '../../shaders/resize_nearest.wgsl';
import sourceNearestGrad from '../../shaders/resize_nearest_grad.wgsl';
import { apply1, type Tensor, type TensorLike } from '../graph.js';
import { input, type Kernel, linearGrid, type Op, OpError, output, pitchOf, type Sample } from '../op.js';
import { type DType, isFloat, type NdArray, type Shape, showShape, sizeOf, type TensorType } from '../types.js';
import { sampleIntegers, sampleValues } from './sample_values.js';
import { lanesOf, suitLanes } from './stored.js';

/**
 * Which point of the source the output pixel `o` of `out` looks at, in a source of `in` pixels:
 * - `tf1`: o * in / out, TensorFlow 1's `align_corners=False`: the top left corners coincide.
 * - `half-pixel`: (o + 1/2) * in / out - 1/2, pixel centres correspond; PyTorch's `align_corners=False`.
 */
export type ResizeConvention = 'tf1' | 'half-pixel';

export interface Resize {
  readonly method: 'bilinear' | 'nearest';
  readonly convention: ResizeConvention;
  readonly size: readonly [number, number];
}

export interface ResizeGrad extends Resize {
  /** Shape of the image that was resized. */
  readonly imageShape: Shape;
}

/** Source coordinates stay within 31 bits up to here. */
const MAX_EXTENT = 16384;

/**
 * The source coordinate of output `o` as a fraction of integers, (scale * o + offset) / denominator. For `nearest`
 * its floor is the source pixel: the half pixel taken off for `bilinear` would only be put back for rounding.
 */
function coordinate({ method, convention }: Resize, from: number, to: number) {
  if (convention === 'tf1') return { scale: from, offset: 0, denominator: to };
  return { scale: 2 * from, offset: method === 'nearest' ? from : from - to, denominator: 2 * to };
}

/** The source pixels of output `o` and their weights. */
function taps(params: Resize, o: number, from: number, to: number): [pixel: number, weight: number][] {
  const { scale, offset, denominator } = coordinate(params, from, to);
  if (params.method === 'nearest') return [[Math.floor((scale * o + offset) / denominator), 1]];
  const source = Math.min(Math.max((scale * o + offset) / denominator, 0), from - 1);
  const first = Math.floor(source);
  return [
    [first, 1 - (source - first)],
    [Math.min(first + 1, from - 1), source - first],
  ];
}

function forEachTap(image: Shape, params: Resize, visit: (to: number, from: number, weight: number) => void): void {
  const [N, H, W, C] = image as [number, number, number, number];
  const [OH, OW] = params.size;
  for (let n = 0; n < N; n++)
    for (let oh = 0; oh < OH; oh++)
      for (let ow = 0; ow < OW; ow++)
        for (const [h, down] of taps(params, oh, H, OH))
          for (const [w, right] of taps(params, ow, W, OW))
            for (let c = 0; c < C; c++)
              visit(((n * OH + oh) * OW + ow) * C + c, ((n * H + h) * W + w) * C + c, down * right);
}

function outputShape(op: string, image: Shape, { size }: Resize): Shape {
  if (image.length !== 4) throw new OpError(op, `expects an image [N,H,W,C], got ${showShape(image)}`);
  if (![...size, image[1]!, image[2]!].every((n) => Number.isInteger(n) && n > 0 && n <= MAX_EXTENT))
    throw new OpError(op, `from ${showShape(image)} to [${size}]: heights and widths must be from 1 to ${MAX_EXTENT}`);
  return [image[0]!, size[0], size[1], image[3]!];
}

const isNearest = ({ method }: Resize) => method === 'nearest';

/** Nearest pixels are copied bit by bit, and only their gradients are floats. */
function constantsOf(dtype: DType, params: Resize, gradient: boolean, lanes: 1 | 4) {
  if (!isNearest(params)) return lanesOf(dtype, lanes);
  const element = gradient ? 'f' : 'u';
  return { V: lanes === 4 ? `vec4${element}` : `${element}32` };
}

/** As in pooling: several channels an invocation share the index arithmetic on a software adapter. */
function variant<P extends Resize>(gradient: boolean, name: string, lanes: 1 | 4): Kernel<P> {
  return {
    name,
    when: ({ inputs }) => inputs[0]!.shape[3]! % lanes === 0 && suitLanes(inputs, lanes),
    pitched: [gradient ? input(0) : output(0)],
    commands({ inputs, outputs, params, adapter }) {
      const [{ shape: image }, large] = gradient ? [outputs[0]!, inputs[0]!] : [inputs[0]!, outputs[0]!];
      const resized = large.shape;
      const channels = image[3]! / lanes;
      const run = lanes === 4 && adapter.cpu ? Math.min(channels, 8) : 1;
      const runs = Math.ceil(channels / run);
      const written = outputs[0]!.shape;
      const count = written[0]! * written[1]! * written[2]! * runs;
      const vertical = coordinate(params, image[1]!, resized[1]!);
      const horizontal = coordinate(params, image[2]!, resized[2]!);
      const sources = isNearest(params) ? [sourceNearest, sourceNearestGrad] : [sourceBilinear, sourceBilinearGrad];
      return [
        {
          source: sources[gradient ? 1 : 0]!,
          constants: constantsOf(inputs[0]!.dtype, params, gradient, lanes),
          uniforms: {
            count,
            height: image[1]!,
            width: image[2]!,
            channels,
            pitch: pitchOf(large) / lanes,
            outHeight: resized[1]!,
            outWidth: resized[2]!,
            run,
            runs,
            scaleH: vertical.scale,
            offsetH: vertical.offset,
            denominatorH: vertical.denominator,
            scaleW: horizontal.scale,
            offsetW: horizontal.offset,
            denominatorW: horizontal.denominator,
          },
          buffers: [input(0), output(0)],
          workgroups: linearGrid(count, 64),
        },
      ];
    },
  };
}

/** Up and down, by whole factors and not, to and from one pixel. */
const cases: readonly (readonly [Shape, readonly [number, number]])[] = [
  [
    [2, 4, 5, 3],
    [8, 9],
  ],
  [
    [1, 7, 6, 8],
    [3, 4],
  ],
  [
    [1, 3, 3, 20],
    [12, 6],
  ],
  [
    [2, 5, 1, 4],
    [1, 5],
  ],
  [
    [1, 1, 9, 2],
    [4, 2],
  ],
];
const methods = ['bilinear', 'nearest'] as const;
const conventions = ['tf1', 'half-pixel'] as const;

function samples<P>(make: (shape: Shape, params: Resize, seed: number) => Sample<P>): Sample<P>[] {
  return methods.flatMap((method) =>
    conventions.flatMap((convention) =>
      cases.map(([shape, size], seed) => ({
        name: `${method} ${convention}`,
        ...make(shape, { method, convention, size }, seed),
      })),
    ),
  );
}

export const resizeOp: Op<Resize> = {
  name: 'resize',
  infer([x], params) {
    if (!isFloat(x!.dtype) && !isNearest(params))
      throw new OpError(
        'resize',
        `bilinear needs floats, got ${x!.dtype}${showShape(x!.shape)}; resizeNearest takes integers`,
      );
    return [{ shape: outputShape('resize', x!.shape, params), dtype: x!.dtype }];
  },
  halves: (_, params) => !isNearest(params),
  grad: ({ inputs, grads, params }) => [apply1(resizeGradOp, [grads[0]!], { ...params, imageShape: inputs[0]!.shape })],
  reference([x], params): NdArray[] {
    const shape = outputShape('resize', x!.shape, params);
    const data = new Float64Array(sizeOf(shape));
    forEachTap(x!.shape, params, (to, from, weight) => {
      data[to]! += x!.data[from]! * weight;
    });
    return [{ shape, dtype: x!.dtype, data }];
  },
  samples: () => [
    ...samples<Resize>((shape, params, seed) => ({ inputs: [sampleValues(shape, seed)], params })),
    ...(['i32', 'u32'] as const).map((dtype) => ({
      inputs: [sampleIntegers([1, 3, 4, 4], 0, 2 ** 31 - 1, 7, dtype)],
      params: { method: 'nearest' as const, convention: 'half-pixel' as const, size: [5, 7] as const },
      checkGrad: false,
    })),
  ],
  kernels: [variant<Resize>(false, 'vec4', 4), variant<Resize>(false, 'naive', 1)],
  flops: (_, [y], params) => (isNearest(params) ? 0 : sizeOf(y!.shape) * 9),
};

/** From the gradient of the resized image to that of the image. */
export const resizeGradOp: Op<ResizeGrad> = {
  name: 'resizeGrad',
  infer([dy], params): TensorType[] {
    const expected = outputShape('resizeGrad', params.imageShape, params);
    if (!isFloat(dy!.dtype) || showShape(dy!.shape) !== showShape(expected))
      throw new OpError(
        'resizeGrad',
        `expects the gradient, floats ${showShape(expected)}, got ${dy!.dtype}${showShape(dy!.shape)}`,
      );
    return [{ shape: params.imageShape, dtype: dy!.dtype }];
  },
  halves: (_, params) => !isNearest(params),
  grad: ({ grads, params }) => [apply1(resizeOp, [grads[0]!], params)],
  reference([dy], params): NdArray[] {
    const data = new Float64Array(sizeOf(params.imageShape));
    forEachTap(params.imageShape, params, (to, from, weight) => {
      data[from]! += dy!.data[to]! * weight;
    });
    return [{ shape: params.imageShape, dtype: dy!.dtype, data }];
  },
  samples: () =>
    samples<ResizeGrad>((shape, params, seed) => ({
      inputs: [sampleValues([shape[0]!, ...params.size, shape[3]!], seed)],
      params: { ...params, imageShape: shape },
    })),
  kernels: [variant<ResizeGrad>(true, 'vec4', 4), variant<ResizeGrad>(true, 'naive', 1)],
  flops: ([dy], _, params) => sizeOf(dy!.shape) * (isNearest(params) ? 1 : 8),
};

export const resizeOps: Op[] = [resizeOp, resizeGradOp];

export interface ResizeOptions {
  readonly convention: ResizeConvention;
}

/**
 * Bilinear resize of an image [N,H,W,C] to [N,height,width,C]. Coordinates beyond the image are clamped to its edge;
 * reductions don't smooth, as in TensorFlow and PyTorch (without `antialias`).
 */
export function resizeBilinear(x: TensorLike, size: readonly [number, number], { convention }: ResizeOptions): Tensor {
  return apply1(resizeOp, [x], { method: 'bilinear', convention, size });
}

/**
 * Nearest-neighbour resize, for images of any dtype: the source pixel is floor(o * in / out) for `tf1` and
 * floor((o + 1/2) * in / out) for `half-pixel` (PyTorch's `nearest-exact`), computed in integers.
 */
export function resizeNearest(x: TensorLike, size: readonly [number, number], { convention }: ResizeOptions): Tensor {
  return apply1(resizeOp, [x], { method: 'nearest', convention, size });
}
