/** Parameters and running statistics of a network: declared while the network is built, allocated on a runtime later. */
import { Random, STREAM } from '../tensor/random.js';
import { FlatGroup, Resident } from '../tensor/resident.js';
import type { Runtime } from '../tensor/runtime.js';
import { hostTensor, type Shape, sizeOf } from '../tensor/types.js';

/**
 * What a parameter is for. Weight decay applies to `weights` alone, as in the reference; `statistic` is not trained.
 */
export type Role = 'weights' | 'biases' | 'gamma' | 'beta' | 'statistic';

/** A constant, or uniform in [-limit, limit]: exact in every JavaScript engine, unlike normal deviates. */
export type Initializer = { readonly constant: number } | { readonly uniform: number };

/** He et al. 2015 (section 2.2): variance 2 / fanIn, here with a uniform distribution. */
export function heUniform(fanIn: number): Initializer {
  return { uniform: Math.sqrt(6 / fanIn) };
}

export class Parameter extends Resident {
  readonly role: Role;
  readonly initializer: Initializer;
  /** For statistics: the share of the old value in an update, `decay * old + (1 - decay) * batch`. */
  readonly decay: number;

  constructor(name: string, shape: Shape, role: Role, initializer: Initializer, decay = 0) {
    super(name, { shape, dtype: 'f32' });
    this.role = role;
    this.initializer = initializer;
    this.decay = decay;
  }

  get trainable(): boolean {
    return this.role !== 'statistic';
  }

  /** The initial values, a function of the seed and the parameter's position in its network. */
  initialValues(seed: number, index: number): Float32Array<ArrayBuffer> {
    const size = sizeOf(this.shape);
    if ('constant' in this.initializer) return new Float32Array(size).fill(this.initializer.constant);
    const { uniform } = this.initializer;
    const random = new Random({ seed, stream: STREAM.parameter, index });
    return Float32Array.from({ length: size }, () => random.between(-uniform, uniform));
  }
}

/** Where a layer declares its parameters: a path such as `resnet_v1_101/block1/unit_1`, and the list they go to. */
export class Scope {
  readonly path: string;
  readonly parameters: Parameter[];

  constructor(path: string, parameters: Parameter[] = []) {
    this.path = path;
    this.parameters = parameters;
  }

  child(name: string): Scope {
    return new Scope(`${this.path}/${name}`, this.parameters);
  }

  declare(name: string, shape: Shape, role: Role, initializer: Initializer, decay?: number): Parameter {
    const full = `${this.path}/${name}`;
    if (this.parameters.some((parameter) => parameter.name === full)) throw new Error(`${full} is declared twice`);
    const parameter = new Parameter(full, shape, role, initializer, decay);
    this.parameters.push(parameter);
    return parameter;
  }
}

/** Puts parameters that share `key` into one flat buffer each, and writes their initial values. */
export function allocateParameters<K>(
  runtime: Runtime,
  parameters: readonly Parameter[],
  key: (parameter: Parameter) => K,
  seed: number,
): Map<K, FlatGroup> {
  const members = new Map<K, Parameter[]>();
  for (const parameter of parameters) {
    const group = members.get(key(parameter));
    if (group) group.push(parameter);
    else members.set(key(parameter), [parameter]);
  }
  const groups = new Map<K, FlatGroup>();
  for (const [name, entries] of members) {
    const group = new FlatGroup(`parameters ${String(name)}`, entries);
    runtime.allocate(group);
    groups.set(name, group);
  }
  for (const [index, parameter] of parameters.entries())
    runtime.write(parameter, hostTensor(parameter.shape, parameter.initialValues(seed, index)));
  return groups;
}
