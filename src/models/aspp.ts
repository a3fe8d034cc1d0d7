/** Atrous spatial pyramid pooling with image pooling, as DeepLabv3 introduced it (Chen et al., 2017, section 3.3). */
import { scope as named } from '../tensor/graph.js';
import { concat } from '../tensor/ops/layout.js';
import { mean } from '../tensor/ops/reduce.js';
import { broadcastTo } from '../tensor/ops/shape.js';
import { type Backbone, featuresOf } from './design.js';
import { type Built, convUnit, depthwiseUnit, type Layer, sequence } from './layers.js';
import type { Scope } from './parameter.js';

export interface AsppSpec {
  /** Channels of each branch and of their projection. */
  readonly filters: number;
  /** Default true: the 3x3 convolutions are atrous separable ones (DeepLabv3+); false: full ones (DeepLabv3). */
  readonly separable?: boolean;
  /** Dilations of the 3x3 convolutions at output stride 16; at stride 8 they are twice as large. Default 6, 12, 18. */
  readonly rates?: readonly number[];
}

const RATES = [6, 12, 18] as const;

/**
 * A 1x1 convolution, 3x3 ones of growing dilation and the image's mean through a 1x1 one, all of the last features,
 * joined in this order (torchvision's; TensorFlow's DeepLab has the mean first) and projected by a 1x1 convolution.
 * Names are those of TensorFlow's DeepLab. There is no dropout.
 */
export function buildAspp(
  scope: Scope,
  backbone: Backbone,
  { filters, separable = true, rates = RATES }: AsppSpec,
): Built {
  const { channels } = featuresOf(backbone);
  const pointwise = (name: string, from: number) => convUnit(scope.child(name), from, { channels: filters, kernel: 1 });
  const atrous = (name: string, dilation: number) =>
    separable
      ? separableUnit(scope, name, channels, { channels: filters, dilation })
      : convUnit(scope.child(name), channels, { channels: filters, kernel: 3, dilation });
  const branches = [
    pointwise('aspp0', channels),
    ...rates.map((rate, i) => atrous(`aspp${i + 1}`, (rate * 16) / backbone.outputStride)),
  ];
  const pooling = pointwise('image_pooling', channels);
  const projection = pointwise('concat_projection', (branches.length + 1) * filters);
  const layer: Layer = (x, pass) => {
    const near = branches.map((branch) => branch.layer(x, pass));
    const pooled = pooling.layer(
      named(`${scope.path}/image_pooling`, () => mean(x, [1, 2], true)),
      pass,
    );
    const joined = named(`${scope.path}/concat`, () => concat([...near, broadcastTo(pooled, near[0]!.shape)], 3));
    return projection.layer(joined, pass);
  };
  return { layer, channels: filters };
}

/**
 * An atrous separable 3x3 convolution (Chen et al., 2018, section 3.1): a depthwise one and a 1x1 one, each with batch
 * norm and ReLU, as TensorFlow's DeepLab has them: `<name>_depthwise`, `<name>_pointwise`.
 */
export function separableUnit(
  scope: Scope,
  name: string,
  inputChannels: number,
  { channels, dilation = 1 }: { readonly channels: number; readonly dilation?: number },
): Built {
  return sequence([
    depthwiseUnit(scope.child(`${name}_depthwise`), inputChannels, { kernel: 3, dilation }),
    convUnit(scope.child(`${name}_pointwise`), inputChannels, { channels, kernel: 1 }),
  ]);
}
