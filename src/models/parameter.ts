/** Parameters and running statistics of a network: declared while the network is built, allocated on a runtime later. */
import { disposeOnError } from '../tensor/disposal.js';
import { Random, STREAM } from '../tensor/random.js';
import { FlatGroup, Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { hostTensor, type Shape, sizeOf } from '../tensor/types.js';

/**
 * What a parameter is for. Weight decay applies to `weights` alone, as in the reference; `statistic` is not trained.
 */
export type Role = 'weights' | 'biases' | 'gamma' | 'beta' | 'statistic';

/** Which part of a network a parameter belongs to: the head learns at a higher rate. */
export type Part = 'backbone' | 'head';

export interface BatchNormSettings {
  /** The share of the old value in an update of the running statistics, `decay * old + (1 - decay) * batch`. */
  readonly decay: number;
  /** Added to the variance. */
  readonly epsilon: number;
}

/** A constant, or uniform in [-limit, limit]: exact in every JavaScript engine, unlike normal deviates. */
export type Initializer = { readonly constant: number } | { readonly uniform: number };

/** He et al. 2015 (section 2.2): variance 2 / fanIn, here with a uniform distribution. */
export function heUniform(fanIn: number): Initializer {
  return { uniform: Math.sqrt(6 / fanIn) };
}

export class Parameter extends Resident {
  readonly role: Role;
  readonly part: Part;
  readonly initializer: Initializer;
  /** For statistics: the share of the old value in an update, `decay * old + (1 - decay) * batch`. */
  readonly decay: number;

  constructor(name: string, shape: Shape, role: Role, part: Part, initializer: Initializer, decay = 0) {
    super(name, { shape, dtype: 'f32' });
    this.role = role;
    this.part = part;
    this.initializer = initializer;
    this.decay = decay;
  }

  /** The initial values, a function of the seed and the parameter's position in its network. */
  initialValues(seed: number, index: number): Float32Array<ArrayBuffer> {
    const size = sizeOf(this.shape);
    if ('constant' in this.initializer) return new Float32Array(size).fill(this.initializer.constant);
    const { uniform } = this.initializer;
    const random = new Random({ seed, stream: STREAM.parameter, index });
    return new Float32Array(size).map(() => random.between(-uniform, uniform));
  }
}

/** A convolution without bias and the batch norm behind it, which inference can fold into one. */
export interface NormalizedConvolution {
  readonly weights: Parameter;
  readonly gamma: Parameter;
  readonly beta: Parameter;
  readonly mean: Parameter;
  readonly variance: Parameter;
  readonly epsilon: number;
}

/** Everything a network's layers have declared, in order. */
export interface Declarations {
  readonly parameters: Parameter[];
  readonly normalized: NormalizedConvolution[];
}

interface ScopeSettings {
  readonly part: Part;
  readonly batchNorm: BatchNormSettings;
}

/** The released settings: TF-Slim's ResNet as SegSort trains it. */
export const RELEASED_BATCH_NORM: BatchNormSettings = { decay: 0.9997, epsilon: 1e-3 };

/** PyTorch's defaults, which torchvision's networks have; its `momentum` of 0.1 is a decay of 0.9. */
export const TORCHVISION_BATCH_NORM: BatchNormSettings = { decay: 0.9, epsilon: 1e-5 };

/**
 * Where a layer declares its parameters: a path such as `resnet_v1_101/block1/unit_1`, the part of the network it is in,
 * the settings of its batch norm, and the lists its declarations go to. A network's root has the path ''.
 */
export class Scope {
  readonly path: string;
  readonly part: Part;
  readonly batchNorm: BatchNormSettings;
  readonly declared: Declarations;

  constructor(
    path = '',
    { part = 'backbone', batchNorm = RELEASED_BATCH_NORM }: Partial<ScopeSettings> = {},
    declared: Declarations = { parameters: [], normalized: [] },
  ) {
    this.path = path;
    this.part = part;
    this.batchNorm = batchNorm;
    this.declared = declared;
  }

  child(name: string): Scope {
    return new Scope(this.path === '' ? name : `${this.path}/${name}`, this, this.declared);
  }

  /** The same path and lists with other settings. */
  with(settings: Partial<ScopeSettings>): Scope {
    return new Scope(this.path, { part: this.part, batchNorm: this.batchNorm, ...settings }, this.declared);
  }

  declare(name: string, shape: Shape, role: Role, initializer: Initializer): Parameter {
    const { parameters } = this.declared;
    const full = this.child(name).path;
    if (parameters.some((parameter) => parameter.name === full)) throw new Error(`${full} is declared twice`);
    const decay = role === 'statistic' ? this.batchNorm.decay : 0;
    const parameter = new Parameter(full, shape, role, this.part, initializer, decay);
    parameters.push(parameter);
    return parameter;
  }
}

/** Parameters that an update treats alike, in one flat buffer. */
export interface ParameterGroup<K> {
  readonly key: K;
  readonly group: FlatGroup;
}

/**
 * Puts parameters with equal keys into one flat buffer each, and writes their initial values.
 *
 * @throws Error if one has memory already, as in a network that something else was built on
 */
export function allocateParameters<K extends Readonly<Record<string, string | number | boolean>>>(
  runtime: Runtime,
  parameters: readonly Parameter[],
  keyOf: (parameter: Parameter) => K,
  seed: number,
): ParameterGroup<K>[] {
  const taken = parameters.find(({ hasMemory }) => hasMemory);
  if (taken)
    throw new Error(
      `${taken.name} has memory already: a network is one trainer's or segmenter's; give the segmenter of a network that is being trained \`parameters: 'shared'\`, or build another network`,
    );
  const members = new Map<string, { readonly key: K; readonly entries: Parameter[] }>();
  for (const parameter of parameters) {
    const key = keyOf(parameter);
    const label = ['parameters', ...Object.values(key)].join(' ');
    const found = members.get(label);
    if (found) found.entries.push(parameter);
    else members.set(label, { key, entries: [parameter] });
  }
  return disposeOnError((keep) => {
    const groups = Array.from(members, ([label, { key, entries }]) => {
      const group = keep(new FlatGroup(label, entries));
      runtime.allocate(group);
      return { key, group };
    });
    for (const [index, parameter] of parameters.entries())
      runtime.write(parameter, hostTensor(parameter.shape, parameter.initialValues(seed, index)));
    return groups;
  });
}
