/**
 * MobileNetV2 (Sandler et al., 2018) as torchvision has it, at any output stride: where a stride would go beyond it, the
 * unit keeps its own rate and what follows is dilated by the stride instead, as in `resnet.ts`.
 */
import { scope as named } from '../tensor/graph.js';
import { add } from '../tensor/ops/elementwise.js';
import { type BackboneBuilder, type Stage, stagedBackbone } from './design.js';
import { type Built, convUnit, depthwiseUnit, type Layer, sequence } from './layers.js';
import { type BatchNormSettings, type Scope, TORCHVISION_BATCH_NORM } from './parameter.js';

export interface MobileNetV2Spec {
  /** Factor on the channels of every layer, rounded to multiples of 8. Default 1. */
  readonly widthMultiplier?: number;
  /** Input pixels per feature. Default 16. */
  readonly outputStride?: number;
  /** Channels of the 1x1 convolution behind the last bottleneck: 1280 in classification, none (default) in DeepLab. */
  readonly lastChannels?: number | null;
  readonly batchNorm?: Partial<BatchNormSettings>;
}

/** Table 2 of the paper: expansion, channels, units, stride of the first unit. */
const BLOCKS = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/** The multiple of 8 nearest to `channels`, at least 8, and not below nine tenths of `channels`. */
export function roundChannels(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

/** Images [N,H,W,3] to [N,ceil(H/s),ceil(W/s),channels] with s the output stride: 320 channels, or `lastChannels`. */
export const mobileNetV2 =
  ({ widthMultiplier = 1, outputStride = 16, lastChannels = null, ...spec }: MobileNetV2Spec = {}): BackboneBuilder =>
  (root) => {
    const name = widthMultiplier === 1 ? 'mobilenet_v2' : `mobilenet_v2_${widthMultiplier}`;
    const batchNorm = { ...TORCHVISION_BATCH_NORM, ...spec.batchNorm };
    const scope = root.child(name).with({ batchNorm });
    const first = { channels: roundChannels(32 * widthMultiplier), kernel: 3, stride: 2, activation: 'relu6' } as const;
    const stages: Stage[] = [{ ...convUnit(scope.child('conv1'), 3, first), stride: 2 }];
    let { channels } = first;
    let stride = 2;
    let dilation = 1;
    for (const [b, [expansion, wide, units, blockStride]] of BLOCKS.entries()) {
      for (let u = 0; u < units; u++) {
        const wanted = u === 0 ? blockStride : 1;
        const dilate = stride * wanted > outputStride;
        const unit = invertedResidual(scope.child(`block${b + 1}/unit_${u + 1}`), channels, {
          channels: roundChannels(wide * widthMultiplier),
          expansion,
          stride: dilate ? 1 : wanted,
          dilation,
          // The first unit of a block stays without shortcut where its stride has become dilation.
          residual: wanted === 1,
        });
        if (dilate) dilation *= wanted;
        else stride *= wanted;
        stages.push({ ...unit, stride });
        channels = unit.channels;
      }
    }
    if (lastChannels !== null) {
      const last = { channels: roundChannels(lastChannels * Math.max(1, widthMultiplier)), kernel: 1 };
      stages.push({ ...convUnit(scope.child('conv_last'), channels, { ...last, activation: 'relu6' }), stride });
    }
    const description = { name, family: 'mobilenet-v2', variant: 'torchvision', batchNorm, outputStride };
    return stagedBackbone(description, stages);
  };

export interface InvertedResidualOptions {
  readonly channels: number;
  /** Factor on the input's channels inside; at 1 there is no expanding convolution. */
  readonly expansion: number;
  readonly stride: number;
  readonly dilation: number;
  /** Whether the input is added to the output, where both have the same channels. */
  readonly residual: boolean;
}

/** An inverted residual with linear bottleneck (section 3.3): 1x1 to many channels, 3x3 depthwise, 1x1 without activation. */
export function invertedResidual(
  scope: Scope,
  inputChannels: number,
  { channels, expansion, stride, dilation, residual }: InvertedResidualOptions,
): Built {
  const hidden = inputChannels * expansion;
  const activation = 'relu6';
  const parts: Built[] = [];
  if (expansion !== 1)
    parts.push(convUnit(scope.child('expand'), inputChannels, { channels: hidden, kernel: 1, activation }));
  parts.push(depthwiseUnit(scope.child('depthwise'), hidden, { kernel: 3, stride, dilation, activation }));
  parts.push(convUnit(scope.child('project'), hidden, { channels, kernel: 1, activation: 'none' }));
  const body = sequence(parts);
  if (!residual || channels !== inputChannels) return body;
  const layer: Layer = (x, pass) => {
    const y = body.layer(x, pass);
    return named(scope.path, () => add(x, y));
  };
  return { layer, channels };
}
