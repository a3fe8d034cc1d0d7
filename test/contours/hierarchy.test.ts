/** From oriented contours to a hierarchy of regions. */
import { describe, expect, it } from 'vitest';
import { traceArcs } from '../../src/contours/arcs.js';
import { regionsOfGrid } from '../../src/contours/grid.js';
import { type Merge, RegionHierarchy } from '../../src/contours/hierarchy.js';
import { mergeRegions } from '../../src/contours/merging.js';
import { joinShallow, watershed } from '../../src/contours/watershed.js';
import { Random } from '../../src/tensor/random.js';

const random = new Random({ seed: 5, stream: 0 });
/** Smooth random heights from 0 to 1. */
function hills(width: number, height: number): Float32Array {
  const bumps = Array.from({ length: 14 }, () => [
    random.between(0, width),
    random.between(0, height),
    random.between(2, 5),
  ]);
  const raw = Float32Array.from({ length: width * height }, (_, i) =>
    bumps.reduce(
      (sum, [x, y, r]) => sum + Math.exp(-(((i % width) - x!) ** 2 + (Math.floor(i / width) - y!) ** 2) / (r! * r!)),
      0,
    ),
  );
  const most = Math.max(...raw);
  return raw.map((value) => value / most);
}

const neighbours = (i: number, width: number, size: number) => [
  ...(i % width > 0 ? [i - 1] : []),
  ...((i + 1) % width > 0 ? [i + 1] : []),
  ...(i >= width ? [i - width] : []),
  ...(i + width < size ? [i + width] : []),
];

describe('watershed', () => {
  it('gives every minimum a connected basin of its own', () => {
    for (let round = 0; round < 5; round++) {
      const [width, height] = [31, 23];
      const heights = hills(width, height).map((value) => Math.round(value * 1023) / 1023);
      const { labels, count } = watershed(heights, width, height);
      expect(new Set(labels)).toEqual(new Set(Array.from({ length: count }, (_, i) => i)));
      // From any pixel a way down or level inside the basin ends in the basin's only minimum.
      const floors = new Map<number, number>();
      for (const [i, label] of labels.entries()) floors.set(label, Math.min(floors.get(label) ?? 1, heights[i]!));
      let minima = 0;
      for (let i = 0; i < labels.length; i++) {
        const around = neighbours(i, width, labels.length);
        if (around.every((j) => heights[j]! > heights[i]!)) {
          minima++;
          expect(heights[i]).toBe(floors.get(labels[i]!));
        }
        if (heights[i]! > floors.get(labels[i]!)!) expect(around.some((j) => labels[j] === labels[i])).toBe(true);
      }
      expect(minima).toBeLessThanOrEqual(count);
      expect(pieces(labels, width)).toBe(count);
    }
  });

  it('meets on the ridge', () => {
    const heights = Float32Array.of(0, 0.2, 0.9, 0.3, 0.1, 0.4);
    const { labels, count } = watershed(heights, 6, 1);
    expect(count).toBe(2);
    expect([labels[0], labels[1], labels[3], labels[4], labels[5]]).toEqual([0, 0, 1, 1, 1]);
  });

  it('joins basins that are hardly deeper than their pass', () => {
    const heights = Float32Array.of(0, 0.8, 0.75, 0.85, 0.1, 0.5, 0.2);
    const basins = watershed(heights, 7, 1);
    expect(basins.count).toBe(4);
    const joined = joinShallow(basins, heights, 0.2);
    expect(joined.count).toBe(3);
    expect(joined.labels[2]).toBe(joined.labels[0]);
    expect(joinShallow(basins, heights, 0).labels).toEqual(basins.labels);
    // 0.1 and 0.2 are parted by 0.5: the shallower is deeper than half of the pass.
    expect(joinShallow(basins, heights, 0.65).count).toBe(2);
  });
});

/** 4-connected pieces of equal value. */
function pieces(labels: ArrayLike<number>, width: number): number {
  const seen = new Set<number>();
  let count = 0;
  for (let start = 0; start < labels.length; start++) {
    if (seen.has(start)) continue;
    count++;
    const stack = [start];
    seen.add(start);
    while (stack.length > 0)
      for (const j of neighbours(stack.pop()!, width, labels.length))
        if (labels[j] === labels[start] && !seen.has(j)) {
          seen.add(j);
          stack.push(j);
        }
  }
  return count;
}

describe('arcs', () => {
  const basins = (width: number, rows: string[]) => {
    const labels = Int32Array.from(rows.join(''), Number);
    return { width, height: rows.length, labels, count: new Set(labels).size };
  };

  it('are the borders between regions, once each', () => {
    const arcs = traceArcs(basins(4, ['0011', '0012', '3322']));
    const borders = Array.from(arcs.inside, (p, i) => [p, arcs.outside[i]]);
    expect(borders).toEqual(
      expect.arrayContaining([
        [1, 2],
        [3, 7],
        [5, 6],
        [6, 7],
        [4, 8],
        [5, 9],
        [9, 10],
        [6, 10],
      ]),
    );
    expect(borders).toHaveLength(8);
  });

  it('go in the direction of their straight pieces', () => {
    // Below a line that falls by one in two.
    const [width, height] = [40, 24];
    const labels = Int32Array.from({ length: width * height }, (_, i) =>
      Math.floor(i / width) > (i % width) / 2 ? 1 : 0,
    );
    const { dx, dy } = traceArcs({ width, height, labels, count: 2 });
    expect(dx.length).toBeGreaterThan(40);
    for (let i = 0; i < dx.length; i++) expect(dy[i]! / dx[i]!).toBeCloseTo(0.5, 1);
  });

  it('have a direction wherever the watershed draws them', () => {
    for (let round = 0; round < 40; round++) {
      const heights = Float32Array.from({ length: 12 * 9 }, () => random.integer(8) / 8);
      const { dx, dy } = traceArcs(watershed(heights, 12, 9));
      expect(dx.length).toBeGreaterThan(0);
      for (let i = 0; i < dx.length; i++) expect(dx[i] === 0 && dy[i] === 0).toBe(false);
    }
  });

  it('turn at the corners of closed curves', () => {
    const [width, height] = [20, 16];
    const inside = (i: number) => {
      const [x, y] = [i % width, Math.floor(i / width)];
      return x >= 4 && x < 16 && y >= 4 && y < 12;
    };
    const labels = Int32Array.from({ length: width * height }, (_, i) => Number(inside(i)));
    const { inside: p, outside: q, dx, dy } = traceArcs({ width, height, labels, count: 2 });
    expect(p).toHaveLength(2 * (12 + 8));
    for (let i = 0; i < p.length; i++)
      if (q[i]! - p[i]! === 1) expect([dx[i], Math.abs(dy[i]!)]).toEqual([0, 8]);
      else expect([Math.abs(dx[i]!), dy[i]]).toEqual([12, 0]);
  });
});

describe('merging', () => {
  const [width, height] = [24, 18];
  const basins = watershed(hills(width, height), width, height);
  const { inside, outside } = traceArcs(basins);
  const strength = Float32Array.from(inside, () => random.integerIn(1, 60) / 64);
  const hierarchy = mergeRegions(basins, inside, outside, strength);

  it('always takes the pair with the weakest mean', () => {
    const name = Array.from({ length: basins.count }, (_, i) => i);
    for (const [i, merge] of hierarchy.merges.entries()) {
      const means = new Map<string, { sum: number; length: number }>();
      for (let k = 0; k < inside.length; k++) {
        const pair = [name[basins.labels[inside[k]!]!]!, name[basins.labels[outside[k]!]!]!].sort((a, b) => a - b);
        if (pair[0] === pair[1]) continue;
        const border = means.get(pair.join()) ?? { sum: 0, length: 0 };
        means.set(pair.join(), { sum: border.sum + strength[k]!, length: border.length + 1 });
      }
      const weakest = Math.min(...[...means.values()].map(({ sum, length }) => sum / length));
      const taken = means.get([merge.first, merge.second].join())!;
      expect(taken.sum / taken.length).toBe(weakest);
      expect(merge.level).toBe(weakest);
      for (let leaf = 0; leaf < name.length; leaf++)
        if (name[leaf] === merge.first || name[leaf] === merge.second) name[leaf] = basins.count + i;
    }
    expect(hierarchy.merges).toHaveLength(basins.count - 1);
  });

  it('is ultrametric', () => {
    const levels = hierarchy.merges.map(({ level }) => level);
    expect(levels).toEqual([...levels].sort((a, b) => a - b));
    // Every level's regions are unions of the regions of the level before.
    let finer = hierarchy.regionsAt(-1);
    expect(finer.count).toBe(basins.count);
    for (const level of [0.2, 0.4, 0.5, 0.6, 0.9, 1]) {
      const coarser = hierarchy.regionsAt(level);
      const into = new Map<number, number>();
      for (const [i, region] of finer.data.entries()) {
        expect(into.get(region) ?? coarser.data[i]).toBe(coarser.data[i]);
        into.set(region, coarser.data[i]!);
      }
      finer = coarser;
    }
    expect(finer.count).toBe(1);
    for (let i = 0; i < 200; i++) {
      const [a, b, c] = [0, 0, 0].map(() => random.integerIn(0, basins.count - 1)) as [number, number, number];
      const [ab, bc, ac] = [
        [a, b],
        [b, c],
        [a, c],
      ].map(([x, y]) => hierarchy.levelBetween(x!, y!)) as [number, number, number];
      expect(ac).toBeLessThanOrEqual(Math.max(ab, bc));
    }
  });

  it('gives the same regions as its contour map', () => {
    const grid = hierarchy.grid();
    for (const level of [0, 0.3, 0.5, 0.55, 0.8]) {
      const { data, count } = hierarchy.regionsAt(level);
      expect(regionsOfGrid(grid, Math.fround(level))).toEqual({ labels: data, count });
    }
  });

  it('gives as many regions as asked for, all connected', () => {
    for (const wanted of [1, 2, 5, basins.count, basins.count + 7]) {
      const { data, count } = hierarchy.regions(wanted);
      expect(count).toBe(Math.min(wanted, basins.count));
      expect(pieces(data, width)).toBe(count);
      expect(Math.max(...data)).toBe(count - 1);
    }
    expect(() => hierarchy.regions(0)).toThrow('0 regions');
  });

  it('refuses merges that are out of order', () => {
    const merges: Merge[] = [
      { first: 0, second: 1, level: 0.5 },
      { first: 2, second: 3, level: 0.4 },
    ];
    expect(() => new RegionHierarchy(3, 1, Int32Array.of(0, 1, 2), 3, merges)).toThrow(
      'level 0.4 comes after one at 0.5',
    );
    expect(() => new RegionHierarchy(1, 1, Int32Array.of(0), 1, merges.slice(0, 1))).toThrow('1 merges of 1 regions');
  });
});
