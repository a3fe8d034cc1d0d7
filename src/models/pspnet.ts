/** The pyramid scene parsing head (Zhao et al., 2017) as the SegSort release has it, under the names of its `block5`. */
import { scope as named } from '../tensor/graph.js';
import { concat } from '../tensor/ops/layout.js';
import { avgPool } from '../tensor/ops/pool.js';
import { resizeBilinear } from '../tensor/ops/resize.js';
import { type Built, convUnit, HEAD_DECAY, type Layer } from './layers.js';
import type { Scope } from './parameter.js';

export interface PspSpec {
  /** Side of each pooled grid. */
  readonly bins: readonly number[];
  /** Channels of each pooled branch and of the convolution behind them. */
  readonly filters: number;
  /** Decay of the running statistics. Default: the reference's 0.99. */
  readonly decay?: number;
}

/** The released head. */
export const PSP: PspSpec = { bins: [1, 2, 3, 6], filters: 512 };

/**
 * Pooled grids of the features, each through a 1x1 convolution and resized back (TF1's bilinear resize), joined with the
 * features, a 3x3 convolution and a 1x1 one to `outputs` channels. The feature map must divide by every bin.
 */
export function buildPspHead(scope: Scope, inputChannels: number, outputs: number, spec: PspSpec = PSP): Built {
  const block5 = scope.child('block5');
  const { decay = HEAD_DECAY } = spec;
  const branches = spec.bins.map((bin) => ({
    bin,
    conv: convUnit(block5.child(`pool${bin}/conv1`), inputChannels, {
      channels: spec.filters,
      kernel: 1,
      decay,
    }),
  }));
  const joined = inputChannels + spec.bins.length * spec.filters;
  const conv2 = convUnit(block5.child('conv2'), joined, { channels: spec.filters, kernel: 3, decay });
  const fc = convUnit(block5.child('fc1_voc12'), spec.filters, {
    channels: outputs,
    kernel: 1,
    norm: false,
    relu: false,
  });
  const layer: Layer = (x, pass) => {
    const [, height, width] = x.shape as [number, number, number, number];
    const pooled = branches.map(({ bin, conv }) => {
      if (height % bin !== 0 || width % bin !== 0)
        throw new Error(
          `${block5.path}/pool${bin}: a feature map of ${height}x${width} does not divide into ${bin}x${bin} cells; ` +
            `use an input whose feature map is a multiple of ${leastCommonMultiple(spec.bins)}`,
        );
      const size: [number, number] = [height / bin, width / bin];
      const cells = named(`${block5.path}/pool${bin}`, () => avgPool(x, { size, stride: size, padding: [0, 0, 0, 0] }));
      const features = conv.layer(cells, pass);
      return named(`${block5.path}/pool${bin}`, () => resizeBilinear(features, [height, width], { convention: 'tf1' }));
    });
    const all = named(`${block5.path}/concat`, () => concat([...pooled, x], 3));
    return fc.layer(conv2.layer(all, pass), pass);
  };
  return { layer, channels: outputs };
}

/** Smallest number that is a multiple of all. */
export function leastCommonMultiple(numbers: readonly number[]): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  return numbers.reduce((all, n) => (all * n) / divisor(all, n), 1);
}
