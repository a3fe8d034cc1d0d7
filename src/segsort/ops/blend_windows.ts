/** A network's output over a whole image, out of its outputs for overlapping windows. */
import source from '../../shaders/segsort_blend_windows.wgsl';
import { apply1, type Tensor, type TensorLike } from '../../tensor/graph.js';
import { type Command, input, type Kernel, linearGrid, type Op, OpError, output } from '../../tensor/op.js';
import { sampleValues } from '../../tensor/ops/sample_values.js';
import { type NdArray, ndarray, showShape, sizeOf } from '../../tensor/types.js';
import { checkPositive } from './segments.js';
import { checkGrid, gridPosition } from './view_grid.js';

export interface BlendWindows {
  /** Height and width of the result. */
  readonly size: readonly [number, number];
  /** Pixels of a window for one feature, along each axis. */
  readonly stride: number;
  /** What interpolated features become before they are averaged: unit vectors, or probabilities by softmax. */
  readonly as: 'unit' | 'softmax';
}

/** The origin of windows that are not in use: far outside of every image. */
export const NOWHERE = -(2 ** 24);

/** The cells at either side of a position in a window, and the weight of that position. */
function tapsOf(at: number, stride: number, cells: number) {
  const first = Math.floor(at / stride);
  const extent = cells * stride;
  return {
    first,
    second: Math.min(first + 1, cells - 1),
    part: at / stride - first,
    weight: Math.min(at + 1, extent - at) / extent,
  };
}

function softmaxOf(values: readonly number[]): number[] {
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function unitOf(values: readonly number[]): number[] {
  const length = Math.sqrt(
    Math.max(
      values.reduce((sum, value) => sum + value * value, 0),
      1e-24,
    ),
  );
  return values.map((value) => value / length);
}

function kernel(name: string, lanes: 1 | 4): Kernel<BlendWindows> {
  return {
    name,
    when: ({ inputs }) => inputs[0]!.shape[3]! % lanes === 0,
    commands({ inputs, params: { size, stride, as } }): Command[] {
      const [windows, featureHeight, featureWidth, channels] = inputs[0]!.shape as [number, number, number, number];
      const count = size[0] * size[1];
      return [
        {
          source,
          constants:
            lanes === 4
              ? { V: 'vec4f', LANES: 'vec4f(1.0)', SOFTMAX: as === 'softmax' }
              : { V: 'f32', LANES: 'vec4f(1.0, 0.0, 0.0, 0.0)', SOFTMAX: as === 'softmax' },
          uniforms: {
            count,
            windows,
            featureHeight,
            featureWidth,
            channels: channels / lanes,
            outWidth: size[1],
            stride,
          },
          buffers: [input(0), input(1), input(2), output(0)],
          workgroups: linearGrid(count, 64),
        },
      ];
    },
  };
}

export const blendWindowsOp: Op<BlendWindows> = {
  name: 'blendWindows',
  infer([features, origins, grid], { size, stride }) {
    const { dtype, shape } = features!;
    if (dtype !== 'f32' || shape.length !== 4)
      throw new OpError('blendWindows', `features must be f32 [B,h,w,C], got ${dtype}${showShape(shape)}`);
    if (origins!.dtype !== 'i32' || showShape(origins!.shape) !== `[${shape[0]},2]`)
      throw new OpError(
        'blendWindows',
        `origins must be i32 [${shape[0]},2] for features ${showShape(shape)}, got ${origins!.dtype}${showShape(origins!.shape)}`,
      );
    checkGrid('blendWindows', grid!);
    checkPositive('blendWindows', { height: size[0], width: size[1], stride }, ['height', 'width', 'stride']);
    return [{ shape: [1, ...size, shape[3]!], dtype: 'f32' }];
  },
  reference([features, origins, grid], params): NdArray[] {
    const [windows, cellsY, cellsX, channels] = features!.shape as [number, number, number, number];
    const { size, stride, as } = params;
    const result = ndarray([1, ...size, channels]);
    for (let oy = 0; oy < size[0]; oy++)
      for (let ox = 0; ox < size[1]; ox++) {
        const y = gridPosition(grid!, 0, oy);
        const x = gridPosition(grid!, 1, ox);
        const blended = new Array<number>(channels).fill(0);
        let total = 0;
        for (let w = 0; w < windows; w++) {
          const top = y.pixel - origins!.data[w * 2]!;
          const left = x.pixel - origins!.data[w * 2 + 1]!;
          if (top < 0 || left < 0 || top >= cellsY * stride || left >= cellsX * stride) continue;
          const down = tapsOf(top + y.part, stride, cellsY);
          const right = tapsOf(left + x.part, stride, cellsX);
          const value = (row: number, column: number, c: number) =>
            features!.data[((w * cellsY + row) * cellsX + column) * channels + c]!;
          const sampled = blended.map((_, c) => {
            const upper =
              value(down.first, right.first, c) * (1 - right.part) + value(down.first, right.second, c) * right.part;
            const lower =
              value(down.second, right.first, c) * (1 - right.part) + value(down.second, right.second, c) * right.part;
            return upper * (1 - down.part) + lower * down.part;
          });
          const weight = down.weight * right.weight;
          total += weight;
          for (const [c, part] of (as === 'unit' ? unitOf(sampled) : softmaxOf(sampled)).entries())
            blended[c]! += part * weight;
        }
        if (total > 0)
          result.data.set(
            blended.map((sum) => sum / total),
            (oy * size[1] + ox) * channels,
          );
      }
    return [result];
  },
  samples: () =>
    (['unit', 'softmax'] as const).flatMap((as) => [
      {
        name: `${as}, overlapping windows, one not in use`,
        inputs: [
          sampleValues([4, 3, 4, 5], 1),
          ndarray([4, 2], [0, 0, 0, 5, 3, 5, NOWHERE, NOWHERE], 'i32'),
          ndarray([2, 4], [2, 0, 1, 9, 1, 0, 1, 13], 'i32'),
        ],
        params: { size: [5, 13] as const, stride: 2, as },
      },
      {
        name: `${as}, resized and mirrored`,
        inputs: [
          sampleValues([2, 2, 2, 8], 2),
          ndarray([2, 2], [0, 0, 0, 4], 'i32'),
          ndarray([2, 4], [7, 0, 5, 7, -11, 40, 4, 11], 'i32'),
        ],
        params: { size: [5, 4] as const, stride: 4, as },
      },
    ]),
  kernels: [kernel('vec4', 4), kernel('naive', 1)],
  flops: ([features], _, { size }) => sizeOf(size) * features!.shape[3]! * 40,
};

/**
 * Average of the windows that cover each pixel, f32 [1,height,width,C]: in each window the features are interpolated
 * bilinearly (pixel y lies at y / stride, as in TensorFlow 1's resize), made unit vectors or probabilities, and weighted by
 * a tent that falls from the window's middle to its edges, where the network sees least of the surroundings. 0 where no
 * window lies.
 *
 * @param features f32 [B,h,w,C]: of windows of h*stride by w*stride pixels
 * @param origins i32 [B,2]: row and column of each window in the view; `NOWHERE` for those not in use
 * @param grid i32 [2,4]: where the pixels of the result lie in the view (see `view_grid.ts`)
 */
export function blendWindows(
  features: TensorLike,
  origins: TensorLike,
  grid: TensorLike,
  params: BlendWindows,
): Tensor {
  return apply1(blendWindowsOp, [features, origins, grid], params);
}
