/** Whole networks: a backbone by name and a head, from images to one vector a feature. */
import type { Tensor } from '../tensor/graph.js';
import type { Layer, Pass } from './layers.js';
import { type Parameter, Scope } from './parameter.js';
import { buildPspHead, leastCommonMultiple, PSP, type PspSpec } from './pspnet.js';
import { buildResNet, type ResNetSpec, resnet18, resnet50, resnet101 } from './resnet.js';

interface Design {
  readonly resnet: ResNetSpec;
  readonly head: PspSpec;
}

/** A few residual units for CPU adapters and quick trials on photographs; trains in minutes. */
const SMALL: Design = {
  resnet: {
    name: 'resnet_v1_small',
    unit: 'basic',
    stem: { filters: 16, kernel: 3, stride: 2, pool: false },
    blocks: [
      { units: 1, filters: 32, stride: 2 },
      { units: 2, filters: 64, stride: 2 },
      { units: 2, filters: 128, stride: 1 },
    ],
    outputStride: 8,
  },
  head: { bins: [1, 2, 3, 6], filters: 64 },
};

export const BACKBONES = {
  resnet101: { resnet: resnet101(), head: PSP },
  resnet50: { resnet: resnet50(), head: PSP },
  resnet18: { resnet: resnet18(), head: { bins: [1, 2, 3, 6], filters: 128 } },
  small: SMALL,
} as const satisfies Record<string, Design>;

export type Backbone = keyof typeof BACKBONES;

export interface NetworkSpec {
  readonly backbone: Backbone;
  /** Output channels: the embedding's dimensions, or classes. */
  readonly outputs: number;
}

export interface Network {
  readonly spec: NetworkSpec;
  readonly parameters: readonly Parameter[];
  /** Input sides must be multiples of this. */
  readonly inputMultiple: number;
  /** Input pixels per feature. */
  readonly outputStride: number;
  /** True for parameters of the head ("block5"), which learn at a higher rate. */
  isHead(parameter: Parameter): boolean;
  /** Size of the feature map. Throws for sizes that are not multiples of `inputMultiple`. */
  featureSize(height: number, width: number): [number, number];
  /** Images [N, H, W, 3] with the mean subtracted, to [N, H/s, W/s, outputs]. */
  forward(images: Tensor, pass: Pass): Tensor;
}

export function buildNetwork(spec: NetworkSpec): Network {
  const { resnet, head }: Design = BACKBONES[spec.backbone];
  return assemble(spec, resnet, head);
}

function assemble(spec: NetworkSpec, resnet: ResNetSpec, head: PspSpec): Network {
  const root = new Scope(resnet.name);
  const backbone = buildResNet(root, resnet);
  const psp = buildPspHead(root, backbone.channels, spec.outputs, head);
  const inputMultiple = resnet.outputStride * leastCommonMultiple(head.bins);
  const layer: Layer = (x, pass) => psp.layer(backbone.layer(x, pass), pass);
  const featureSize = (height: number, width: number): [number, number] => {
    if (height % inputMultiple !== 0 || width % inputMultiple !== 0)
      throw new Error(
        `${resnet.name}: an input of ${height}x${width} does not fit: with bins of ${head.bins.join(', ')} at output stride ${resnet.outputStride}, both sides must be multiples of ${inputMultiple}`,
      );
    return [height / resnet.outputStride, width / resnet.outputStride];
  };
  return {
    spec,
    parameters: root.parameters,
    inputMultiple,
    outputStride: resnet.outputStride,
    isHead: (parameter) => parameter.name.startsWith(`${resnet.name}/block5/`),
    featureSize,
    forward(images, pass) {
      featureSize(images.shape[1]!, images.shape[2]!);
      return layer(images, pass);
    },
  };
}
