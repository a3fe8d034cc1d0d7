/** What is built in parts, and fails. */
import { expect, it } from 'vitest';
import { disposeOnError } from '../../src/tensor/disposal.js';

it('frees what was kept, the last first, and only on an error', () => {
  const freed: string[] = [];
  const part = (name: string): Disposable => ({ [Symbol.dispose]: () => void freed.push(name) });
  const build = (fails: boolean) =>
    disposeOnError((keep) => {
      keep(part('a'));
      const kept = keep(part('b'));
      if (fails) throw new Error('no memory');
      return kept;
    });
  expect(Symbol.dispose in build(false)).toBe(true);
  expect(freed).toEqual([]);
  expect(() => build(true)).toThrow('no memory');
  expect(freed).toEqual(['b', 'a']);
});
