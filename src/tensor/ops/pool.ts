/** Max and average pooling of NHWC images, and their gradients in gather form: deterministic, without atomics. */
import sourceAvg from '../../shaders/avg_pool.wgsl';
import sourceAvgGrad from '../../shaders/avg_pool_grad.wgsl';
import sourceMax from '../../shaders/max_pool.wgsl';
import sourceMaxGrad from '../../shaders/max_pool_grad.wgsl';
import { apply, apply1, type Tensor, type TensorLike } from '../graph.js';
import { type Op, OpError, type Sample } from '../op.js';
import { type NdArray, ndarray, showShape, sizeOf } from '../types.js';
import {
  checkGradient,
  forEachTap,
  outputShape,
  type Pool,
  type PoolGrad,
  poolCases,
  poolKernels,
  poolParams,
} from './pool_window.js';
import { distinctValues, sampleValues } from './sample_values.js';

export interface PoolOptions {
  /** Window height and width in pixels, or one number for both. */
  readonly size: number | readonly [number, number];
  /** Distance between windows; default: the size, so that windows tile the image. */
  readonly stride?: number | readonly [number, number];
  /** Pixels beyond the image: top, bottom, left, right. Default: none. Each less than the size. */
  readonly padding?: readonly [number, number, number, number];
}

function gradientSamples(withWinners: boolean): Sample<PoolGrad>[] {
  return poolCases().map(([shape, pool], i) => {
    const x = distinctValues(shape, i);
    const [y, winner] = maxPoolOp.reference([x], pool);
    const dy = sampleValues(y!.shape, i + 50);
    return { inputs: withWinners ? [dy, winner!] : [dy], params: { ...pool, imageShape: shape } };
  });
}

/**
 * Outputs the maxima and, as i32, which pixel of its image (row * width + column) each came from: the first in
 * scan order where several are equal. Padding never wins.
 */
export const maxPoolOp: Op<Pool> = {
  name: 'maxPool',
  infer([x], pool) {
    const shape = outputShape('maxPool', x!, pool);
    return [
      { shape, dtype: x!.dtype },
      { shape, dtype: 'i32' },
    ];
  },
  halves: () => true,
  grad: ({ inputs, outputs, grads, params }) => [
    grads[0] ? apply1(maxPoolGradOp, [grads[0], outputs[1]!], { ...params, imageShape: inputs[0]!.shape }) : null,
  ],
  reference([x], pool) {
    const [, H, W, C] = x!.shape as [number, number, number, number];
    const shape = outputShape('maxPool', x!, pool);
    const best = new Float64Array(sizeOf(shape));
    const winner = new Float64Array(sizeOf(shape)).fill(-1);
    forEachTap(x!.shape, shape, pool, (to, from) => {
      if (winner[to]! >= 0 && !(x!.data[from]! > best[to]!)) return;
      best[to] = x!.data[from]!;
      winner[to] = Math.floor(from / C) % (H * W);
    });
    return [ndarray(shape, best, x!.dtype), ndarray(shape, winner, 'i32')];
  },
  samples: () => [
    ...poolCases().map(([shape, pool], i) => ({ inputs: [distinctValues(shape, i)], params: pool })),
    {
      name: 'ties',
      inputs: [ndarray([1, 4, 4, 4])],
      params: poolParams([3, 3], [1, 1], [1, 1, 1, 1]),
      checkGrad: false,
    },
  ],
  kernels: poolKernels(sourceMax, { gradient: false, max: true }),
  flops: (_, [y], { size }) => sizeOf(y!.shape) * size[0] * size[1],
};

/** From the gradient of the maxima and where they came from to the gradient of the image. */
export const maxPoolGradOp: Op<PoolGrad> = {
  name: 'maxPoolGrad',
  infer([dy, winner], pool) {
    const type = checkGradient('maxPoolGrad', dy!, pool);
    if (winner!.dtype !== 'i32' || showShape(winner!.shape) !== showShape(dy!.shape))
      throw new OpError(
        'maxPoolGrad',
        `expects winners i32${showShape(dy!.shape)}, got ${winner!.dtype}${showShape(winner!.shape)}`,
      );
    return [type];
  },
  halves: () => true,
  reference([dy, winner], pool): NdArray[] {
    const [, H, W, C] = pool.imageShape as [number, number, number, number];
    const dx = ndarray(pool.imageShape, undefined, dy!.dtype);
    const perImage = sizeOf(dy!.shape) / dy!.shape[0]!;
    for (const [i, value] of dy!.data.entries())
      dx.data[(Math.floor(i / perImage) * H * W + winner!.data[i]!) * C + (i % C)]! += value;
    return [dx];
  },
  samples: () => gradientSamples(true),
  kernels: poolKernels(sourceMaxGrad, { gradient: true, max: true }),
  flops: ([dy], _, { size }) => sizeOf(dy!.shape) * size[0] * size[1],
};

export const avgPoolOp: Op<Pool> = {
  name: 'avgPool',
  infer: ([x], pool) => [{ shape: outputShape('avgPool', x!, pool), dtype: x!.dtype }],
  halves: () => true,
  grad: ({ inputs, grads, params }) => [
    apply1(avgPoolGradOp, [grads[0]!], { ...params, imageShape: inputs[0]!.shape }),
  ],
  reference([x], pool) {
    const y = ndarray(outputShape('avgPool', x!, pool), undefined, x!.dtype);
    forEachTap(x!.shape, y.shape, pool, (to, from, area) => {
      y.data[to]! += x!.data[from]! / area;
    });
    return [y];
  },
  samples: () =>
    poolCases().flatMap(([shape, pool], i) =>
      [false, true].map((countIncludePad) => ({
        inputs: [sampleValues(shape, i)],
        params: { ...pool, countIncludePad },
      })),
    ),
  kernels: poolKernels(sourceAvg, { gradient: false, max: false }),
  flops: (_, [y], { size }) => sizeOf(y!.shape) * size[0] * size[1],
};

export const avgPoolGradOp: Op<PoolGrad> = {
  name: 'avgPoolGrad',
  infer: ([dy], pool) => [checkGradient('avgPoolGrad', dy!, pool)],
  halves: () => true,
  grad: ({ grads, params }) => [apply1(avgPoolOp, [grads[0]!], params)],
  reference([dy], pool) {
    const dx = ndarray(pool.imageShape, undefined, dy!.dtype);
    forEachTap(pool.imageShape, dy!.shape, pool, (to, from, area) => {
      dx.data[from]! += dy!.data[to]! / area;
    });
    return [dx];
  },
  samples: () => gradientSamples(false).flatMap((s) => [s, { ...s, params: { ...s.params, countIncludePad: true } }]),
  kernels: poolKernels(sourceAvgGrad, { gradient: true, max: false }),
  flops: ([dy], _, { size }) => sizeOf(dy!.shape) * size[0] * size[1],
};

export const poolOps: Op[] = [maxPoolOp, maxPoolGradOp, avgPoolOp, avgPoolGradOp];

const pair = (value: number | readonly [number, number]) =>
  typeof value === 'number' ? ([value, value] as const) : value;

function resolve({ size, stride = size, padding = [0, 0, 0, 0] }: PoolOptions, countIncludePad = false): Pool {
  return { size: pair(size), stride: pair(stride), padding, countIncludePad };
}

/**
 * Maximum over windows of an image [N,H,W,C], to [N,OH,OW,C] with OH = floor((H + top + bottom - size) / stride) + 1.
 * The gradient goes to the first maximum of a window in scan order.
 */
export function maxPool(x: TensorLike, options: PoolOptions): Tensor {
  return apply(maxPoolOp, [x], resolve(options))[0]!;
}

/** Average over windows, as `maxPool`. Pixels of padding don't count, unless `countIncludePad`. */
export function avgPool(x: TensorLike, options: PoolOptions & { readonly countIncludePad?: boolean }): Tensor {
  return apply1(avgPoolOp, [x], resolve(options, options.countIncludePad));
}
