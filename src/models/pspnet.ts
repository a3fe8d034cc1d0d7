/** The pyramid scene parsing head (Zhao et al., 2017) as the SegSort release has it, under the names of its `block5`. */
import { scope as named } from '../tensor/graph.js';
import { concat } from '../tensor/ops/layout.js';
import { featuresOf, type HeadBuilder } from './design.js';
import { convUnit } from './layers.js';
import { gridPools, leastCommonMultiple, spreadGrid } from './pyramid.js';

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
        const grids = named(`${block5.path}/pools`, () => gridPools(x, spec.bins));
        const pooled = branches.map(({ bin, conv }, i) => {
          const features = conv.layer(grids[i]!, pass);
          return named(`${block5.path}/pool${bin}`, () => spreadGrid(features, [height, width], { convention: 'tf1' }));
        });
        const all = named(`${block5.path}/concat`, () => concat([...pooled, x], 3));
        return fc.layer(conv2.layer(all, pass), pass);
      },
    };
  };
