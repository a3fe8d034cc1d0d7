import { describe, expect, it } from 'vitest';
import { Random } from '../../src/tensor/random.js';
import { colourFeatures, principalComponents, symmetricEigen } from '../../src/viz/pca.js';

const random = () => new Random({ seed: 5, stream: 77 });

/** Pixels `mean + s1 * a + s2 * b` with deviations 3 and 1 along two orthogonal directions. */
function cloud(pixels: number) {
  const draw = random();
  const a = [0.6, 0, 0.8, 0];
  const b = [0, 1, 0, 0];
  const data = new Float32Array(pixels * 4);
  for (let p = 0; p < pixels; p++) {
    const [u, v] = [3 * Math.sqrt(3) * draw.between(-1, 1), Math.sqrt(3) * draw.between(-1, 1)];
    for (let c = 0; c < 4; c++) data[p * 4 + c] = c + u * a[c]! + v * b[c]!;
  }
  return { height: 1, width: pixels, channels: 4, data };
}

describe('symmetricEigen', () => {
  it('solves A v = value v with orthonormal vectors', () => {
    const size = 12;
    const draw = random();
    const matrix = new Float64Array(size * size);
    for (let i = 0; i < size; i++)
      for (let j = 0; j <= i; j++) {
        matrix[i * size + j] = draw.between(-1, 1);
        matrix[j * size + i] = matrix[i * size + j]!;
      }
    const { values, vectors } = symmetricEigen(matrix, size);
    for (const [k, vector] of vectors.entries()) {
      for (let i = 0; i < size; i++) {
        const product = vector.reduce((sum, value, j) => sum + matrix[i * size + j]! * value, 0);
        expect(product).toBeCloseTo(values[k]! * vector[i]!, 10);
      }
      for (const [l, other] of vectors.entries()) {
        const dot = vector.reduce((sum, value, j) => sum + value * other[j]!, 0);
        expect(dot).toBeCloseTo(k === l ? 1 : 0, 10);
      }
    }
  });

  it('takes a matrix that is diagonal, or zero', () => {
    expect(symmetricEigen([2, 0, 0, 5], 2).values).toEqual([2, 5]);
    expect(symmetricEigen([0, 0, 0, 0], 2).values).toEqual([0, 0]);
  });
});

describe('principalComponents', () => {
  it('finds the directions of a cloud by falling variance, over all maps together', () => {
    const whole = cloud(20_000);
    const cut = 4 * 7_000;
    const parts = [
      { ...whole, width: 7_000, data: whole.data.subarray(0, cut) },
      { ...whole, width: 13_000, data: whole.data.subarray(cut) },
    ];
    for (const maps of [[whole], parts]) {
      const { mean, axes, variances } = principalComponents(maps, 3);
      for (const [c, value] of mean.entries()) expect(value).toBeCloseTo(c, 0);
      expect(variances[0]).toBeCloseTo(9, 0);
      expect(variances[1]).toBeCloseTo(1, 1);
      expect(variances[2]).toBeCloseTo(0, 6);
      for (const [c, value] of [0.6, 0, 0.8, 0].entries()) expect(axes[0]![c]).toBeCloseTo(value, 2);
    }
  });

  it('points every axis the same way for mirrored features', () => {
    const map = cloud(500);
    const mirrored = { ...map, data: map.data.map((value) => -value) };
    const [a, b] = [map, mirrored].map((one) => principalComponents([one], 2).axes);
    for (const [i, axis] of a!.entries())
      for (const [c, value] of axis.entries()) expect(b![i]![c]).toBeCloseTo(value, 6);
  });

  it('refuses maps of different channels', () => {
    const one = { height: 1, width: 1, channels: 2, data: new Float32Array(2) };
    const other = { height: 1, width: 1, channels: 3, data: new Float32Array(3) };
    expect(() => principalComponents([one, other], 2)).toThrow('maps of 2 and of 3 channels');
  });
});

describe('colourFeatures', () => {
  it('spreads two deviations to each side over a channel, and leaves channels without variance grey', () => {
    const data = Float32Array.from([-1, 1, -1, 1]);
    const map = { height: 2, width: 2, channels: 1, data };
    const image = colourFeatures(map, principalComponents([map], 3));
    // One deviation below the mean is a quarter of the range, one above three quarters.
    expect([...image.data]).toEqual([64, 128, 128, 191, 128, 128, 64, 128, 128, 191, 128, 128]);
  });

  it('is grey where all features are equal', () => {
    const map = { height: 1, width: 3, channels: 2, data: new Float32Array(6).fill(0.5) };
    expect([...colourFeatures(map, principalComponents([map], 3)).data]).toEqual(new Array(9).fill(128));
  });
});
