/** Dynamic loss scaling by itself: what is judged, what becomes of the scale, and what an update makes of it. */
import { describe, expect, it } from 'vitest';
import { checkLossScale, LossScale, type LossScaleOptions } from '../../src/autograd/loss_scale.js';
import { Sgd } from '../../src/autograd/sgd.js';
import { currentGraph } from '../../src/tensor/graph.js';
import { FlatGroup, Resident } from '../../src/tensor/resident.js';
import { Runtime } from '../../src/tensor/runtime.js';
import { hostTensor } from '../../src/tensor/types.js';
import { testGpu } from '../support/gpu.js';

const LENGTH = 130;

/** A step that updates parameters, all 1, by given gradients of the scaled loss. */
async function updater(options: LossScaleOptions) {
  const runtime = new Runtime(await testGpu());
  const group = new FlatGroup('parameters', [new Resident('w', { shape: [LENGTH], dtype: 'f32' })]);
  runtime.allocate(group);
  runtime.write(group.entries[0]!, hostTensor([LENGTH], new Array(LENGTH).fill(1)));
  const sgd = new Sgd(runtime, [{ parameters: group, rateFactor: 1, weightDecay: 0 }], 0.5);
  const scale = new LossScale(runtime, options);
  const step = runtime.compile((gradient, rate) => {
    const packed = sgd.pack(new Map([[group.entries[0]!, gradient]]));
    const { figures, ...scaled } = scale.judge(packed);
    sgd.update(packed, rate, scaled);
    return { ...figures, inverse: currentGraph().use(scaled.inverse) };
  });
  return {
    async run(value: number, at = LENGTH - 1) {
      const gradient = new Array(LENGTH).fill(8);
      gradient[at] = value;
      const { lossScale, skippedSteps, inverse } = await step.run(
        hostTensor([LENGTH], gradient),
        hostTensor([], [0.5]),
      );
      const [scaleNow, skipped, factor] = [
        await lossScale.scalar(),
        await skippedSteps.scalar(),
        await inverse.scalar(),
      ];
      const { data } = await runtime.read(group.entries[0]!);
      const [velocity] = (await runtime.read(sgd.state[0]!)).data;
      return { scale: scaleNow, skipped, product: scaleNow * factor, first: data[0], velocity };
    },
    [Symbol.dispose]() {
      for (const each of [step, sgd, scale, group, runtime]) each[Symbol.dispose]();
    },
  };
}

describe('loss scale', () => {
  it('updates by what the gradients are without the scale, which halves and skips where one is not finite', async () => {
    using training = await updater({ initial: 8, growthInterval: 2 });
    // The gradient is 8 / 8: velocities 1, then 1.5; the second good step doubles the scale.
    expect(await training.run(8)).toEqual({ scale: 8, skipped: 0, product: 1, first: 0.5, velocity: 1 });
    expect(await training.run(8)).toEqual({ scale: 8, skipped: 0, product: 1, first: -0.25, velocity: 1.5 });
    for (const [bad, at, scale, skipped] of [
      [Number.NaN, 0, 16, 1],
      [Number.POSITIVE_INFINITY, 64, 8, 2],
      [Number.NEGATIVE_INFINITY, LENGTH - 1, 4, 3],
    ] as const)
      expect(await training.run(bad, at)).toEqual({ scale, skipped, product: 1, first: -0.25, velocity: 1.5 });
    // At a scale of 2, the gradient is 4.
    expect(await training.run(8)).toEqual({ scale: 2, skipped: 3, product: 1, first: -2.625, velocity: 4.75 });
  });

  it('counts good steps from the last change, and grows no further than 2^24', async () => {
    using training = await updater({ initial: 2 ** 23, growthInterval: 2 });
    const scales: number[] = [];
    for (const value of [1, Number.NaN, 1, 1, 1, 1, 1, 1, 1, 1])
      scales.push(Math.log2((await training.run(value)).scale));
    expect(scales).toEqual([23, 23, 22, 22, 23, 23, 24, 24, 24, 24]);
  });

  it('gives up where nothing helps, and refuses scales that are not exact', async () => {
    expect(() => checkLossScale({ lossScale: 1 })).not.toThrow();
    expect(() => checkLossScale({})).not.toThrow();
    expect(() => checkLossScale({ lossScale: 0.5 })).toThrow(/not finite at any loss scale/);
    using runtime = new Runtime(await testGpu());
    expect(() => new LossScale(runtime, { initial: 1000 })).toThrow(/power of 2/);
    expect(() => new LossScale(runtime, { growthInterval: 0 })).toThrow(/growthInterval/);
  });
});
