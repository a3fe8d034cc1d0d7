/** How often Dawn's binding may ask whether work is done. */
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { pollPatiently } from '../../src/platform/patient_polling.node.js';

pollPatiently();

/** Like an addon's function without a name: its text is not told. */
const native = (callback: () => void) => new Proxy(callback.bind(null), { get: () => '' });

/** Asks again and again for so many milliseconds, and counts. */
function asked(milliseconds: number, wrap: (callback: () => void) => () => void): Promise<number> {
  const begin = performance.now();
  let count = 0;
  return new Promise((resolve) => {
    const ask = () => {
      count++;
      if (performance.now() - begin > milliseconds) resolve(count);
      else setImmediate(wrap(ask));
    };
    setImmediate(wrap(ask));
  });
}

describe('patient polling', () => {
  it("asks an addon's question at once for a while, and then by a timer", async () => {
    const patient = await asked(60, native);
    expect(patient).toBeGreaterThan(1);
    expect(patient * 3).toBeLessThan(await asked(60, (callback) => callback));
  });

  it('leaves all others as they were', async () => {
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      setTimeout(() => {
        setTimeout(() => {
          order.push('timer');
          resolve();
        }, 2);
        setImmediate((...words: string[]) => order.push(...words), 'immediate', 'words');
        clearImmediate(setImmediate(() => order.push('cleared')));
      });
    });
    expect(order).toEqual(['immediate', 'words', 'timer']);
    expect(await promisify(setImmediate)('value')).toBe('value');
  });
});
