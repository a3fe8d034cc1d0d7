import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/tensor/graph.js';
import { randomNormal, randomUniform } from '../../src/tensor/ops/random.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { hostTensor } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';

const scalarOf = (value: number) => hostTensor([], [value], 'u32');

async function draw(make: (seed: Tensor, step: Tensor) => Tensor, seed: number, step: number): Promise<number[]> {
  using runtime = new Runtime(await testGpu());
  using compiled = runtime.compile(make);
  return [...(await (await compiled.run(scalarOf(seed), scalarOf(step))).read()).data];
}

describe('random numbers', () => {
  const uniform = (count: number, stream: number) => (seed: Tensor, step: Tensor) =>
    randomUniform([count], { stream }, seed, step);

  it('depend on seed, step, stream and position alone', async () => {
    const first = await draw(uniform(100, 1), 5, 7);
    expect(await draw(uniform(100, 1), 5, 7)).toEqual(first);
    expect((await draw(uniform(203, 1), 5, 7)).slice(0, 100)).toEqual(first);
    for (const other of [
      await draw(uniform(100, 2), 5, 7),
      await draw(uniform(100, 1), 6, 7),
      await draw(uniform(100, 1), 5, 8),
    ])
      expect(other.filter((value, i) => value === first[i]).length).toBeLessThan(3);
  });

  it('fill [0, 1) evenly', async () => {
    const values = await draw(uniform(40000, 0), 1, 2);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    const bins = new Array<number>(16).fill(0);
    for (const value of values) bins[Math.floor(value * 16)]!++;
    // Chi-squared of 15 degrees of freedom is below 37.7 in 999 of 1000 draws.
    expect(bins.reduce((total, n) => total + (n - 2500) ** 2 / 2500, 0)).toBeLessThan(37.7);
  });

  it('have the moments of a normal distribution', async () => {
    const values = await draw((seed, step) => randomNormal([40000], { stream: 0 }, seed, step), 3, 4);
    const moment = (power: number) => values.reduce((total, value) => total + value ** power, 0) / values.length;
    // Four standard errors.
    expect(Math.abs(moment(1))).toBeLessThan(4 * Math.sqrt(1 / 40000));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / 40000));
    expect(Math.abs(moment(3))).toBeLessThan(4 * Math.sqrt(15 / 40000));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / 40000));
    // Neighbours are independent, although pairs come of the same radius.
    const neighbours = values.reduce((total, value, i) => total + (i % 2 ? value * values[i - 1]! : 0), 0) / 20000;
    expect(Math.abs(neighbours)).toBeLessThan(4 * Math.sqrt(1 / 20000));
  });
});
