/** Regions against human segmentations. */
import { describe, expect, it } from 'vitest';
import { gridOfRegions } from '../../src/contours/grid.js';
import { RegionBenchmark, regionAgreements } from '../../src/evaluation/boundaries_regions.js';
import { Random } from '../../src/tensor/random.js';

/** Rectangles drawn over each other; every colour one connected region or more. */
function rectangles(random: Random, width: number, height: number, count: number): Uint8Array {
  const map = new Uint8Array(width * height);
  for (let label = 1; label < count; label++) {
    const [x0, y0] = [random.integerIn(0, width - 2), random.integerIn(0, height - 2)];
    const [x1, y1] = [random.integerIn(x0 + 1, width - 1), random.integerIn(y0 + 1, height - 1)];
    for (let y = y0; y <= y1; y++) map.fill(label, y * width + x0, y * width + x1 + 1);
  }
  return map;
}

/** Numbers the connected parts of equal value, as the regions of a contour map are connected. */
function connected(map: Uint8Array, width: number): Int32Array {
  const labels = Int32Array.from(map.keys());
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 0; i < map.length; i++)
      for (const j of [i % width > 0 ? i - 1 : i, i >= width ? i - width : i]) {
        if (map[i] !== map[j] || labels[i] === labels[j]) continue;
        labels[i] = labels[j] = Math.min(labels[i]!, labels[j]!);
        changed = true;
      }
  }
  return labels;
}

describe('regionAgreements', () => {
  it('agrees with counting pairs and unions one by one', () => {
    const random = new Random({ seed: 3, stream: 0 });
    for (let round = 0; round < 5; round++) {
      const [width, height] = [13, 9];
      const pixels = width * height;
      const map = rectangles(random, width, height, 6);
      const regions = connected(map, width);
      const humans = [1, 2].map(() => rectangles(random, width, height, 4));
      const { levels, bestCovering, weight } = regionAgreements(gridOfRegions(width, height, map), humans, [0.5]);
      let [covering, rand, variation] = [0, 0, 0];
      for (const human of humans) {
        for (const label of new Set(human)) {
          const inHuman = (i: number) => human[i] === label;
          let best = 0;
          for (const region of new Set(regions)) {
            const both = human.filter((_, i) => inHuman(i) && regions[i] === region).length;
            const either = human.filter((_, i) => inHuman(i) || regions[i] === region).length;
            best = Math.max(best, both / either);
          }
          covering += (human.filter((value) => value === label).length * best) / (2 * pixels);
        }
        let agreeing = 0;
        for (let i = 0; i < pixels; i++)
          for (let j = 0; j < i; j++) if ((human[i] === human[j]) === (regions[i] === regions[j])) agreeing++;
        rand += agreeing / ((pixels * (pixels - 1)) / 2) / 2;
        variation += (entropy(regions, human) * 2 - entropy(regions) - entropy(human)) / 2;
      }
      expect(levels[0]!.covering).toBeCloseTo(covering, 12);
      expect(levels[0]!.rand).toBeCloseTo(rand, 12);
      expect(levels[0]!.variation).toBeCloseTo(variation, 10);
      expect(bestCovering).toBeCloseTo(covering, 12);
      expect(weight).toBe(2 * pixels);
    }
  });

  it('merges what rising thresholds let merge', () => {
    // Three stripes of 2, 4 and 6 columns, the first two hardly apart.
    const [width, height] = [12, 2];
    const stripes = Uint8Array.from({ length: 24 }, (_, i) => (i % 12 < 2 ? 0 : i % 12 < 6 ? 1 : 2));
    const grid = gridOfRegions(width, height, stripes);
    const strengths = grid.data.map((value, i) => (value > 0 ? (i % 25 === 4 ? 0.2 : 0.6) : 0));
    const human = Uint8Array.from(stripes, (label) => (label === 2 ? 1 : 0));
    const { levels, bestCovering } = regionAgreements({ width, height, data: strengths }, [human], [0.1, 0.3, 0.7]);
    expect(levels.map(({ covering }) => covering)).toEqual([(12 * (4 / 6) + 12) / 24, 1, 0.5]);
    expect(levels[1]).toMatchObject({ rand: 1, variation: 0 });
    expect(levels[2]!.variation).toBe(1);
    expect(bestCovering).toBe(1);
  });

  it('needs someone to agree with', () => {
    const grid = gridOfRegions(4, 2, new Uint8Array(8));
    expect(() => regionAgreements(grid, [], [0.5])).toThrow('regionAgreements: there is no human map');
  });
});

function entropy(...maps: ArrayLike<number>[]): number {
  const counts = new Map<string, number>();
  const pixels = maps[0]!.length;
  for (let i = 0; i < pixels; i++) {
    const key = maps.map((map) => map[i]).join();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts.values()].reduce((sum, count) => sum - (count / pixels) * Math.log2(count / pixels), 0);
}

describe('RegionBenchmark', () => {
  it('weights coverings by pixels and humans, the rest by images', () => {
    const benchmark = new RegionBenchmark([0.3, 0.6]);
    const level = (covering: number, rand: number, variation: number) => ({ covering, rand, variation });
    benchmark.add({ levels: [level(0.8, 0.9, 1), level(0.4, 0.7, 2)], bestCovering: 0.9, weight: 300 });
    benchmark.add({ levels: [level(0.2, 0.5, 3), level(0.6, 0.8, 1)], bestCovering: 0.7, weight: 100 });
    const { covering, rand, variation } = benchmark.score();
    expect(covering.ods).toBeCloseTo((3 * 0.8 + 0.2) / 4, 12);
    expect(covering.threshold).toBe(0.3);
    expect(covering.ois).toBeCloseTo((3 * 0.8 + 0.6) / 4, 12);
    expect(covering.best).toBeCloseTo((3 * 0.9 + 0.7) / 4, 12);
    expect(rand).toEqual({ ods: 0.75, ois: (0.9 + 0.8) / 2 });
    expect(variation).toEqual({ ods: 1.5, ois: 1 });
    expect(() => benchmark.add({ levels: [], bestCovering: 0, weight: 1 })).toThrow('0 of 2 thresholds');
  });
});
