/** Whole networks: a backbone by name and a head, from images to one vector a feature. */
import type { Tensor } from '../tensor/graph.js';
import type { Pass } from './layers.js';
import { type Parameter, Scope } from './parameter.js';
import { buildPspHead, leastCommonMultiple, PSP, type PspSpec } from './pspnet.js';
import { buildResNet, type ResNetSpec, resnet18, resnet50, resnet101 } from './resnet.js';
import { buildSkipHead, type SkipHeadSpec } from './skip_head.js';

/** A backbone with one of the heads. */
export interface Design {
  readonly resnet: ResNetSpec;
  readonly psp?: PspSpec;
  readonly skip?: SkipHeadSpec;
}

const DESIGNS = {
  resnet101: { resnet: resnet101(), psp: PSP },
  resnet50: { resnet: resnet50(), psp: PSP },
  resnet18: { resnet: resnet18(), psp: { bins: [1, 2, 3, 6], filters: 128 } },
  /** A few residual units for CPU adapters and quick trials on photographs; trains in minutes. */
  small: {
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
      decay: 0.97,
    },
    psp: { bins: [1, 2, 3, 6], filters: 64, decay: 0.97 },
  },
  /** For scenes of handwritten digits: shallow, with embeddings at half the image's resolution. */
  digits: {
    resnet: {
      name: 'resnet_v1_digits',
      unit: 'basic',
      stem: { filters: 16, kernel: 5, stride: 2, pool: false },
      blocks: [
        { units: 1, filters: 32, stride: 2 },
        { units: 1, filters: 64, stride: 2 },
      ],
      outputStride: 8,
      decay: 0.95,
    },
    skip: { bins: [1], context: 32, filters: 64, decay: 0.95 },
  },
} as const satisfies Record<string, Design>;

export type Backbone = keyof typeof DESIGNS;

export const BACKBONES = Object.keys(DESIGNS) as readonly Backbone[];

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
  /** Input pixels for one of the output, along each axis. */
  readonly outputStride: number;
  /** True for parameters of the head ("block5"), which learn at a higher rate. */
  isHead(parameter: Parameter): boolean;
  /** Height and width of the output. Throws for sizes that are not multiples of `inputMultiple`. */
  featureSize(height: number, width: number): [number, number];
  /** Images [N,H,W,3] with the mean subtracted, to [N,H/s,W/s,outputs] with s the output stride. */
  forward(images: Tensor, pass: Pass): Tensor;
}

export function buildNetwork(spec: NetworkSpec): Network {
  return assembleNetwork(spec, DESIGNS[spec.backbone]);
}

/** Builds a network of a design of one's own. */
export function assembleNetwork(spec: NetworkSpec, { resnet, psp, skip }: Design): Network {
  const root = new Scope(resnet.name);
  const { stem, body } = buildResNet(root, resnet);
  const bins = (psp ?? skip)?.bins;
  if (!bins) throw new Error(`${resnet.name}: a network needs a head`);
  const head = psp && buildPspHead(root, body.channels, spec.outputs, psp);
  const skipHead = skip && buildSkipHead(root, { features: body.channels, stem: stem.channels }, spec.outputs, skip);
  const inputMultiple = resnet.outputStride * leastCommonMultiple(bins);
  const outputStride = head ? resnet.outputStride : resnet.stem.stride;
  const featureSize = (height: number, width: number): [number, number] => {
    if (height % inputMultiple !== 0 || width % inputMultiple !== 0)
      throw new Error(
        `${resnet.name}: an input of ${height}x${width} does not fit: with bins of ${bins.join(', ')} at output stride ${resnet.outputStride}, both sides must be multiples of ${inputMultiple}`,
      );
    return [height / outputStride, width / outputStride];
  };
  return {
    spec,
    parameters: root.parameters,
    inputMultiple,
    outputStride,
    isHead: (parameter) => parameter.name.startsWith(`${resnet.name}/block5/`),
    featureSize,
    forward(images, pass) {
      featureSize(images.shape[1]!, images.shape[2]!);
      const early = stem.layer(images, pass);
      const features = body.layer(early, pass);
      return head ? head.layer(features, pass) : skipHead!(features, early, pass);
    },
  };
}
