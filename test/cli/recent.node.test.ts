import { expect, it } from 'vitest';
import { Recent } from '../../src/cli/segmenting/recent.js';

it('makes again what was not used lately, and nothing twice at a time', async () => {
  const made: number[] = [];
  const recent = new Recent(2, async (key: number) => {
    made.push(key);
    return key * 10;
  });
  expect(await Promise.all([recent.get(1), recent.get(1), recent.get(2)])).toEqual([10, 10, 20]);
  await recent.get(1);
  await recent.get(3);
  expect(await recent.get(1)).toBe(10);
  expect(made).toEqual([1, 2, 3]);
  await recent.get(2);
  expect(made).toEqual([1, 2, 3, 2]);
});
