/** The networks that go by name. */
import { deeplabV2Head } from './deeplab_v2.js';
import { deeplabV3Head } from './deeplab_v3.js';
import { deeplabV3PlusHead } from './deeplab_v3plus.js';
import type { BackboneBuilder, Design, HeadBuilder } from './design.js';
import { fcnHead } from './fcn.js';
import { mobileNetV2 } from './mobilenet_v2.js';
import { PSP, pspHead } from './pspnet.js';
import { type ResNetSpec, resNet, resnet18, resnet50, resnet101 } from './resnet.js';
import { skipHead } from './skip_head.js';

/** Heads by name, for backbones whose PSP head has `width` channels. */
const HEADS = {
  psp: (width) => pspHead({ ...PSP, filters: width }),
  'deeplab-v2': () => deeplabV2Head(),
  fcn: () => fcnHead(),
  // The papers' 512 for the PSP head and 256 for DeepLab's, of which the decoder's early features are 48.
  'deeplab-v3': (width) => deeplabV3Head({ filters: width / 2 }),
  'deeplab-v3plus': (width) => deeplabV3PlusHead({ filters: width / 2, lowLevel: (3 * width) / 32 }),
  skip: (width) => skipHead({ bins: [1], context: width / 2, filters: width }),
} as const satisfies Record<string, (width: number) => HeadBuilder>;

export type HeadName = keyof typeof HEADS;

export const HEAD_NAMES = Object.keys(HEADS) as readonly HeadName[];

interface NamedBackbone {
  readonly build: (outputStride: number) => BackboneBuilder;
  readonly outputStride: number;
  /** The head it has where none is named. */
  readonly head: HeadName;
  /** Channels inside its PSP head; those of the other heads follow. */
  readonly width: number;
}

const SMALL = {
  name: 'resnet_v1_small',
  variant: 'tf-slim',
  unit: 'basic',
  stem: { filters: 16, kernel: 3, stride: 2, pool: false },
  blocks: [
    { units: 1, filters: 32, stride: 2 },
    { units: 2, filters: 64, stride: 2 },
    { units: 2, filters: 128, stride: 1 },
  ],
  batchNorm: { decay: 0.97 },
} as const satisfies Partial<ResNetSpec>;

const DIGITS = {
  name: 'resnet_v1_digits',
  variant: 'tf-slim',
  unit: 'basic',
  stem: { filters: 16, kernel: 5, stride: 2, pool: false },
  blocks: [
    { units: 1, filters: 32, stride: 2 },
    { units: 1, filters: 64, stride: 2 },
  ],
  batchNorm: { decay: 0.95 },
} as const satisfies Partial<ResNetSpec>;

const resnet = { outputStride: 8, head: 'psp', width: 512 } as const;

const TABLE = {
  resnet101: { ...resnet, build: (stride) => resNet(resnet101(stride)) },
  resnet50: { ...resnet, build: (stride) => resNet(resnet50(stride)) },
  resnet18: { ...resnet, build: (stride) => resNet(resnet18(stride)), width: 128 },
  'resnet101-torchvision': { ...resnet, build: (stride) => resNet(resnet101(stride, 'torchvision')) },
  'resnet50-torchvision': { ...resnet, build: (stride) => resNet(resnet50(stride, 'torchvision')) },
  'mobilenet-v2': {
    build: (outputStride) => mobileNetV2({ outputStride }),
    outputStride: 16,
    head: 'deeplab-v3plus',
    width: 512,
  },
  /** A few residual units for CPU adapters and quick trials on photographs; trains in minutes. */
  small: { ...resnet, build: (outputStride) => resNet({ ...SMALL, outputStride }), width: 64 },
  /** For scenes of handwritten digits: shallow, with embeddings at half the image's resolution. */
  digits: { ...resnet, build: (outputStride) => resNet({ ...DIGITS, outputStride }), head: 'skip', width: 64 },
} as const satisfies Record<string, NamedBackbone>;

export type BackboneName = keyof typeof TABLE;

export const BACKBONES = Object.keys(TABLE) as readonly BackboneName[];

/** The head that a backbone comes with. */
export const defaultHead = (backbone: BackboneName): HeadName => TABLE[backbone].head;

/** Which backbone, which head and, for the backbone, how many input pixels per feature; the defaults are the backbone's. */
export interface DesignSpec {
  readonly backbone: BackboneName;
  readonly head?: HeadName;
  readonly outputStride?: number;
}

export function designOf({ backbone, head, outputStride }: DesignSpec): Design {
  const { build, width, ...defaults } = TABLE[backbone];
  return { backbone: build(outputStride ?? defaults.outputStride), head: HEADS[head ?? defaults.head](width) };
}
