/** Weights to start a run from: of another network, another stage or another task, as far as they fit. */
import type { Parameter } from '../models/parameter.js';
import type { Runtime } from '../tensor/runtime.js';
import { type HostTensor, type Shape, sameShape, showShape } from '../tensor/types.js';

export interface InitialiseOptions {
  /** Whether the head is to be loaded too. False starts it afresh: the release's `--not_restore_classifier`. */
  readonly head: boolean;
  /** Where the tensors are from, for messages. */
  readonly source: string;
}

/** What became of the parameters, by name. */
export interface Initialisation {
  readonly source: string;
  readonly loaded: readonly string[];
  /** Parameters of the head, started afresh because they were not to be loaded. */
  readonly skipped: readonly string[];
  /** Started afresh because the tensors have none of the name. */
  readonly missing: readonly string[];
  /** Started afresh because the tensor of the name has another shape. */
  readonly misshaped: readonly { readonly name: string; readonly found: Shape; readonly expected: Shape }[];
  /** Tensors that are no parameter of the network. */
  readonly unknown: readonly string[];
}

/**
 * Writes tensors into the parameters and running statistics of their names; all others get their initial values, as
 * the seed has them.
 *
 * @throws Error if no tensor fits: then nothing is written
 */
export function initialiseParameters(
  runtime: Runtime,
  parameters: readonly Parameter[],
  tensors: ReadonlyMap<string, HostTensor>,
  { head, source, seed }: InitialiseOptions & { readonly seed: number },
): Initialisation {
  const loaded: string[] = [];
  const skipped: string[] = [];
  const missing: string[] = [];
  const misshaped: { name: string; found: Shape; expected: Shape }[] = [];
  const values = parameters.map((parameter, index): HostTensor => {
    const { name, part, shape } = parameter;
    const tensor = tensors.get(name);
    if (part === 'head' && !head) skipped.push(name);
    else if (!tensor) missing.push(name);
    else if (!sameShape(tensor.shape, shape) || tensor.dtype !== 'f32')
      misshaped.push({ name, found: tensor.shape, expected: shape });
    else {
      loaded.push(name);
      return tensor;
    }
    return { shape, dtype: 'f32', data: parameter.initialValues(seed, index) };
  });
  const names = new Set(parameters.map(({ name }) => name));
  const unknown = [...tensors.keys()].filter((name) => !names.has(name));
  if (loaded.length === 0) {
    const found = tensors.size > 0 ? ` (it has ${list([...tensors.keys()])}; the network has ${list([...names])})` : '';
    throw new Error(
      `${source}: none of its ${tensors.size} tensors fits this network${found}: is it a checkpoint of another backbone, or are its names not mapped?`,
    );
  }
  for (const [index, parameter] of parameters.entries()) runtime.write(parameter, values[index]!);
  return { source, loaded, skipped, missing, misshaped, unknown };
}

/** One line for a person: how much was loaded, and what was not. */
export function describeInitialisation({
  source,
  loaded,
  skipped,
  missing,
  misshaped,
  unknown,
}: Initialisation): string {
  const shapes = misshaped.map(
    ({ name, found, expected }) => `${name} ${showShape(found)}, not ${showShape(expected)}`,
  );
  const total = loaded.length + skipped.length + missing.length + misshaped.length;
  const notes = [
    skipped.length > 0 && `the head's ${skipped.length} start afresh`,
    missing.length > 0 && `${missing.length} are not in it (${list(missing)})`,
    misshaped.length > 0 && `${misshaped.length} have another shape (${list(shapes)})`,
    unknown.length > 0 && `${unknown.length} of its tensors are not used (${list(unknown)})`,
  ].filter((note) => note !== false);
  return `${source}: ${loaded.length} of ${total} parameters loaded${notes.map((note) => `; ${note}`).join('')}`;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
