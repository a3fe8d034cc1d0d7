/** The head of DeepLabv3+ (Chen et al., 2018): atrous spatial pyramid pooling, and a decoder that refines edges. */
import { scope as named } from '../tensor/graph.js';
import { concat } from '../tensor/ops/layout.js';
import { buildAspp, separableUnit } from './aspp.js';
import { type HeadBuilder, levelAt, upsampleTo } from './design.js';
import { convUnit, sequence } from './layers.js';

export interface DeeplabV3PlusSpec {
  /** Channels of the pyramid and of the decoder. Default 256. */
  readonly filters?: number;
  /** Channels that early features are reduced to. Default 48 (section 4.1). */
  readonly lowLevel?: number;
  /** Input pixels for one of the output, and the stride of the early features: the last that the backbone has. Default 4. */
  readonly stride?: number;
  /** See `AsppSpec`. */
  readonly rates?: readonly number[];
}

/**
 * The pyramid's output is resized to the early features (pixel centres on pixel centres), joined with them behind a 1x1
 * convolution to few channels, and refined by two separable 3x3 convolutions (sections 3.1 and 4.1); a 1x1 one with a bias
 * gives the outputs. Early features are whole residual units' outputs, behind their ReLU; TensorFlow's DeepLab takes
 * what a unit's last convolution adds to its shortcut.
 */
export const deeplabV3PlusHead =
  ({ filters = 256, lowLevel = 48, stride = 4, rates }: DeeplabV3PlusSpec = {}): HeadBuilder =>
  (scope, backbone, outputs) => {
    const level = levelAt(backbone, stride);
    const aspp = buildAspp(scope, backbone, { filters, rates });
    const decoder = scope.child('decoder');
    const early = convUnit(decoder.child('feature_projection0'), level.channels, { channels: lowLevel, kernel: 1 });
    const refine = sequence([
      separableUnit(decoder, 'decoder_conv0', filters + lowLevel, { channels: filters }),
      separableUnit(decoder, 'decoder_conv1', filters, { channels: filters }),
      convUnit(scope.child('output'), filters, { channels: outputs, kernel: 1, norm: false, activation: 'none' }),
    ]);
    return {
      name: 'deeplab-v3plus',
      outputStride: stride,
      multiple: 1,
      layer(levels, pass) {
        const pyramid = aspp.layer(levels.at(-1)!, pass);
        const detail = early.layer(levels[level.index]!, pass);
        const joined = named(`${decoder.path}/concat`, () => concat([upsampleTo(pyramid, detail), detail], 3));
        return refine.layer(joined, pass);
      },
    };
  };
