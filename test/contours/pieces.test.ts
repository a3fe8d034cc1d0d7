/** The parts of the contour detector, each against what it is defined as. */
import { describe, expect, it } from 'vitest';
import { labPlanes } from '../../src/contours/colour.js';
import { leadingEigenvectors, tridiagonalEigen } from '../../src/contours/eigenvectors.js';
import { DIRECTIONS, exp, ORIENTATIONS, root, sigmoid } from '../../src/contours/exact.js';
import { doubled, filterColumns, filterRows, gaussian, mirrored } from '../../src/contours/filters.js';
import { halfDiscGradients } from '../../src/contours/half_discs.js';
import { classHistograms, halved, valueHistograms } from '../../src/contours/histograms.js';
import { smoothAlong } from '../../src/contours/oriented_smoothing.js';
import { orientationOf } from '../../src/contours/oversegmentation.js';
import { cutVectors, spectralGradients } from '../../src/contours/spectral.js';
import { textons } from '../../src/contours/textons.js';
import { ridges, strongestOrientation } from '../../src/contours/thinning.js';
import { Random } from '../../src/tensor/random.js';
import { symmetricEigen } from '../../src/viz/pca.js';

const random = new Random({ seed: 11, stream: 0 });

describe('elementary functions', () => {
  it('agree with the built-in ones', () => {
    for (const x of [-60, -3.3, -0.01, 0, 1e-9, 0.7, 5, 40]) expect(exp(x) / Math.exp(x)).toBeCloseTo(1, 11);
    for (const x of [0, 1e-7, 0.2, 0.9999, 1]) expect(root(x, 3)).toBeCloseTo(Math.cbrt(x), 13);
    for (const x of [0.001, 0.5]) expect(root(x, 5)).toBeCloseTo(x ** 0.2, 13);
    for (const [k, { x, y }] of DIRECTIONS.entries()) {
      expect(x).toBeCloseTo(Math.cos((k * Math.PI) / 8), 14);
      expect(y).toBeCloseTo(Math.sin((k * Math.PI) / 8), 14);
    }
    expect([sigmoid(0), sigmoid(1000), sigmoid(-1000) < 1e-17]).toEqual([0.5, 1, true]);
  });

  it('find the orientations on either side of a direction', () => {
    for (let i = 0; i < 150; i++) {
      const angle = ((i + 0.3) / 150) * 2 * Math.PI;
      const { lower, upper, share } = orientationOf(7 * Math.cos(angle), 7 * Math.sin(angle));
      const exact = ((angle % Math.PI) / Math.PI) * ORIENTATIONS;
      expect(lower).toBe(Math.floor(exact));
      expect(upper).toBe((lower + 1) % ORIENTATIONS);
      expect(share).toBeCloseTo(exact - lower, 1);
    }
    expect(orientationOf(-3, 0)).toMatchObject({ lower: 0, upper: 1 });
    expect(orientationOf(-3, 0).share).toBeCloseTo(0, 15);
  });
});

describe('colour', () => {
  it('is that of the CIE', () => {
    // L*a*b* of white, black, the sRGB red and blue (D65), to the precision that tables have.
    const data = Uint8Array.of(255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 0, 255);
    const { l, a, b } = labPlanes({ width: 4, height: 1, data });
    const expected = [
      [100, 0, 0],
      [0, 0, 0],
      [53.24, 80.09, 67.2],
      [32.3, 79.19, -107.86],
    ];
    for (const [i, [L, A, B]] of expected.entries()) {
      expect(l.data[i]! * 100).toBeCloseTo(L!, 1);
      expect(a.data[i]! * 168 - 73).toBeCloseTo(A!, 0);
      expect(b.data[i]! * 168 - 73).toBeCloseTo(Math.max(-73, B!), 0);
    }
  });
});

describe('filters', () => {
  it('mirror the image at its borders', () => {
    expect(Array.from({ length: 9 }, (_, i) => mirrored(i - 3, 3))).toEqual([2, 1, 0, 0, 1, 2, 2, 1, 0]);
    const plane = { width: 4, height: 2, data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
    const taps = Float64Array.of(1, 10, 100);
    expect(Array.from(filterRows(plane, taps).data)).toEqual([211, 321, 432, 443, 655, 765, 876, 887]);
    expect(Array.from(filterColumns(plane, taps).data)).toEqual([511, 622, 733, 844, 551, 662, 773, 884]);
  });

  it('differentiate', () => {
    const ramp = { width: 41, height: 1, data: Float32Array.from({ length: 41 }, (_, x) => 0.5 * (x - 20) ** 2) };
    for (const sigma of [1, 2]) {
      expect(gaussian(sigma, 0).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      // Correlation with minus the derivative of the bell is the derivative, scaled by sigma (or its square).
      expect(filterRows(ramp, gaussian(sigma, 1)).data[25]! / sigma).toBeCloseTo(-5, 0);
      expect(Math.abs(filterRows(ramp, gaussian(sigma, 2)).data[20]! / sigma ** 2 - 1)).toBeLessThan(0.1);
      expect(gaussian(sigma, 2).reduce((a, b) => a + b)).toBeCloseTo(0, 12);
    }
  });

  it('double, keeping ramps', () => {
    const plane = { width: 5, height: 4, data: Float32Array.from({ length: 20 }, (_, i) => (i % 5) * 2 + 0.5) };
    const out = doubled(plane, 9, 7);
    for (let x = 1; x < 9; x++) expect(out[3 * 9 + x]).toBeCloseTo(x, 6);
  });
});

describe('half discs', () => {
  const [width, height] = [11, 9];
  const classes = Uint8Array.from({ length: width * height }, () => random.integerIn(0, 4));
  const cells = classHistograms(width, height, classes, 5);

  it('compare the histograms on either side', () => {
    const radius = 3;
    const planes = halfDiscGradients(cells, radius);
    for (const [k, plane] of planes.entries())
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const left = new Array<number>(5).fill(0);
          const right = new Array<number>(5).fill(0);
          for (let dy = -radius; dy <= radius; dy++)
            for (let dx = -radius; dx <= radius; dx++) {
              if ((dx === 0 && dy === 0) || dx * dx + dy * dy > radius * radius) continue;
              const side = Math.cos((k * Math.PI) / 8) * dy - Math.sin((k * Math.PI) / 8) * dx;
              const bin = classes[mirrored(y + dy, height) * width + mirrored(x + dx, width)]!;
              const share = Math.abs(side) < 1e-9 ? 0.5 : side > 0 ? 1 : 0;
              left[bin]! += share;
              right[bin]! += 1 - share;
            }
          const area = left.reduce((a, b) => a + b);
          let distance = 0;
          for (let bin = 0; bin < 5; bin++)
            if (left[bin]! + right[bin]! > 0)
              distance += (0.5 * (left[bin]! - right[bin]!) ** 2) / (left[bin]! + right[bin]!) / area;
          expect(plane[y * width + x]).toBeCloseTo(distance, 6);
        }
  });

  it('count what coarser cells hold', () => {
    const { first, entries, width: w, height: h } = halved(cells);
    expect([w, h]).toEqual([6, 5]);
    const list = (cell: number) => Array.from(entries.subarray(first[cell]!, first[cell + 1]!));
    const corner = [classes[0]!, classes[1]!, classes[width]!, classes[width + 1]!];
    const expected = [0, 1, 2, 3, 4].flatMap((bin) => {
      const amount = corner.filter((value) => value === bin).length;
      return amount > 0 ? [bin | ((4 * amount) << 8)] : [];
    });
    expect(list(0)).toEqual(expected);
    expect(list(29)).toEqual([classes[width * height - 1]! | (4 << 8)]);
  });

  it('share values between bins', () => {
    const { entries, first } = valueHistograms({ width: 3, height: 1, data: Float32Array.of(0, 0.3125, 1) }, 5);
    expect(Array.from(first)).toEqual([0, 1, 3, 4]);
    expect(Array.from(entries)).toEqual([0 | (4 << 8), 1 | (3 << 8), 2 | (1 << 8), 4 | (4 << 8)]);
  });
});

describe('smoothing along an orientation', () => {
  it('keeps a parabola across, and averages along', () => {
    const [width, height] = [25, 25];
    for (const k of [0, 1, 3, 6]) {
      const { x: cos, y: sin } = DIRECTIONS[k]!;
      const across = (i: number) => cos * (Math.floor(i / width) - 12) - sin * ((i % width) - 12);
      const parabola = Float32Array.from(
        { length: width * height },
        (_, i) => 3 - 0.2 * across(i) + 0.1 * across(i) ** 2,
      );
      const planes = Array.from({ length: ORIENTATIONS }, () => parabola);
      const smooth = smoothAlong(planes, width, height, 4, 2)[k]!;
      for (const i of [12 * width + 12, 10 * width + 14]) expect(smooth[i]).toBeCloseTo(parabola[i]!, 4);
    }
  });
});

describe('ridges', () => {
  it('are where neither neighbour across is stronger', () => {
    // A vertical wall, strongest in column 3, of orientation 4 (straight down).
    const wall = Float32Array.from({ length: 35 }, (_, i) => 1 - Math.abs((i % 7) - 3) / 4);
    const planes = Array.from({ length: ORIENTATIONS }, (_, k) => wall.map((value) => (k === 4 ? value : value / 2)));
    const strongest = strongestOrientation(planes);
    expect(new Set(strongest.orientation)).toEqual(new Set([4]));
    expect(
      Array.from(ridges(strongest, 7, 5))
        .map((on, i) => (on ? i % 7 : -1))
        .filter((x) => x >= 0),
    ).toEqual([3, 3, 3, 3, 3]);
  });
});

describe('textons', () => {
  it('tell stripes from checks, and both from nothing', () => {
    const [width, height] = [60, 24];
    const data = Float32Array.from({ length: width * height }, (_, i) => {
      const [x, y] = [i % width, Math.floor(i / width)];
      if (x < 20) return 0.5;
      return x < 40 ? (Math.floor(y / 2) % 2 ? 0.3 : 0.7) : (Math.floor(y / 2) + Math.floor(x / 2)) % 2 ? 0.3 : 0.7;
    });
    const found = textons({ width, height, data }, 32);
    const histogram = (from: number, to: number) => {
      const counts = new Float64Array(32);
      for (const [i, kind] of found.entries())
        if (i % width >= from && i % width < to) counts[kind]! += 1 / (height * (to - from));
      return counts;
    };
    const [plain, stripes, checks] = [histogram(5, 14), histogram(26, 34), histogram(46, 54)];
    const distance = (p: Float64Array, q: Float64Array) =>
      p.reduce((sum, value, i) => sum + (value === q[i] ? 0 : (0.5 * (value - q[i]!) ** 2) / (value + q[i]!)), 0);
    expect(Math.max(...plain)).toBeCloseTo(1, 12);
    expect(distance(plain, stripes)).toBeGreaterThan(0.9);
    expect(distance(plain, checks)).toBeGreaterThan(0.8);
    expect(distance(stripes, checks)).toBeGreaterThan(0.5);
  });
});

describe('eigenvectors', () => {
  it('of tridiagonal matrices are the known ones', () => {
    const size = 12;
    const { values, vectors } = tridiagonalEigen(new Array(size).fill(2), new Array(size - 1).fill(-1));
    const exact = Array.from({ length: size }, (_, k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (size + 1)));
    for (const [i, value] of Array.from(values)
      .sort((a, b) => a - b)
      .entries())
      expect(value).toBeCloseTo(exact[i]!, 12);
    for (let i = 0; i < size; i++) {
      const v = vectors.subarray(i * size, (i + 1) * size);
      for (let j = 0; j < size; j++)
        expect(2 * v[j]! - (v[j - 1] ?? 0) - (v[j + 1] ?? 0)).toBeCloseTo(values[i]! * v[j]!, 11);
    }
  });

  it('of the largest eigenvalues agree with Jacobi rotations', () => {
    const size = 40;
    const dense = new Float64Array(size * size);
    for (let i = 0; i < size; i++)
      for (let j = 0; j <= i; j++) dense[i * size + j] = dense[j * size + i] = random.between(-1, 1) / size;
    // Three directions that stand out, near 1.
    const jacobi = symmetricEigen(dense, size);
    const wanted = [0.99, 0.98, 0.97];
    for (const [r, value] of wanted.entries())
      for (let i = 0; i < size; i++)
        for (let j = 0; j < size; j++)
          dense[i * size + j]! += (value - jacobi.values[r]!) * jacobi.vectors[r]![i]! * jacobi.vectors[r]![j]!;
    const product = (v: Float64Array) =>
      v.map((_, i) => v.reduce((sum, value, j) => sum + dense[i * size + j]! * value, 0));
    const known = jacobi.vectors[0]!;
    const found = leadingEigenvectors(product, size, { count: 2, steps: 12, known, above: 0.9, degree: 6 });
    for (const [i, r] of [1, 2].entries()) {
      expect(found.values[i]).toBeCloseTo(wanted[r]!, 8);
      const cosine = found.vectors[i]!.reduce((sum, value, j) => sum + value * jacobi.vectors[r]![j]!, 0);
      expect(Math.abs(cosine)).toBeCloseTo(1, 6);
    }
  });
});

describe('normalised cuts', () => {
  const [width, height] = [30, 20];
  /** A contour down column 12, with a gap of two cells. */
  const contours = Float32Array.from({ length: width * height }, (_, i) =>
    i % width === 12 && Math.floor(i / width) !== 9 && Math.floor(i / width) !== 10 ? 0.6 : 0.01,
  );

  it('divide the picture where contours do', () => {
    const { values, vectors } = cutVectors(contours, width, height);
    expect(values[0]).toBeGreaterThan(0);
    expect(values[0]).toBeLessThan(values[1]!);
    const side = (x: number) => Math.sign(vectors[0]![4 * width + x]!);
    for (let x = 0; x < width; x++) if (x !== 12) expect(side(x)).toBe(x < 12 ? side(0) : -side(0));
  });

  it('close gaps of contours', () => {
    const planes = spectralGradients(contours, width, height);
    const { strength, orientation } = strongestOrientation(planes);
    for (const y of [4, 10, 15]) {
      const row = strength.subarray(y * width, (y + 1) * width);
      expect(row.indexOf(Math.max(...row))).toBeGreaterThanOrEqual(11);
      expect(row.indexOf(Math.max(...row))).toBeLessThanOrEqual(13);
      expect(orientation[y * width + 12]).toBe(4);
    }
  });
});
