/** The pyramid scene parsing head (Zhao et al., 2017) as the SegSort release has it, under the names of its `block5`. */
import { scope as named, type Tensor } from '../tensor/graph.js';
import { concat } from '../tensor/ops/layout.js';
import { avgPool } from '../tensor/ops/pool.js';
import { resizeBilinear } from '../tensor/ops/resize.js';
import { featuresOf, type HeadBuilder } from './design.js';
import { convUnit } from './layers.js';

export interface PspSpec {
  /** Side of each pooled grid. */
  readonly bins: readonly number[];
  /** Channels of each pooled branch and of the convolution behind them. */
  readonly filters: number;
}

/** The released head. */
export const PSP: PspSpec = { bins: [1, 2, 3, 6], filters: 512 };

/**
 * Pooled grids of the features, each through a 1x1 convolution and resized back (TF1's bilinear resize), joined with the
 * features, a 3x3 convolution and a 1x1 one to `outputs` channels. The feature map must divide by every bin.
 */
export const pspHead =
  (spec: PspSpec = PSP): HeadBuilder =>
  (scope, backbone, outputs) => {
    const block5 = scope.child('block5');
    const { channels } = featuresOf(backbone);
    const branches = spec.bins.map((bin) => ({
      bin,
      conv: convUnit(block5.child(`pool${bin}/conv1`), channels, { channels: spec.filters, kernel: 1 }),
    }));
    const joined = channels + spec.bins.length * spec.filters;
    const conv2 = convUnit(block5.child('conv2'), joined, { channels: spec.filters, kernel: 3 });
    const fc = convUnit(block5.child('fc1_voc12'), spec.filters, {
      channels: outputs,
      kernel: 1,
      norm: false,
      activation: 'none',
    });
    return {
      name: 'psp',
      outputStride: backbone.outputStride,
      multiple: leastCommonMultiple(spec.bins),
      layer(levels, pass) {
        const x = levels.at(-1)!;
        const [, height, width] = x.shape as [number, number, number, number];
        const pooled = branches.map(({ bin, conv }) => {
          const cells = named(`${block5.path}/pool${bin}`, () => gridPool(x, bin));
          const features = conv.layer(cells, pass);
          return named(`${block5.path}/pool${bin}`, () =>
            resizeBilinear(features, [height, width], { convention: 'tf1' }),
          );
        });
        const all = named(`${block5.path}/concat`, () => concat([...pooled, x], 3));
        return fc.layer(conv2.layer(all, pass), pass);
      },
    };
  };

/** The averages of a grid of `bins` by `bins` cells, which must divide x [N,h,w,C]; to [N,bins,bins,C]. */
export function gridPool(x: Tensor, bins: number): Tensor {
  const [, height, width] = x.shape as [number, number, number, number];
  if (height % bins !== 0 || width % bins !== 0)
    throw new Error(`a feature map of ${height}x${width} does not divide into ${bins}x${bins} cells`);
  const size: [number, number] = [height / bins, width / bins];
  return avgPool(x, { size, stride: size, padding: [0, 0, 0, 0] });
}

/** Smallest number that is a multiple of all. */
export function leastCommonMultiple(numbers: readonly number[]): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  return numbers.reduce((all, n) => (all * n) / divisor(all, n), 1);
}
