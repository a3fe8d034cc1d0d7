/** The head of DeepLabv3 (Chen et al., 2017) as torchvision has it. */
import { buildAspp } from './aspp.js';
import type { HeadBuilder } from './design.js';
import { convUnit } from './layers.js';

export interface DeeplabV3Spec {
  /** Channels inside the head. Default 256. */
  readonly filters?: number;
  /** See `AsppSpec`. */
  readonly rates?: readonly number[];
}

/**
 * Atrous spatial pyramid pooling with full 3x3 convolutions (dilations 12, 24, 36 at output stride 8), a 3x3 convolution and a
 * 1x1 one with a bias. On `resnet101-torchvision` this is torchvision's `deeplabv3_resnet101` without its auxiliary
 * classifier and its dropout; the output stays at the output stride.
 */
export const deeplabV3Head =
  ({ filters = 256, rates }: DeeplabV3Spec = {}): HeadBuilder =>
  (scope, backbone, outputs) => {
    const aspp = buildAspp(scope, backbone, { filters, separable: false, rates });
    const conv = convUnit(scope.child('conv'), filters, { channels: filters, kernel: 3 });
    const output = convUnit(scope.child('output'), filters, {
      channels: outputs,
      kernel: 1,
      norm: false,
      activation: 'none',
    });
    return {
      name: 'deeplab-v3',
      outputStride: backbone.outputStride,
      multiple: 1,
      layer: (levels, pass) => output.layer(conv.layer(aspp.layer(levels.at(-1)!, pass), pass), pass),
    };
  };
