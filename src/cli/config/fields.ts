/** The vocabulary of the configuration: checked fields that know their flag and how to read it. */
import { z } from 'zod';
import { parseRegionRule } from '../../data/region_rule.js';

export interface Field {
  /** As commander writes it: `--steps <n>`, or `--mirror`. Null for what has no flag, or one of its own. */
  readonly flag: string | null;
  /** Heading in the help. */
  readonly group: string;
  /** One line. */
  readonly help: string;
  /** What the field may hold, for messages: `an integer from 1 to 64`. */
  readonly allowed: string;
  /**
   * Reads the flag's value; anything it returns is checked by the schema. `earlier` is the result for a flag given
   * before.
   */
  readonly parse: (text: string, earlier?: unknown) => unknown;
  /** Its value where a configuration was written before there was such a setting. */
  readonly former?: unknown;
  /** Of a switch: the flag that turns it off, where a preset has it on. */
  readonly opposite?: string;
  /** Of a list of objects: the settings that each may have. */
  readonly parts?: readonly Part[];
}

/** A setting of each of a list of objects. */
export interface Part extends Omit<Field, 'former' | 'parts'> {
  readonly path: readonly string[];
}

export const fields = z.registry<Field>();

type Described = Pick<Field, 'flag' | 'group' | 'help'>;

/** A number; what is none stays text, which the schema refuses and the message quotes. */
const number = (text: string): unknown => (text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text));

/** Several numbers; the whole text where one is none. */
function numbers(text: string, separator: string): readonly unknown[] | string {
  const values = text.split(separator).map(number);
  return values.every((value) => typeof value === 'number') ? values : text;
}

export function integer(least: number, most: number, field: Described) {
  const allowed =
    most === Number.MAX_SAFE_INTEGER ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`;
  return z
    .int()
    .min(least)
    .max(most)
    .register(fields, { ...field, allowed, parse: number });
}

/** Above `least` and at most `most`; `including` allows `least` itself. */
export function real(least: number, most: number, including: boolean, field: Described) {
  const low = including ? `of at least ${least}` : `greater than ${least}`;
  const allowed = most === Number.POSITIVE_INFINITY ? `a number ${low}` : `a number ${low} and at most ${most}`;
  const bounded = including ? z.number().min(least) : z.number().gt(least);
  const schema = most === Number.POSITIVE_INFINITY ? bounded : bounded.max(most);
  return schema.register(fields, { ...field, allowed, parse: number });
}

/** Height and width, `336x336`; a single number stands for both. */
export function extents(least: number, most: number, field: Described) {
  const side = z.int().min(least).max(most);
  return z.tuple([side, side]).register(fields, {
    ...field,
    allowed: `[height, width], two integers from ${least} to ${most}; as a flag 96x128, or 96 for 96x96`,
    parse(text) {
      const sides = numbers(text, 'x');
      return sides.length === 1 && typeof sides !== 'string' ? [sides[0], sides[0]] : sides;
    },
  });
}

/** Numbers with commas between them, such as `0.5,2`. */
const list = (text: string): unknown => numbers(text, ',');

/** Two factors, the lower first, such as `0.5,2`. */
export function range(least: number, most: number, field: Described) {
  const value = z.number().min(least).max(most);
  return z
    .tuple([value, value])
    .refine(([low, high]) => low <= high)
    .register(fields, { ...field, allowed: `[low, high] with ${least} <= low <= high <= ${most}`, parse: list });
}

export function colour(field: Described) {
  const value = z.number().min(0).max(255);
  return z
    .tuple([value, value, value])
    .register(fields, { ...field, allowed: '[red, green, blue], each from 0 to 255', parse: list });
}

export function choice<const T extends readonly [string, ...string[]]>(values: T, field: Described) {
  return z.enum(values).register(fields, { ...field, allowed: `one of ${values.join(', ')}`, parse: (text) => text });
}

export function text(field: Described) {
  return z
    .string()
    .min(1)
    .register(fields, { ...field, allowed: 'text, not empty', parse: (value) => value });
}

/** Where region masks are: a rule, or `photo`. */
export function regionMasks(field: Described) {
  return z
    .string()
    .refine((rule) => rule === 'photo' || isRegionRule(rule))
    .register(fields, {
      ...field,
      allowed: 'photo, a replacement such as segcls=hed, or a path such as hed/{name}.png',
      parse: (value) => value,
    });
}

function isRegionRule(rule: string): boolean {
  try {
    parseRegionRule(rule);
    return true;
  } catch {
    return false;
  }
}

/** Class names, by index. */
export function classNames(field: Described) {
  return z
    .array(z.string().min(1))
    .min(2)
    .max(255)
    .register(fields, { ...field, allowed: 'a list of 2 to 255 names', parse: (value) => value.split(',') });
}

/**
 * A switch that a preset may have on or off: `--tensorboard`, and its opposite without a line of its own in the help.
 */
export function toggle(opposite: string, field: Described) {
  return z.boolean().register(fields, { ...field, allowed: 'true or false', parse: () => true, opposite });
}

/** Allows null, which the flag writes `none`. */
export function orNull<S extends z.ZodType>(schema: S): z.ZodNullable<S> {
  const field = fields.get(schema as z.ZodType)!;
  const nullable = schema.nullable();
  fields.add(nullable as z.ZodType, {
    ...field,
    allowed: `${field.allowed}, or null`,
    parse: (value, earlier) => (value === 'none' ? null : field.parse(value, earlier)),
  });
  return nullable;
}

/** A setting that came later: configurations that were written before behave as if it had the value `former`. */
export function added<S extends z.ZodType>(former: z.input<S>, schema: S): S {
  fields.add(schema as z.ZodType, { ...fields.get(schema as z.ZodType)!, former });
  return schema;
}

/**
 * A list of objects, each with some settings of `shape`. Each time that the flag is given it adds one, such as
 * `"steps=500 learning-rate=2e-4 no-mirror"`: the settings' own flags without their dashes. `none` stands for no
 * object.
 */
export function listOfSettings<S extends z.ZodRawShape>(shape: S, field: Described) {
  const parts = fieldsOf(z.strictObject(shape));
  return z.array(z.strictObject(shape).partial()).register(fields, {
    ...field,
    parts,
    allowed: `a list of objects, each with some of ${parts.map(({ path }) => path.join('.')).join(', ')}`,
    parse(text, earlier) {
      if (text.trim() === 'none') return [];
      return [...(Array.isArray(earlier) ? earlier : []), parseSettings(text, parts)];
    },
  });
}

function parseSettings(text: string, parts: readonly Part[]): Record<string, unknown> {
  const words = text.split(/\s+/).filter((word) => word !== '');
  return Object.fromEntries(
    words.map((word) => {
      const [name = '', ...rest] = word.split('=');
      const value = rest.join('=');
      const named = parts.find(({ flag }) => flag?.split(' ')[0] === `--${name}`);
      if (named) return [named.path[0]!, named.parse(value)];
      const off = parts.find(({ opposite }) => opposite === `--${name}`);
      // The schema refuses what there is not, by its name.
      return off ? [off.path[0]!, false] : [name, value];
    }),
  );
}

/** A field and where it stands: `training.steps`. */
export interface PlacedField extends Field {
  readonly path: readonly string[];
  readonly schema: z.ZodType;
}

/** All fields of a schema of nested objects, in their order. */
export function fieldsOf(schema: z.ZodObject, path: readonly string[] = []): PlacedField[] {
  return Object.entries(schema.shape).flatMap(([key, value]): PlacedField[] => {
    const here = [...path, key];
    if (value instanceof z.ZodObject) return fieldsOf(value, here);
    const field = fields.get(value as z.ZodType);
    if (!field) throw new Error(`${here.join('.')} is not a described field`);
    return [{ ...field, path: here, schema: value as z.ZodType }];
  });
}

/** What is wrong with a configuration, a line a problem, each naming the field, its flag and what it may hold. */
export function problemsOf(error: z.core.$ZodError, schema: z.ZodObject, input: unknown): string[] {
  const known = fieldsOf(schema);
  const lines = error.issues.map((issue) => {
    const at = issue.path.map(String);
    const field = known.find(({ path }) => path.every((part, i) => part === at[i]));
    if (issue.code === 'unrecognized_keys') {
      const where = at.length > 0 ? `in ${at.join('.')}` : 'at the top';
      const keys = `${issue.keys.join(', ')} ${where}`;
      const words = field?.parts?.flatMap(({ flag }) => (flag ? [flag.slice(2).split(' ')[0]] : []));
      return words
        ? `${keys} (${flagOf(field!)}): no such setting; there are ${words.join(', ')}`
        : `${keys}: no such setting`;
    }
    if (!field) return `${at.join('.')}: must be an object of settings`;
    const [index, setting] = at.slice(field.path.length);
    const part = setting === undefined ? undefined : field.parts?.find(({ path }) => path[0] === setting);
    const value = valueAt(input, part ? at.slice(0, field.path.length + 2) : field.path);
    const name = part ? `${field.path.join('.')}[${index}].${setting}` : field.path.join('.');
    const flag = field.flag ? ` (${flagOf(field)})` : '';
    const got = value === undefined ? 'it is missing' : `got ${JSON.stringify(value) ?? String(value)}`;
    return `${name}${flag}: must be ${(part ?? field).allowed}; ${got}`;
  });
  return [...new Set(lines)];
}

/** The flag without its argument: `--steps`. */
export const flagOf = ({ flag }: Pick<Field, 'flag'>): string => flag?.split(' ')[0] ?? '';

export function valueAt(value: unknown, path: readonly string[]): unknown {
  let here = value;
  for (const part of path) here = (here as Record<string, unknown> | null | undefined)?.[part];
  return here;
}
