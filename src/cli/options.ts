/** Flags made from the fields of the configuration, and those that several commands share. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { AdapterChoice } from '../platform/gpu.js';
import type { PartialConfig } from './config/config.js';
import { flaggedFields } from './config/config.js';
import type { PlacedField } from './config/fields.js';

export interface AdapterOptions {
  readonly adapter?: AdapterChoice;
}

/** The value of a flag. In a box, because commander takes a bare null (the flag said `none`) for an empty text. */
class Given {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

/** Adds the flags of the fields that `include` chooses, under the fields' headings. */
export function addConfigFlags(command: Command, include: (field: PlacedField) => boolean = () => true): Command {
  for (const field of flaggedFields.filter(include)) {
    const add = (option: Option) => command.addOption(option.helpGroup(`${field.group}:`));
    add(
      optionOf(field).argParser((text: string, earlier: unknown) => {
        return new Given(field.parse(text, earlier instanceof Given ? earlier.value : undefined));
      }),
    );
    if (field.opposite) add(new Option(field.opposite, `opposite of ${field.flag}`).hideHelp());
  }
  return command;
}

/** The settings given as flags. */
export function configFromFlags(command: Command): PartialConfig {
  const values = command.opts();
  const config: Record<string, Record<string, unknown>> = {};
  for (const field of flaggedFields) {
    // A flag `--no-x` has the default true, which is not the user's word.
    const given = (option: Option) => command.getOptionValueSource(option.attributeName()) === 'cli';
    const option = optionOf(field);
    const [section, setting] = field.path as [string, string];
    if (given(option)) {
      const value: unknown = values[option.attributeName()];
      config[section] = { ...config[section], [setting]: value instanceof Given ? value.value : value };
    } else if (field.opposite && given(new Option(field.opposite)))
      config[section] = { ...config[section], [setting]: false };
  }
  return config as PartialConfig;
}

const optionOf = (field: PlacedField) => new Option(field.flag!, field.help);

/** Parses an integer of at least `least`. */
export const wholeNumber = (least: number) => (text: string) => {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least)
    throw new InvalidArgumentError(`It must be an integer of at least ${least}.`);
  return value;
};

/** Adds the flag that all commands have which compute on an adapter. */
export function addAdapterFlag(command: Command): Command {
  const help =
    'auto prefers a GPU, gpu insists on one, cpu on a software adapter (default: SEGSORT_ADAPTER, else auto)';
  return command.addOption(new Option('--adapter <which>', help).choices(['auto', 'gpu', 'cpu']).helpGroup('General:'));
}
