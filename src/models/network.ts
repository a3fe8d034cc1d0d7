/** Whole networks: a backbone and a head, from images to one vector a feature. */
import { recomputable } from '../autograd/recompute.js';
import { scope, type Tensor } from '../tensor/graph.js';
import type { BackboneDescription, Design } from './design.js';
import { type DesignSpec, designOf } from './designs.js';
import type { Pass } from './layers.js';
import { type NormalizedConvolution, type Parameter, Scope } from './parameter.js';

export interface NetworkSpec extends DesignSpec {
  /** Output channels: the embedding's dimensions, or classes. */
  readonly outputs: number;
}

/** What a network is, without its parameters: which weights fit, and how images become features. */
export interface NetworkDescription {
  readonly backbone: BackboneDescription;
  /** Name of the head. */
  readonly head: string;
  /** Input sides must be multiples of this. */
  readonly inputMultiple: number;
  /** Input pixels for one of the output, along each axis. */
  readonly outputStride: number;
}

export interface Network extends NetworkDescription {
  readonly spec: { readonly outputs: number };
  /** Of backbone and head (`part`), in order of declaration. */
  readonly parameters: readonly Parameter[];
  /** The convolutions with batch norm behind them (see `foldBatchNorm`). */
  readonly normalized: readonly NormalizedConvolution[];
  /** Height and width of the output. Throws for sizes that are not multiples of `inputMultiple`. */
  featureSize(height: number, width: number): [number, number];
  /** Images [N,H,W,3] with the mean subtracted, to [N,H/s,W/s,outputs] with s the output stride. */
  forward(images: Tensor, pass: Pass): Tensor;
}

/** The decay of the running statistics in the released heads: they learn at a higher rate, and change faster. */
export const HEAD_DECAY = 0.99;

/** A network by the names of its parts. */
export function buildNetwork(spec: NetworkSpec): Network {
  return assembleNetwork(spec, designOf(spec));
}

/** A network of a design of one's own. */
export function assembleNetwork({ outputs }: { readonly outputs: number }, design: Design): Network {
  const root = new Scope();
  const backbone = design.backbone(root);
  const { name, batchNorm, outputStride } = backbone;
  // The head's statistics have the released decay, unless the backbone's own is lower: then that, as in short runs.
  const headNorm = { ...batchNorm, decay: Math.min(batchNorm.decay, HEAD_DECAY) };
  const head = design.head(root.child(name).with({ part: 'head', batchNorm: headNorm }), backbone, outputs);
  const inputMultiple = outputStride * head.multiple;
  const featureSize = (height: number, width: number): [number, number] => {
    if (height % inputMultiple !== 0 || width % inputMultiple !== 0)
      throw new Error(
        `${name}: an input of ${height}x${width} does not fit: both sides must be multiples of ${inputMultiple} (the output stride ${outputStride}, times ${head.multiple} for the head ${head.name})`,
      );
    return [height / head.outputStride, width / head.outputStride];
  };
  return {
    spec: { outputs },
    backbone,
    head: head.name,
    parameters: root.declared.parameters,
    normalized: root.declared.normalized,
    inputMultiple,
    outputStride: head.outputStride,
    featureSize,
    forward(images, pass) {
      featureSize(images.shape[1]!, images.shape[2]!);
      const features = scope('backbone', () => backbone.forward(images, pass));
      return scope('head', () => recomputable(() => head.layer(features, pass)));
    },
  };
}
