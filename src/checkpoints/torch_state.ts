/** From what a pickle of PyTorch held to named tensors. */
import { PickleError } from './pickle_bytes.js';
import { PickleGlobal } from './pickle_machine.js';
import { LegacyTensor, TorchOther, TorchTensor } from './torch_objects.js';

export interface TorchState {
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  /** Numbers and texts beside the tensors, such as `epoch`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Keys under which programs put the state dict in a file that also holds an optimizer's state. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model'];

/** What a tensor is called that was saved alone. */
const ALONE = 'tensor';

const MAX_DEPTH = 64;

/**
 * Names each tensor by the keys that lead to it, joined by dots; list elements by their index. What lies under
 * `state_dict`, `model_state_dict` or `model`, where that is a dictionary, is named without it, as the model names it.
 *
 * @param pickleBytes how long the pickle was, in proportion to which it may hold values: it can share and nest them
 * @throws PickleError where two tensors have one name, a key is neither text nor number, or the values never end
 */
export function namedTensors(value: unknown, pickleBytes: number): TorchState {
  const walk = new Walk(65_536 + 16 * pickleBytes);
  const root = value instanceof Map ? value : null;
  const wrapper = WRAPPERS.find((key) => root?.get(key) instanceof Map);
  if (root && wrapper !== undefined) {
    walk.visit(root.get(wrapper), [], true);
    for (const [key, item] of root) if (key !== wrapper) walk.visit(item, [key], true);
  } else walk.visit(value, [], true);
  return { tensors: walk.tensors, metadata: Object.fromEntries(walk.metadata) };
}

class Walk {
  readonly tensors = new Map<string, TorchTensor>();
  readonly metadata = new Map<string, string>();
  /** Characters of names that may still be given. */
  #budget: number;

  constructor(budget: number) {
    this.#budget = budget;
  }

  /** @param described whether numbers and texts are kept too: those of lists (an optimizer's) are not */
  visit(value: unknown, path: readonly unknown[], described: boolean): void {
    const name = path.map(keyName).join('.');
    this.#budget -= name.length + 1;
    if (this.#budget < 0) throw new PickleError('holds more values than its size allows: they contain one another');
    if (path.length > MAX_DEPTH) throw new PickleError(`nests values more than ${MAX_DEPTH} deep`);
    if (value instanceof Map) for (const [key, item] of value) this.visit(item, [...path, key], described);
    else if (Array.isArray(value))
      for (const [index, item] of value.entries()) this.visit(item, [...path, index], false);
    else if (value instanceof TorchTensor) this.#add(name, value);
    else if (value instanceof LegacyTensor) this.#add(name, value.value);
    else if (described) {
      const text = describe(value);
      if (text !== null && name !== '') this.metadata.set(name, text);
    }
  }

  #add(name: string, tensor: TorchTensor | null): void {
    if (!tensor) throw new PickleError(`has a tensor ${name} without elements`);
    if (this.tensors.has(name)) throw new PickleError(`has two tensors that would be named ${name}`);
    this.tensors.set(name || ALONE, tensor);
  }
}

function keyName(key: unknown): string {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean')
    return String(key);
  throw new PickleError('has a dictionary with a key that is neither text nor number');
}

function describe(value: unknown): string | null {
  if (value instanceof TorchOther || value instanceof PickleGlobal) return value.name;
  return typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    typeof value === 'boolean'
    ? String(value)
    : null;
}
