/**
 * A light head for small images: pooled context, upsampled to an early level's resolution and joined with its features, as
 * encoder-decoder networks do (U-Net, Ronneberger et al. 2015; DeepLabv3+, Chen et al. 2018).
 */
import { scope as named } from '../tensor/graph.js';
import { concat } from '../tensor/ops/layout.js';
import { featuresOf, type HeadBuilder, levelAt, upsampleTo } from './design.js';
import { convUnit } from './layers.js';
import { gridPools, leastCommonMultiple, spreadGrid } from './pyramid.js';

export interface SkipHeadSpec {
  /** Side of each pooled grid; the feature map must divide by each. */
  readonly bins: readonly number[];
  /** Channels of each pooled branch. */
  readonly context: number;
  /** Channels of the 1x1 convolution over features and context. */
  readonly filters: number;
  /** Input pixels for one of the output: the last level of the backbone with this stride is joined. Default 2. */
  readonly stride?: number;
}

export const skipHead =
  ({ bins, context, filters, stride = 2 }: SkipHeadSpec): HeadBuilder =>
  (scope, backbone, outputs) => {
    const block5 = scope.child('block5');
    const { channels } = featuresOf(backbone);
    const level = levelAt(backbone, stride);
    const branches = bins.map((bin) => ({
      bin,
      conv: convUnit(block5.child(`pool${bin}/conv1`), channels, { channels: context, kernel: 1 }),
    }));
    const fuse = convUnit(block5.child('fuse'), channels + bins.length * context, { channels: filters, kernel: 1 });
    // Normalised like any other layer: embeddings that are centred from the start spread over the sphere.
    const output = convUnit(block5.child('embedding'), filters + level.channels, {
      channels: outputs,
      kernel: 1,
      activation: 'none',
    });
    return {
      name: 'skip',
      outputStride: stride,
      multiple: leastCommonMultiple(bins),
      layer(levels, pass) {
        const features = levels.at(-1)!;
        const early = levels[level.index]!;
        const [, height, width] = features.shape as [number, number, number, number];
        const grids = named(`${block5.path}/pools`, () => gridPools(features, bins));
        const pooled = branches.map(({ bin, conv }, i) => {
          const branch = conv.layer(grids[i]!, pass);
          return named(`${block5.path}/pool${bin}`, () =>
            spreadGrid(branch, [height, width], { convention: 'half-pixel' }),
          );
        });
        const fused = fuse.layer(
          named(`${block5.path}/context`, () => concat([...pooled, features], 3)),
          pass,
        );
        const skipped = named(`${block5.path}/skip`, () => concat([upsampleTo(fused, early), early], 3));
        return output.layer(skipped, pass);
      },
    };
  };
