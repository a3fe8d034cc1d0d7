/** Command-line options of a run, the same for Node and Chrome. */
import { DEFAULTS, type SessionOptions } from './session.js';

/** For `parseArgs` of node:util. */
export const OPTIONS = {
  suite: { type: 'string' },
  only: { type: 'string' },
  contenders: { type: 'string' },
  rounds: { type: 'string' },
  budget: { type: 'string' },
  batch: { type: 'string' },
} as const;

export type OptionValues = Readonly<Partial<Record<keyof typeof OPTIONS, string>>>;

/** @throws Error for what is not a positive number */
export function sessionOptions(values: OptionValues): SessionOptions {
  const number = (name: 'rounds' | 'budget' | 'batch', fallback: number) => {
    const value = values[name] === undefined ? fallback : Number(values[name]);
    if (!(value > 0) || (name !== 'budget' && !Number.isInteger(value)))
      throw new Error(`--${name} ${values[name]}: must be a positive ${name === 'budget' ? 'number' : 'integer'}`);
    return value;
  };
  return {
    suite: values.suite ?? DEFAULTS.suite,
    only: values.only ?? DEFAULTS.only,
    contenders: values.contenders?.split(',').map((name) => name.trim()) ?? DEFAULTS.contenders,
    rounds: number('rounds', DEFAULTS.rounds),
    budgetSeconds: number('budget', DEFAULTS.budgetSeconds),
    batch: number('batch', DEFAULTS.batch),
  };
}
