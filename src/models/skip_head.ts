/**
 * A light head for small images: pooled context, upsampled to the stem's resolution and joined with the stem's features, as
 * encoder-decoder networks do (U-Net, Ronneberger et al. 2015; DeepLabv3+, Chen et al. 2018).
 */
import { scope as named, type Tensor } from '../tensor/graph.js';
import { concat } from '../tensor/ops/layout.js';
import { avgPool } from '../tensor/ops/pool.js';
import { resizeBilinear } from '../tensor/ops/resize.js';
import { convUnit, HEAD_DECAY, type Pass } from './layers.js';
import type { Scope } from './parameter.js';

export interface SkipHeadSpec {
  /** Side of each pooled grid; the feature map must divide by each. */
  readonly bins: readonly number[];
  /** Channels of each pooled branch. */
  readonly context: number;
  /** Channels of the 1x1 convolution over features and context. */
  readonly filters: number;
  /** Decay of the running statistics. Default: the reference's 0.99. */
  readonly decay?: number;
}

/** Features [N,h,w,C] and the stem's [N,H,W,S] to [N,H,W,outputs]. */
export type SkipHead = (features: Tensor, stem: Tensor, pass: Pass) => Tensor;

export function buildSkipHead(
  scope: Scope,
  channels: { readonly features: number; readonly stem: number },
  outputs: number,
  spec: SkipHeadSpec,
): SkipHead {
  const block5 = scope.child('block5');
  const { decay = HEAD_DECAY } = spec;
  const branches = spec.bins.map((bin) => ({
    bin,
    conv: convUnit(block5.child(`pool${bin}/conv1`), channels.features, { channels: spec.context, kernel: 1, decay }),
  }));
  const joined = channels.features + spec.bins.length * spec.context;
  const fuse = convUnit(block5.child('fuse'), joined, { channels: spec.filters, kernel: 1, decay });
  // Normalised like any other layer: embeddings that are centred from the start spread over the sphere.
  const output = convUnit(block5.child('embedding'), spec.filters + channels.stem, {
    channels: outputs,
    kernel: 1,
    relu: false,
    decay,
  });
  const upsample = (x: Tensor, like: Tensor) =>
    resizeBilinear(x, [like.shape[1]!, like.shape[2]!], { convention: 'half-pixel' });
  return (features, stem, pass) => {
    const [, height, width] = features.shape as [number, number, number, number];
    const context = branches.map(({ bin, conv }) => {
      const size: [number, number] = [height / bin, width / bin];
      const cells = named(`${block5.path}/pool${bin}`, () =>
        avgPool(features, { size, stride: size, padding: [0, 0, 0, 0] }),
      );
      const branch = conv.layer(cells, pass);
      return named(`${block5.path}/pool${bin}`, () => upsample(branch, features));
    });
    const fused = fuse.layer(
      named(`${block5.path}/context`, () => concat([...context, features], 3)),
      pass,
    );
    const skipped = named(`${block5.path}/skip`, () => concat([upsample(fused, stem), stem], 3));
    return output.layer(skipped, pass);
  };
}
