/** Boundaries against human segmentations: thinning, matching, and the scores of the Berkeley benchmark. */
import { describe, expect, it } from 'vitest';
import { emptyGrid, fillCorners, gridOfRegions, pixelStrengths, regionsOfGrid } from '../../src/contours/grid.js';
import {
  BoundaryBenchmark,
  type BoundaryCounts,
  boundaryCounts,
  evenThresholds,
  humanAgreement,
} from '../../src/evaluation/boundaries.js';
import { BoundaryMatcher } from '../../src/evaluation/boundaries_matching.js';
import { thin } from '../../src/evaluation/boundaries_thinning.js';
import { Random } from '../../src/tensor/random.js';

const maskOf = (...rows: string[]) => Uint8Array.from(rows.join(''), (c) => (c === '#' ? 1 : 0));
const rowsOf = (mask: Uint8Array, width: number) =>
  Array.from({ length: mask.length / width }, (_, y) =>
    Array.from(mask.subarray(y * width, (y + 1) * width), (marked) => (marked ? '#' : '.')).join(''),
  );
/** Regions to the left and to the right of a column. */
const halves = (width: number, height: number, column: number) =>
  Uint8Array.from({ length: width * height }, (_, i) => (i % width < column ? 0 : 1));

describe('thinning', () => {
  it('makes a bar a line and leaves lines alone', () => {
    const bar = maskOf('.......', '.#####.', '.#####.', '.#####.', '.......');
    const thinned = thin(bar, 7, 5);
    expect(rowsOf(thinned, 7)[2]).toMatch(/^\.+#+\.+$/);
    expect(rowsOf(thinned, 7).filter((row) => row.includes('#'))).toHaveLength(1);
    const line = maskOf('#....', '.#...', '..###');
    expect(thin(line, 5, 3)).toEqual(line);
  });

  it('cuts the corners of a staircase, and keeps it in one piece', () => {
    const stairs = maskOf('##...', '.##..', '..##.', '...##');
    expect(rowsOf(thin(stairs, 5, 4), 5)).toEqual(['#....', '.#...', '..#..', '...##']);
  });

  it('keeps every piece and hole of a random mask', () => {
    const random = new Random({ seed: 4, stream: 0 });
    for (let round = 0; round < 20; round++) {
      const [width, height] = [random.integerIn(3, 24), random.integerIn(3, 24)];
      const mask = Uint8Array.from({ length: width * height }, () => (random.uniform() < 0.6 ? 1 : 0));
      const thinned = thin(mask, width, height);
      expect(thinned.every((marked, i) => marked <= mask[i]!)).toBe(true);
      expect(pieces(thinned, width, height)).toEqual(pieces(mask, width, height));
      expect(thin(thinned, width, height)).toEqual(thinned);
    }
  });
});

/** Number of 8-connected pieces, and of 4-connected pieces of the background with a rim around the image. */
function pieces(mask: Uint8Array, width: number, height: number): [number, number] {
  const stride = width + 2;
  const padded = new Uint8Array(stride * (height + 2));
  for (let i = 0; i < mask.length; i++) padded[(Math.floor(i / width) + 1) * stride + (i % width) + 1] = mask[i]!;
  return [1, 0].map((value) => {
    const seen = new Set<number>();
    let count = 0;
    for (let start = 0; start < padded.length; start++) {
      if (padded[start] !== value || seen.has(start)) continue;
      count++;
      const stack = [start];
      seen.add(start);
      while (stack.length > 0) {
        const at = stack.pop()!;
        const [y, x] = [Math.floor(at / stride), at % stride];
        for (const [dy, dx] of [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => [dy, dx] as const))) {
          if (value === 0 && dy !== 0 && dx !== 0) continue;
          if (y + dy < 0 || y + dy >= height + 2 || x + dx < 0 || x + dx >= stride) continue;
          const next = at + dy * stride + dx;
          if (padded[next] !== value || seen.has(next)) continue;
          seen.add(next);
          stack.push(next);
        }
      }
    }
    return count;
  }) as [number, number];
}

describe('BoundaryMatcher', () => {
  it('finds as many pairs as there can be', () => {
    const random = new Random({ seed: 7, stream: 0 });
    for (let round = 0; round < 40; round++) {
      const [width, height] = [random.integerIn(4, 20), random.integerIn(4, 20)];
      const radius = random.between(1, 4);
      const draw = (share: number) =>
        Uint8Array.from({ length: width * height }, () => (random.uniform() < share ? 1 : 0));
      const [truth, every] = [draw(0.15), draw(0.2)];
      const candidates = Int32Array.from(every.keys()).filter((pixel) => every[pixel]);
      const matcher = new BoundaryMatcher(truth, candidates, width, height, radius);
      // Successive maps of one matcher, as of rising thresholds, and others that bring pixels back.
      for (const share of [1, 0.8, 0.4, 0.7]) {
        const detected = Uint8Array.from(candidates, () => (random.uniform() < share ? 1 : 0));
        const matched = new Uint8Array(candidates.length);
        const pairs = matcher.match(detected, matched);
        const pixels = Array.from(candidates).filter((_, i) => detected[i]);
        expect(pairs).toBe(mostPairs(pixels, truth, width, radius));
        expect(matched.reduce((a, b) => a + b, 0)).toBe(pairs);
        expect(matched.every((mark, i) => mark <= detected[i]!)).toBe(true);
      }
    }
  });
});

/** Kuhn's algorithm, as in textbooks. */
function mostPairs(pixels: number[], truth: Uint8Array, width: number, radius: number): number {
  const partner = new Map<number, number>();
  const near = (a: number, b: number) =>
    ((a % width) - (b % width)) ** 2 + (Math.floor(a / width) - Math.floor(b / width)) ** 2 <= radius ** 2;
  const tryPixel = (pixel: number, seen: Set<number>): boolean => {
    for (let other = 0; other < truth.length; other++) {
      if (!truth[other] || seen.has(other) || !near(pixel, other)) continue;
      seen.add(other);
      const rival = partner.get(other);
      if (rival !== undefined && !tryPixel(rival, seen)) continue;
      partner.set(other, pixel);
      return true;
    }
    return false;
  };
  return pixels.filter((pixel) => tryPixel(pixel, new Set())).length;
}

describe('boundaryCounts', () => {
  const [width, height] = [40, 30];
  const contour = (column: number) => gridOfRegions(width, height, halves(width, height, column));

  it('counts a boundary within the tolerance as found, once', () => {
    const humans = [halves(width, height, 20), halves(width, height, 22)];
    // 0.05 of the diagonal of 50 pixels are 2.5.
    const [exact] = boundaryCounts(contour(20), humans, [0.5], 0.05);
    expect(exact).toEqual({ truth: 2 * height, recalled: 2 * height, detected: height, confirmed: height });
    const [between] = boundaryCounts(contour(24), humans, [0.5], 0.05);
    expect(between).toEqual({ truth: 2 * height, recalled: height, detected: height, confirmed: height });
    const [far] = boundaryCounts(contour(30), humans, [0.5], 0.05);
    expect(far).toEqual({ truth: 2 * height, recalled: 0, detected: height, confirmed: 0 });
  });

  it('does not let two lines claim the same boundary', () => {
    const [grid, other] = [contour(19), contour(22)];
    const twice = { ...grid, data: grid.data.map((value, i) => Math.max(value, other.data[i]!)) };
    const [counts] = boundaryCounts(twice, [halves(width, height, 20)], [0.5], 0.05);
    expect(counts).toEqual({ truth: height, recalled: height, detected: 2 * height, confirmed: height });
  });

  it('goes by the strength', () => {
    const weak = { ...contour(20), data: contour(20).data.map((value) => value * 0.3) };
    const strong = contour(35);
    const both = { ...weak, data: weak.data.map((value, i) => Math.max(value, strong.data[i]! * 0.8)) };
    const counts = boundaryCounts(both, [halves(width, height, 20)], [0.2, 0.5, 0.9], 0.05);
    expect(counts.map(({ detected, confirmed }) => [detected, confirmed])).toEqual([
      [2 * height, height],
      [height, 0],
      [0, 0],
    ]);
  });

  it('names sizes that do not fit', () => {
    expect(() => boundaryCounts(contour(20), [new Uint8Array(7)], [0.5])).toThrow(
      'a human map of 7 pixels, contours of 40x30',
    );
    expect(() => boundaryCounts(contour(20), [], [0.5])).toThrow('boundaryCounts: there is no human map');
  });

  it('scores humans against each other', () => {
    const image = (...columns: number[]) => ({
      ...{ width, height },
      humans: columns.map((column) => halves(width, height, column)),
    });
    expect(humanAgreement([image(20, 20, 20)])).toMatchObject({ precision: 1, recall: 1, f: 1 });
    // The third agrees with nobody, and nobody with it: 2 of 3 precise, 2 of 6 comparisons recalled.
    const { precision, recall } = humanAgreement([image(10, 10, 30)]);
    expect(precision).toBeCloseTo(2 / 3, 12);
    expect(recall).toBeCloseTo(2 / 6, 12);
  });
});

describe('BoundaryBenchmark', () => {
  const counts = (recalled: number, detected: number, confirmed: number): BoundaryCounts => ({
    ...{ truth: 100, recalled, detected, confirmed },
  });

  it('takes one threshold for all images, or each its own', () => {
    const benchmark = new BoundaryBenchmark([0.25, 0.75]);
    benchmark.add([counts(100, 100, 100), counts(20, 20, 20)]);
    benchmark.add([counts(80, 300, 60), counts(60, 60, 60)]);
    const { ods, ois, curve } = benchmark.score();
    expect(curve.map(({ precision, recall }) => [precision, recall])).toEqual([
      [160 / 400, 180 / 200],
      [1, 80 / 200],
    ]);
    // OIS: the first image at 0.25, the second at 0.75.
    expect(ois.precision).toBe(1);
    expect(ois.recall).toBe(160 / 200);
    // Halfway between the thresholds: precision 0.7, recall 0.65.
    expect(ods.f).toBeGreaterThan((2 * 0.7 * 0.65) / 1.35 - 1e-3);
    expect(ods.threshold).toBeGreaterThan(0.25);
    expect(ods.threshold).toBeLessThan(0.75);
  });

  it('integrates precision over the recalls that were seen', () => {
    const benchmark = new BoundaryBenchmark([0.2, 0.8]);
    benchmark.add([counts(80, 100, 60), counts(40, 100, 100)]);
    // Recalls 0.40, 0.41 ... 0.80, precision falling from 1 to 0.6: 41 samples of mean 0.8.
    expect(benchmark.score().averagePrecision).toBeCloseTo(41 * 0.8 * 0.01, 10);
  });

  it('wants counts at all of its thresholds', () => {
    expect(() => new BoundaryBenchmark(evenThresholds(3)).add([counts(1, 1, 1)])).toThrow('1 of 3 thresholds');
  });
});

describe('contour grids', () => {
  it('samples the corner below and to the right of a pixel', () => {
    const grid = gridOfRegions(3, 2, [0, 0, 1, 0, 1, 1]);
    expect(Array.from(pixelStrengths(grid))).toEqual([1, 1, 0, 1, 0, 0]);
    expect(regionsOfGrid(grid, 0.5)).toEqual({ labels: Int32Array.of(0, 0, 1, 0, 1, 1), count: 2 });
  });

  it('joins what no stronger contour parts', () => {
    const grid = emptyGrid(3, 1);
    grid.data[1 * 7 + 2] = 0.25;
    grid.data[1 * 7 + 4] = 0.5;
    fillCorners(grid);
    expect([0.125, 0.25, 0.5].map((level) => regionsOfGrid(grid, level).count)).toEqual([3, 2, 1]);
    expect(grid.data[2]).toBe(0.25);
  });
});
