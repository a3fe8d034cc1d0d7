/** The networks that go by name. */
import { deeplabV2Head } from './deeplab_v2.js';
import type { BackboneBuilder, Design, HeadBuilder } from './design.js';
import { fcnHead } from './fcn.js';
import { PSP, pspHead } from './pspnet.js';
import { resNet, resnet18, resnet50, resnet101 } from './resnet.js';
import { skipHead } from './skip_head.js';

interface NamedBackbone {
  readonly build: BackboneBuilder;
  /** The head it has where none is named. */
  readonly head: HeadName;
  /** Channels inside its PSP head; DeepLab's heads have half as many, as in the papers (512 and 256). */
  readonly width: number;
}

export type HeadName = 'psp' | 'deeplab-v2' | 'fcn' | 'skip';

const HEADS: Readonly<Record<HeadName, (width: number) => HeadBuilder>> = {
  psp: (width) => pspHead({ ...PSP, filters: width }),
  'deeplab-v2': () => deeplabV2Head(),
  fcn: () => fcnHead(),
  skip: (width) => skipHead({ bins: [1], context: width / 2, filters: width }),
};

const BACKBONE_TABLE = {
  resnet101: { build: resNet(resnet101()), head: 'psp', width: 512 },
  resnet50: { build: resNet(resnet50()), head: 'psp', width: 512 },
  resnet18: { build: resNet(resnet18()), head: 'psp', width: 128 },
  'resnet101-torchvision': { build: resNet(resnet101(8, 'torchvision')), head: 'psp', width: 512 },
  'resnet50-torchvision': { build: resNet(resnet50(8, 'torchvision')), head: 'psp', width: 512 },
  /** A few residual units for CPU adapters and quick trials on photographs; trains in minutes. */
  small: {
    build: resNet({
      name: 'resnet_v1_small',
      variant: 'tf-slim',
      unit: 'basic',
      stem: { filters: 16, kernel: 3, stride: 2, pool: false },
      blocks: [
        { units: 1, filters: 32, stride: 2 },
        { units: 2, filters: 64, stride: 2 },
        { units: 2, filters: 128, stride: 1 },
      ],
      outputStride: 8,
      batchNorm: { decay: 0.97 },
    }),
    head: 'psp',
    width: 64,
  },
  /** For scenes of handwritten digits: shallow, with embeddings at half the image's resolution. */
  digits: {
    build: resNet({
      name: 'resnet_v1_digits',
      variant: 'tf-slim',
      unit: 'basic',
      stem: { filters: 16, kernel: 5, stride: 2, pool: false },
      blocks: [
        { units: 1, filters: 32, stride: 2 },
        { units: 1, filters: 64, stride: 2 },
      ],
      outputStride: 8,
      batchNorm: { decay: 0.95 },
    }),
    head: 'skip',
    width: 64,
  },
} as const satisfies Record<string, NamedBackbone>;

export type BackboneName = keyof typeof BACKBONE_TABLE;

export const BACKBONES = Object.keys(BACKBONE_TABLE) as readonly BackboneName[];
export const HEAD_NAMES = Object.keys(HEADS) as readonly HeadName[];

/** The head that a backbone comes with. */
export const defaultHead = (backbone: BackboneName): HeadName => BACKBONE_TABLE[backbone].head;

/** Backbone and head by name. */
export function designOf({
  backbone,
  head = defaultHead(backbone),
}: {
  backbone: BackboneName;
  head?: HeadName;
}): Design {
  const { build, width } = BACKBONE_TABLE[backbone];
  return { backbone: build, head: HEADS[head](width) };
}
