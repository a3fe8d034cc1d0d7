/** What PyTorch's pickles are made of: storages, tensors as views of them, and the globals that may be named. */
import { type Shape, sizeOf } from '../tensor/types.js';
import { PickleError } from './pickle_bytes.js';
import { type PickleCall, PickleGlobal, PickleStateful } from './pickle_machine.js';
import { isSize } from './reading.js';
import { DTYPES, STORAGES, storageType, type TorchType } from './torch_types.js';

/** The most axes that PyTorch allows. */
const MAX_AXES = 64;

/** Elements that tensors share. */
export class TorchStorage {
  /** What the container calls it. */
  readonly key: string;
  readonly type: TorchType;
  /** `torch.FloatStorage`. */
  readonly storedAs: string;
  readonly elements: number;
  /** Byte of the container's storage at which it begins. */
  readonly begin: number;

  constructor(key: string, type: TorchType, storedAs: string, elements: number, begin = 0) {
    this.key = key;
    this.type = type;
    this.storedAs = storedAs;
    this.elements = elements;
    this.begin = begin;
  }

  get bytes(): number {
    return this.elements * this.type.bytes;
  }
}

/** A strided view of a storage. */
export class TorchTensor {
  readonly storage: TorchStorage;
  readonly type: TorchType;
  readonly storedAs: string;
  /** In elements, as the strides. */
  readonly offset: number;
  readonly shape: Shape;
  readonly strides: readonly number[];

  /** @throws PickleError where its last element lies outside the storage */
  constructor(
    storage: TorchStorage,
    { type, storedAs }: { readonly type: TorchType; readonly storedAs: string },
    offset: number,
    shape: Shape,
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.type = type;
    this.storedAs = storedAs;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
    const end = (offset + this.extent) * type.bytes;
    if (!(end <= storage.bytes))
      throw new PickleError(
        `has a tensor [${shape}] with strides [${strides}] that ends at byte ${end} of a storage of ${storage.bytes}`,
      );
  }

  get bytes(): number {
    return sizeOf(this.shape) * this.type.bytes;
  }

  /** Elements of the storage from the first one to the last one that it takes. */
  get extent(): number {
    if (this.shape.includes(0)) return 0;
    return this.shape.reduce((sum, size, axis) => sum + (size - 1) * this.strides[axis]!, 1);
  }
}

/** A tensor or parameter of PyTorch before 0.4, which gets its elements after it was made. */
export class LegacyTensor extends PickleStateful {
  value: TorchTensor | null = null;

  /** A tensor's (storage, offset, sizes, strides), or a parameter's (tensor, and four more). */
  override setState(state: unknown): void {
    if (!Array.isArray(state)) throw new PickleError('gives a tensor a state that is no tuple');
    this.value = state.length === 4 ? rebuildTensor(state) : tensorIn(state);
  }
}

/** Something that holds no tensor: a device, a number of numpy's. */
export class TorchOther {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

const other =
  (name: string): PickleCall =>
  () =>
    new TorchOther(name);

const REBUILD = 'torch._utils._rebuild_';

/** Everything that a state dict of PyTorch may name. */
export const TORCH_GLOBALS: ReadonlyMap<string, PickleCall | null> = new Map<string, PickleCall | null>([
  [`${REBUILD}tensor`, rebuildTensor],
  [`${REBUILD}tensor_v2`, rebuildTensor],
  [`${REBUILD}tensor_v3`, rebuildTyped],
  [`${REBUILD}parameter`, tensorIn],
  [`${REBUILD}parameter_with_state`, tensorIn],
  [`${REBUILD}qtensor`, (args) => unreadable(rebuildTensor(args))],
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  ['torch.nn.parameter.Parameter', (args) => (args.length === 0 ? new LegacyTensor() : tensorIn(args))],
  ['torch.nn.parameter.Buffer', tensorIn],
  ['torch.Tensor', null],
  ['torch.Size', sequence],
  ['torch.device', other('torch.device')],
  ['torch.per_tensor_affine', null],
  ['torch.per_channel_affine', null],
  ...[...STORAGES.keys()].flatMap((name): [string, PickleCall | null][] => [
    [`torch.${name}Storage`, null],
    [`torch.cuda.${name}Storage`, null],
    [`torch.${name}Tensor`, () => new LegacyTensor()],
  ]),
  ['torch.storage.UntypedStorage', null],
  ['torch.storage._UntypedStorage', null],
  ...[...DTYPES.keys()].map((name): [string, null] => [`torch.${name}`, null]),

  ['collections.OrderedDict', dictionary],
  ['collections.defaultdict', () => new Map()],
  ['collections.Counter', (args) => (args[0] instanceof Map ? args[0] : new Map())],
  ['argparse.Namespace', other('argparse.Namespace')],
  ['copy_reg.__newobj__', newObject],
  ['copyreg.__newobj__', newObject],
  ['_codecs.encode', encode],
  ...['builtins', '__builtin__'].flatMap((module): [string, PickleCall | null][] => [
    [`${module}.set`, (args) => new Set(sequence(args))],
    [`${module}.list`, null],
    [`${module}.dict`, null],
    [`${module}.int`, null],
    [`${module}.float`, null],
  ]),
  ...['numpy.core', 'numpy._core'].flatMap((module): [string, PickleCall][] => [
    [`${module}.multiarray.scalar`, other('numpy.generic')],
    [`${module}.multiarray._reconstruct`, other('numpy.ndarray')],
  ]),
  ['numpy.dtype', other('numpy.dtype')],
  ['numpy.ndarray', null],
]);

/**
 * The storage of a persistent id: ('storage', type, key, location, elements), and in files before 1.6 a view of it,
 * (key, offset, elements), or None.
 */
export function torchStorage(id: unknown): TorchStorage {
  const [tag, global, key, , elements, view] = Array.isArray(id) ? id : [];
  if (tag !== 'storage' || !(global instanceof PickleGlobal))
    throw new PickleError('has a persistent id of no storage');
  const type = storageType(global.name);
  if (!type) throw new PickleError(`has a storage of type ${global.name}`);
  if (typeof key !== 'string' || !isSize(elements) || !isSize(elements * type.bytes))
    throw new PickleError(`has a storage of ${String(elements)} elements named ${JSON.stringify(key)}`);
  if (view === undefined || view === null) return new TorchStorage(key, type, global.name, elements);
  const [, offset, size] = Array.isArray(view) ? view : [];
  if (!isSize(offset) || !isSize(size) || offset + size > elements)
    throw new PickleError(`has a view of ${String(size)} elements from ${String(offset)} of a storage of ${elements}`);
  return new TorchStorage(key, type, global.name, size, offset * type.bytes);
}

function rebuildTensor(args: readonly unknown[]): TorchTensor {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof TorchStorage)) throw new PickleError('makes a tensor of what is no storage');
  return strided(storage, storage, offset, shape, strides);
}

/** (storage, offset, sizes, strides, requires_grad, hooks, dtype): the storage is untyped. */
function rebuildTyped(args: readonly unknown[]): TorchTensor {
  const [storage, offset, shape, strides, , , dtype] = args;
  const storedAs = dtype instanceof PickleGlobal ? dtype.name : '';
  const type = DTYPES.get(storedAs.replace(/^torch\./, ''));
  if (!(storage instanceof TorchStorage) || !type) throw new PickleError('makes a tensor without a storage or a dtype');
  return strided(storage, { type, storedAs }, offset, shape, strides);
}

function strided(
  storage: TorchStorage,
  element: { readonly type: TorchType; readonly storedAs: string },
  offset: unknown,
  shape: unknown,
  strides: unknown,
): TorchTensor {
  if (!isSize(offset) || !isSizes(shape) || !isSizes(strides) || shape.length !== strides.length)
    throw new PickleError('makes a tensor whose offset, sizes or strides are none');
  if (shape.length > MAX_AXES) throw new PickleError(`makes a tensor of ${shape.length} axes`);
  if (!isSize(sizeOf(shape) * element.type.bytes)) throw new PickleError(`makes a tensor of the shape [${shape}]`);
  // A copy: a list may grow later.
  return new TorchTensor(storage, element, offset, [...shape], [...strides]);
}

/** (function, class, arguments, state): a tensor with attributes, or of a class of its own. */
function rebuildFromType([rebuild, , args]: readonly unknown[]): TorchTensor {
  if (!Array.isArray(args)) throw new PickleError('makes a tensor without a tuple of arguments');
  return tensorIn([callOf(rebuild)(args)]);
}

/** The tensor that is the first argument. */
function tensorIn([tensor]: readonly unknown[]): TorchTensor {
  const value = tensor instanceof LegacyTensor ? tensor.value : tensor;
  if (!(value instanceof TorchTensor)) throw new PickleError('makes a parameter of what is no tensor');
  return value;
}

function unreadable({ storage, type, storedAs, offset, shape, strides }: TorchTensor): TorchTensor {
  return new TorchTensor(storage, { type: { ...type, dtype: null }, storedAs }, offset, shape, strides);
}

/** OrderedDict(), or of a list of pairs, which Python 2 writes. */
function dictionary([pairs]: readonly unknown[]): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  for (const pair of sequence([pairs ?? []])) {
    if (!Array.isArray(pair) || pair.length !== 2) throw new PickleError('makes a dictionary of what are no pairs');
    map.set(pair[0], pair[1]);
  }
  return map;
}

function sequence([items]: readonly unknown[]): readonly unknown[] {
  if (!Array.isArray(items)) throw new PickleError('needs a list where there is none');
  return items;
}

/** `cls.__new__(cls, *args)`. */
function newObject([cls, ...args]: readonly unknown[]): unknown {
  return callOf(cls)(args);
}

/** What a global does that is an argument; not one that calls its own argument, else there would be no end of calls. */
function callOf(global: unknown): PickleCall {
  const call = global instanceof PickleGlobal ? global.call : null;
  if (!call || call === newObject || call === rebuildFromType) throw new PickleError('calls what cannot be called');
  return call;
}

/** How protocol 2 writes bytes: as a text of the characters 0 to 255. */
function encode([text]: readonly unknown[]): Uint8Array {
  if (typeof text !== 'string') throw new PickleError('encodes what is no text');
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(isSize);
}
