import { describe, expect, it } from 'vitest';
import { philox, Random } from '../../src/tensor/random.js';

describe('philox', () => {
  // The known answers that come with Random123, the authors' implementation.
  it.each([
    { counter: [0, 0, 0, 0], key: [0, 0], block: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
    {
      counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      key: [0xffffffff, 0xffffffff],
      block: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      block: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ])('agrees with the known answer for counter $counter', ({ counter, key, block }) => {
    const computed = new Uint32Array(4);
    philox(counter, key, computed);
    expect(Array.from(computed)).toEqual(block);
  });
});

describe('Random', () => {
  const draw = (address: { seed: number; stream: number; step?: number; index?: number }) => {
    const random = new Random(address);
    return Array.from({ length: 9 }, () => random.uint32());
  };

  it('depends on its address alone, and on all of it', () => {
    const address = { seed: 7, stream: 1, step: 2, index: 3 };
    expect(draw(address)).toEqual(draw(address));
    for (const other of [{ seed: 8 }, { seed: 7 + 2 ** 32 }, { stream: 2 }, { step: 3 }, { index: 4 }])
      expect(draw({ ...address, ...other })).not.toEqual(draw(address));
    expect(new Set(draw(address)).size).toBe(9);
  });

  it('draws integers evenly', () => {
    const random = new Random({ seed: 1, stream: 0 });
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.integer(7)]!++;
    // Five standard deviations of a binomial with p = 1/7.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(5 * Math.sqrt((70_000 * 6) / 49));
  });

  it('draws uniform numbers with the mean and variance they should have', () => {
    const random = new Random({ seed: 2, stream: 0 });
    const values = Array.from({ length: 100_000 }, () => random.uniform());
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.005);
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.002);
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
  });

  it('permutes', () => {
    const order = new Random({ seed: 3, stream: 0 }).permutation(100);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect([...order]).not.toEqual([...order].sort((a, b) => a - b));
  });

  it('refuses seeds that are no counters', () => {
    for (const seed of [-1, 1.5, Number.NaN, 2 ** 53])
      expect(() => new Random({ seed, stream: 0 })).toThrow('seed must be');
  });
});
