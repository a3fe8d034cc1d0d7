/** What networks are put together from: a backbone, and a head that is one function over its features. */
import { recomputable } from '../autograd/recompute.js';
import type { Tensor } from '../tensor/graph.js';
import { resizeBilinear } from '../tensor/ops/resize.js';
import type { Built, Pass } from './layers.js';
import type { BatchNormSettings, Scope } from './parameter.js';

/** A backbone's own kind: which weights fit it. */
export interface BackboneDescription {
  /** Root of its parameters' names, such as `resnet_v1_101`. */
  readonly name: string;
  /** Networks of one family and variant differ in depth and width alone. */
  readonly family: string;
  /** Where the same shapes stand for different networks (see `ResNetVariant`): whose weights these are. */
  readonly variant: string;
  readonly batchNorm: BatchNormSettings;
  /** Input pixels for one of the last features, along each axis. */
  readonly outputStride: number;
}

/** Features at one resolution: the last that a backbone has there. */
export interface Level {
  /** Input pixels per feature. */
  readonly stride: number;
  readonly channels: number;
}

export interface Backbone extends BackboneDescription {
  /** In order of their strides; the last is at the output stride. */
  readonly levels: readonly Level[];
  /** Images [N,H,W,3] to the features of every level, [N,ceil(H/stride),ceil(W/stride),channels]. */
  forward(images: Tensor, pass: Pass): Tensor[];
}

/** Declares a backbone's parameters under its name below `root`, whose path is ''. */
export type BackboneBuilder = (root: Scope) => Backbone;

export interface Head {
  /** What the head is called in configurations: `psp`. */
  readonly name: string;
  /** Input pixels for one of the output, along each axis. */
  readonly outputStride: number;
  /** The sides of the last feature map must be multiples of this. */
  readonly multiple: number;
  /** The features of every level of the backbone, to [N,H/outputStride,W/outputStride,outputs]. */
  layer(levels: readonly Tensor[], pass: Pass): Tensor;
}

/** Declares a head's parameters in `scope` and builds it. Outputs are logits or an embedding: a head does not know. */
export type HeadBuilder = (scope: Scope, backbone: Backbone, outputs: number) => Head;

/** A network without its number of outputs. */
export interface Design {
  readonly backbone: BackboneBuilder;
  readonly head: HeadBuilder;
}

/** The level at the output stride. */
export const featuresOf = ({ levels }: Backbone): Level => levels[levels.length - 1]!;

/**
 * The level of a stride and where it stands among a backbone's.
 * @throws Error if the backbone has no features of this stride
 */
export function levelAt({ name, levels }: Backbone, stride: number): Level & { readonly index: number } {
  const index = levels.findIndex((level) => level.stride === stride);
  if (index < 0)
    throw new Error(
      `${name} has no features of stride ${stride}, which the head refines with; it has strides ${levels.map((level) => level.stride).join(', ')}`,
    );
  return { ...levels[index]!, index };
}

/** Resizes x [N,h,w,C] to the height and width of `like`, pixel centres on pixel centres. */
export function upsampleTo(x: Tensor, like: Tensor): Tensor {
  return resizeBilinear(x, [like.shape[1]!, like.shape[2]!], { convention: 'half-pixel' });
}

/** A layer, and the input pixels per pixel of its output. */
export type Stage = Built & { readonly stride: number };

/**
 * A backbone of layers one after the other, whose levels are the last outputs at each stride.
 * @throws Error unless the strides end at the output stride
 */
export function stagedBackbone(description: BackboneDescription, stages: readonly Stage[]): Backbone {
  const { name, outputStride } = description;
  const last = stages.filter(({ stride }, i) => stages[i + 1]?.stride !== stride);
  const reached = last.at(-1)!.stride;
  if (reached !== outputStride)
    throw new Error(
      `${name}: its strides give ${reached} in all, ${reached > outputStride ? 'more' : 'less'} than the output stride ${outputStride}`,
    );
  return {
    ...description,
    levels: last.map(({ stride, channels }) => ({ stride, channels })),
    forward(images, pass) {
      const levels: Tensor[] = [];
      let x = images;
      for (const stage of stages) {
        x = recomputable(() => stage.layer(x, pass));
        if (last.includes(stage)) levels.push(x);
      }
      return levels;
    },
  };
}
